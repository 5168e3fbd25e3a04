"""Normalization of the features of each atom, without parameters.

Legend: A atoms, F features.
"""

import torch

# of torch.nn.LayerNorm; keeps the features of an atom without neighbors, which are zero, at zero
EPSILON = 1e-5


class Normalization(torch.nn.Module):
    """y = (x - mean(x)) / sqrt(variance(x) + epsilon), over the features of each atom.

    A linear layer with bias follows, so the scale and shift of a layer normalization would add
    nothing that its weights cannot do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epsilon = EPSILON

    def forward(self, x_AF: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x_AF, x_AF.shape[1:], eps=self.epsilon)

    @torch.jit.unused
    def with_slope(self, x_AF: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The result (A, F) and the inverse deviations (A, 1), which ``change`` asks for."""
        x_AF = x_AF - x_AF.mean(dim=1, keepdim=True)
        slope_A1 = self._inverse_deviation(x_AF)
        return x_AF.mul_(slope_A1), slope_A1

    @torch.jit.unused
    def change(
        self, y_AF: torch.Tensor, slope_A1: torch.Tensor, dx_AF: torch.Tensor
    ) -> torch.Tensor:
        """The change of the result with that of the features; symmetric, so also the gradient."""
        along_A1 = torch.linalg.vecdot(y_AF, dx_AF).unsqueeze(1) / y_AF.shape[1]
        change_AF = torch.addcmul(dx_AF - dx_AF.mean(dim=1, keepdim=True), y_AF, along_A1, value=-1)
        return change_AF.mul_(slope_A1)

    def _inverse_deviation(self, centered_AF: torch.Tensor) -> torch.Tensor:
        variance_A1 = torch.linalg.vecdot(centered_AF, centered_AF) / centered_AF.shape[1]
        return (variance_A1 + self.epsilon).rsqrt().unsqueeze(1)
