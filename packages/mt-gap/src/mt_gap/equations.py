"""Regularised least squares by QR, a few equations at a time.

Letters of shapes: B unknowns, N equations.
"""

from __future__ import annotations

import torch

JITTER = 1e-10
"""Added to the variance of each function, by its own: far above rounding, far below any noise."""


class LeastSquares:
    r"""The unknowns w that are the least of

    .. math::

        \sum_n (a_n \cdot w - b_n)^2 + w^T K w

    Of the equations, only the triangle R of the QR decomposition is kept, to which each batch of
    them is added: it needs the memory of B x B numbers, however many equations there are. Unlike
    the normal equations it does not square the condition number: weights that differ little in
    their predictions are still told apart in float64. K = L L^T begins the triangle with L^T, as
    if there were B more equations L^T w = 0, so that there is always one solution.

    :param covariance: K (B, B), positive semidefinite; functions may depend on one another
    """

    def __init__(self, covariance: torch.Tensor):
        # The unknowns are solved for in units that give all functions the variance one: slopes of
        # the kernel are larger than its values, or smaller, by orders of magnitude, and the jitter
        # must be small beside each of them.
        variances = covariance.diagonal()
        # a function that is zero everywhere stays so; the clamp keeps infinity out of the branch
        # that is not taken
        self.scales = torch.where(variances > 0, variances.clamp(min=1e-300).rsqrt(), 0.0)
        factor = _cholesky(self.scales[:, None] * covariance * self.scales)
        # the last column has the right-hand sides
        self.triangle = torch.cat([factor.T, torch.zeros(len(factor), 1, dtype=factor.dtype)], 1)
        self._pending: list[torch.Tensor] = []

    def add(self, rows: torch.Tensor, values: torch.Tensor) -> None:
        """Add the equations ``rows @ w = values``, with rows (N, B) and values (N,)."""
        self._pending.append(torch.cat([rows * self.scales, values[:, None]], 1))
        # each decomposition costs B^3 for the triangle alone: it waits for as many equations
        if sum(len(part) for part in self._pending) > len(self.scales):
            self._reduce()

    def solve(self) -> torch.Tensor:
        """The unknowns (B,)."""
        self._reduce()
        # below the first B rows there is the residual of the right-hand sides alone
        triangle = self.triangle[: len(self.scales)]
        found = torch.linalg.solve_triangular(triangle[:, :-1], triangle[:, -1:], upper=True)
        return self.scales * found[:, 0]

    def _reduce(self) -> None:
        if self._pending:
            stacked = torch.cat([self.triangle, *self._pending])
            self._pending = []
            self.triangle = torch.linalg.qr(stacked, mode="r").R


def _cholesky(covariance: torch.Tensor) -> torch.Tensor:
    """The lower factor of a matrix with ones on its diagonal, made definite."""
    identity = torch.eye(len(covariance), dtype=covariance.dtype)
    # rounding makes eigenvalues of zero negative, by more where there are more functions
    for jitter in (JITTER, 1e2 * JITTER, 1e4 * JITTER):
        factor, failed = torch.linalg.cholesky_ex(covariance + jitter * identity)
        if not failed:
            return factor
    raise ArithmeticError("the covariance of the functions is not positive: a fault of mt-gap")
