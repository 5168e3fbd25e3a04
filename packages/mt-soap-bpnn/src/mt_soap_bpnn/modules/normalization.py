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

    There is one group of features, until the model is extended by new species: their features are
    a group of their own, normalized by themselves. Where they are zero they stay zero, and the
    features of the old species are what they were.
    """

    groups: torch.Tensor
    order: torch.Tensor
    inverse: torch.Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.epsilon = EPSILON
        self.set_groups(torch.zeros(num_features, dtype=torch.int64))

    @torch.jit.unused
    def set_groups(self, groups: torch.Tensor) -> None:
        """Normalize by these groups, numbered from zero, (F,) int64."""
        # stable: within its group, a feature keeps its place
        order = torch.argsort(groups, stable=True)
        self.register_buffer("groups", groups, persistent=False)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("inverse", torch.argsort(order), persistent=False)
        self.sizes: list[int] = torch.bincount(groups).tolist()

    def forward(self, x_AF: torch.Tensor) -> torch.Tensor:
        """(A, F) -> (A, F)."""
        parts: list[torch.Tensor] = []
        for x in self._split(x_AF):
            parts.append(torch.nn.functional.layer_norm(x, x.shape[1:], eps=self.epsilon))
        return self._join(parts)

    @torch.jit.unused
    def with_slope(self, x_AF: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The result (A, F) and of each group the inverse deviations (A, 1), for ``change``."""
        parts, slopes = [], []
        for x in self._split(x_AF):
            x = x - x.mean(dim=1, keepdim=True)
            variance_A1 = (torch.linalg.vecdot(x, x) / x.shape[1]).unsqueeze(1)
            slopes.append((variance_A1 + self.epsilon).rsqrt())
            parts.append(x.mul_(slopes[-1]))
        return self._join(parts), slopes

    @torch.jit.unused
    def change(
        self, y_AF: torch.Tensor, slopes: list[torch.Tensor], dx_AF: torch.Tensor
    ) -> torch.Tensor:
        """The change of the result with that of the features; symmetric, so also the gradient.

        dy = slope (dx - mean(dx) - y mean(y dx)).
        """
        parts = []
        for y, slope_A1, dx in zip(self._split(y_AF), slopes, self._split(dx_AF)):
            along_A1 = torch.linalg.vecdot(y, dx).unsqueeze(1) / y.shape[1]
            change = torch.addcmul(dx - dx.mean(dim=1, keepdim=True), y, along_A1, value=-1)
            parts.append(change.mul_(slope_A1))
        return self._join(parts)

    def _split(self, x_AF: torch.Tensor) -> list[torch.Tensor]:
        """The features of each group; with one group they are in order, and nothing is copied."""
        if len(self.sizes) == 1:
            return [x_AF]
        return list(x_AF.index_select(1, self.order).split_with_sizes(self.sizes, dim=1))

    def _join(self, parts: list[torch.Tensor]) -> torch.Tensor:
        if len(parts) == 1:
            return parts[0]
        return torch.cat(parts, dim=1).index_select(1, self.inverse)
