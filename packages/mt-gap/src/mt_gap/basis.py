"""The functions that a fit combines: values and derivatives of the kernel at sparse points.

Letters of shapes: A atoms, B functions, F features, K directions of a point, M sparse points,
N rows of derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Basis:
    r"""Functions of the descriptor p of an atom of one species, B = M + M K.

    .. math::

        k(p, p_m) \quad \text{and} \quad d_{mk} \cdot \frac{\partial k(p, p_m)}{\partial p_m},
        \quad k(p, p') = (p \cdot p')^\zeta

    :param degree: zeta
    :param points: p_m, (M, F)
    :param directions: d_mk, (M, K, F); zero where a point has fewer
    """

    degree: int
    points: torch.Tensor
    directions: torch.Tensor

    def __len__(self) -> int:
        return self.directions.shape[0] * (1 + self.directions.shape[1])

    def values(self, features: torch.Tensor) -> torch.Tensor:
        """The functions (A, B) at descriptors (A, F)."""
        kernel, slope, _ = self._kernel(features @ self.points.T)
        return _joined(kernel, slope.unsqueeze(2) * self._to_directions(features))

    def derivatives(
        self, features: torch.Tensor, rows: torch.Tensor, atoms: torch.Tensor
    ) -> torch.Tensor:
        """Derivatives (N, B) of the functions at descriptors (A, F), along rows (N, F).

        :param atoms: (N,) the descriptor that each row is a derivative of
        """
        _, slope, curvature = self._kernel(features @ self.points.T)
        bending = curvature.unsqueeze(2) * self._to_directions(features)
        to_points = rows @ self.points.T
        slope = slope[atoms]
        # along a row t: of the values k' t . p_m, of the slopes k' t . d_mk + k'' (t . p_m)
        # (p . d_mk); in place, since (N, M, K) is the largest array of a fit
        of_directions = self._to_directions(rows).mul_(slope.unsqueeze(2))
        of_directions.addcmul_(bending[atoms], to_points.unsqueeze(2))
        return _joined(slope * to_points, of_directions)

    def covariance(self) -> torch.Tensor:
        r"""Inner products (B, B) of the functions in the space of the kernel.

        With s = p_m . p_n, the kernel k(s) and its derivatives k' and k'' by s they are

        .. math::

            k, \quad k' \, p_m \cdot d_{nk}, \quad
            k' \, d_{ml} \cdot d_{nk} + k'' \, (d_{ml} \cdot p_n) (p_m \cdot d_{nk})

        of two values, a value and a slope, and two slopes.
        """
        kernel, slope, curvature = self._kernel(self.points @ self.points.T)
        num_points, num_directions, _ = self.directions.shape
        # indices m n k: p_m . d_nk
        along = self._to_directions(self.points)
        mixed = (slope.unsqueeze(2) * along).flatten(1)
        # indices m l n k
        flat = self.directions.flatten(0, 1)
        both = (flat @ flat.T).view(num_points, num_directions, num_points, num_directions)
        both = both * slope[:, None, :, None]
        to_points = along.permute(1, 2, 0).unsqueeze(3)
        both += curvature[:, None, :, None] * to_points * along.unsqueeze(1)
        both = both.flatten(0, 1).flatten(1)
        return torch.cat([torch.cat([kernel, mixed], 1), torch.cat([mixed.T, both], 1)])

    def combine(self, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights (M,) of the values and vectors (M, F) of the derivatives that add up to the sum.

        :param weights: of all functions, (B,)
        """
        of_points, of_directions = weights.tensor_split([len(self.points)])
        shaped = of_directions.view(self.directions.shape[:2]).unsqueeze(2)
        return of_points, (shaped * self.directions).sum(1)

    def _to_directions(self, features: torch.Tensor) -> torch.Tensor:
        """Inner products (A, M, K) with all directions."""
        products = features @ self.directions.flatten(0, 1).T
        return products.view(len(features), *self.directions.shape[:2])

    def _kernel(
        self, similarities: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The kernel with its first and second derivative by the inner product."""
        degree = self.degree
        slope = degree * similarities ** (degree - 1)
        # of degree one it is zero, where similarities ** -1 would be infinite for some
        curvature = torch.zeros_like(slope)
        if degree > 1:
            curvature = degree * (degree - 1) * similarities ** (degree - 2)
        return similarities**degree, slope, curvature


def _joined(of_points: torch.Tensor, of_directions: torch.Tensor) -> torch.Tensor:
    """Functions of both kinds, (A, M) and (A, M, K), as one array (A, B)."""
    return torch.cat([of_points, of_directions.flatten(1)], 1)
