"""A polynomial kernel of descriptors, and sums of it over sparse points.

TorchScript reads this file. Letters of shapes: A atoms, F features, M sparse points.
"""

from typing import Any, Dict

import torch


class SparseSum(torch.nn.Module):
    r"""The energies of atoms of one type, as a sum over sparse points.

    .. math::

        e(p) = \sum_m w_m k(p, p_m) + v_m \cdot \frac{\partial k(p, p_m)}{\partial p_m},
        \quad k(p, p') = (p \cdot p')^\zeta

    :param degree: zeta
    """

    points: torch.Tensor
    vectors: torch.Tensor
    weights: torch.Tensor

    def __init__(self, degree: int):
        super().__init__()
        self.degree = degree
        self.register_buffer("points", torch.zeros(0, 0, dtype=torch.float64))
        self.register_buffer("vectors", torch.zeros(0, 0, dtype=torch.float64))
        self.register_buffer("weights", torch.zeros(0, dtype=torch.float64))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Energies (A,) from descriptors (A, F)."""
        # the gradient of the kernel by p_m is zeta (p . p_m)^(zeta - 1) p
        similarities = features @ self.points.T
        slopes = self.degree * similarities ** (self.degree - 1)
        by_direction = (slopes * (features @ self.vectors.T)).sum(1)
        return (similarities**self.degree) @ self.weights + by_direction

    def add(self, points: torch.Tensor, vectors: torch.Tensor, weights: torch.Tensor) -> None:
        """Add sparse points (M, F) with their vectors (M, F) and weights (M,)."""
        # the empty arrays of a new model have no columns yet
        if len(self.weights) == 0:
            self.points, self.vectors, self.weights = points, vectors, weights
            return
        self.points = torch.cat([self.points, points])
        self.vectors = torch.cat([self.vectors, vectors])
        self.weights = torch.cat([self.weights, weights])

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *args: Any) -> None:
        """The number of points is that of the saved model."""
        for name in ("points", "vectors", "weights"):
            setattr(self, name, torch.zeros_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)
