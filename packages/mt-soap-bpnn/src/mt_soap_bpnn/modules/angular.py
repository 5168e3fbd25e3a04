"""Real spherical harmonics in plain tensors.

Legend: E edges, P powers, M = (max_angular + 1)^2 spherical harmonics, Q products.

Polynomials are written as rows of coefficients, one for each of these 1 + P columns: the constant
1, then T_p(z), Re (x + i y)^p, Im (x + i y)^p for p = 1, 2, ... (see :func:`_column`).
"""

import functools
import itertools
import math

import numpy as np
import torch


class SphericalHarmonics(torch.nn.Module):
    """Orthonormal real spherical harmonics, l = 0 ... max_angular and m = -l ... l.

    On the unit sphere, Y_lm = A_lm(z) w_m(x, y): A_lm is N_lm d^|m| P_l(z) / dz^|m|, a polynomial,
    and w_m the real (m >= 0) or imaginary (m < 0) part of (x + i y)^|m|. There is no phase of
    Condon and Shortley: l = 1 is (y, z, x).

    Chebyshev polynomials of z (powers would cost digits) and powers of x + i y times constant
    matrices are a handful of tensor operations, differentiable, and no compiled extension. Powers
    up to 2 p are sums of products of powers up to p: a product of matrices and one of their halves
    each time; not in complex numbers, of whose products TorchScript takes wrong gradients.
    Training, which wants gradients by hand, has a recurrence.

    :param padded: a result of (max_angular + 1, 2 max_angular + 1) harmonics, zeros beyond m = l
    """

    first: torch.Tensor
    first_constant: torch.Tensor
    values: torch.Tensor
    values_constant: torch.Tensor
    gradients: torch.Tensor
    gradients_constant: torch.Tensor

    def __init__(self, max_angular: int, padded: bool = False) -> None:
        super().__init__()
        self.num_powers = max(max_angular, 1)
        polar, azimuth, polar_by_z, azimuth_by_x, azimuth_by_y = _polynomials(max_angular)
        # the constant column apart: addmm adds it, so that no column of ones has to be made
        for name, factors in (
            ("values", [polar, azimuth]),
            ("gradients", [polar_by_z, azimuth_by_x, azimuth_by_y]),
        ):
            matrix = torch.from_numpy(np.concatenate(factors))
            self.register_buffer(name + "_constant", matrix[:, :1].clone(), persistent=False)
            self.register_buffer(name, matrix[:, 1:].clone(), persistent=False)
        if padded:
            rows = _padded_rows(max_angular)
            zeros = np.zeros_like(polar[:1])
            polar, azimuth = (np.concatenate([each, zeros])[rows] for each in (polar, azimuth))
        self._register_products(np.concatenate([polar, azimuth]))

    def _register_products(self, harmonics: np.ndarray) -> None:
        """The matrices of :meth:`forward`, whose last products are the harmonics."""
        # from above: 6 comes from 3, 3 from 2, 2 from 1
        degrees = [self.num_powers]
        while degrees[0] > 1:
            degrees.insert(0, (degrees[0] + 1) // 2)
        # the sums that make powers of products are taken together with the next linear
        # combinations: one matrix a stage
        powers, matrices = np.eye(4), []
        for low, high in itertools.pairwise(degrees):
            factors, following = _doubling(low, high)
            matrices.append(factors @ powers)
            powers = following
        matrices.append(harmonics @ powers)
        first = torch.from_numpy(matrices[0])
        self.register_buffer("first_constant", first[:, :1].clone(), persistent=False)
        # the columns are 1, z, x, y, and those of unit vectors x, y, z
        self.register_buffer("first", first[:, [2, 3, 1]].clone(), persistent=False)
        self.stages = torch.nn.ModuleList(_Products(matrix) for matrix in matrices[1:])

    def forward(self, units_E3: torch.Tensor) -> torch.Tensor:
        """The harmonics (M, E) of unit vectors; with ``padded``, more rows."""
        a, b = torch.addmm(self.first_constant, self.first, units_E3.t()).chunk(2)
        x = a * b
        for stage in self.stages:
            x = stage(x)
        return x

    @torch.jit.unused
    def value_and_gradient(self, units_E3: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The harmonics (M, E) and the gradients (3 M, E) of the polynomials A_lm w_m.

        Only the part of the gradient that is orthogonal to the unit vector has a meaning: on the
        sphere other polynomials have the same values.
        """
        powers_PE = _powers(units_E3, self.num_powers)
        polar, azimuth = torch.addmm(self.values_constant, self.values, powers_PE).chunk(2)
        slopes = torch.addmm(self.gradients_constant, self.gradients, powers_PE)
        polar_by_z, azimuth_by_x, azimuth_by_y = slopes.chunk(3)
        # A depends on z alone and w on x and y alone, so that each derivative has one term
        gradient = torch.cat([polar * azimuth_by_x, polar * azimuth_by_y, polar_by_z * azimuth])
        return polar * azimuth, gradient


class _Products(torch.nn.Module):
    """Products of two linear combinations each of its input."""

    matrix: torch.Tensor

    def __init__(self, matrix: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.from_numpy(matrix), persistent=False)

    def forward(self, x_QE: torch.Tensor) -> torch.Tensor:
        a, b = (self.matrix @ x_QE).chunk(2)
        return a * b


def _powers(units_E3: torch.Tensor, num_powers: int) -> torch.Tensor:
    """All columns but the constant, (P, E).

    All three in one recurrence, q_(p+1) = a q_p - b q_(p-1), with a = 2 z and b = 1 for T_p,
    a = 2 x and b = x^2 + y^2 for the others.
    """
    first = torch.stack([units_E3[:, 2], units_E3[:, 0], units_E3[:, 1]])
    z, x, y = first.unbind(0)
    one, radius = torch.ones_like(z), x * x + y * y
    a_3E, b_3E = 2.0 * torch.stack([z, x, x]), torch.stack([one, radius, radius])
    powers = [torch.stack([one, one, torch.zeros_like(z)]), first]
    for _ in range(1, num_powers):
        powers.append(a_3E * powers[-1] - b_3E * powers[-2])
    return torch.cat(powers[1:])


def _column(part: str, power: int) -> int:
    """Where T_p(z), or the real or imaginary part of (x + i y)^p, is among the columns.

    Of the power 0 they are the constant; the imaginary part, which is zero then, has no column.
    """
    return 0 if power == 0 else 3 * power - 2 + ("z", "real", "imaginary").index(part)


def _doubling(low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """From the powers up to ``low``, with the constant, to those up to ``high``.

    The two factors of each of Q products, (2 Q, 1 + 3 low), and the powers, sums of products:
    (1 + 3 high, Q). T_(a+b) = 2 T_a T_b - T_(a-b), and complex powers as they are.
    """
    # what is there already, times one
    factors = [(column, 0) for column in range(1 + 3 * low)]
    terms = [(column, column, 1.0) for column in range(1 + 3 * low)]
    for power in range(low + 1, high + 1):
        # a - b is 0 or 1, so that T_(a-b) is at hand
        a, b = (power + 1) // 2, power // 2
        real_a, imaginary_a = _column("real", a), _column("imaginary", a)
        real_b, imaginary_b = _column("real", b), _column("imaginary", b)
        q = len(factors)
        factors.append((_column("z", a), _column("z", b)))
        factors += [(real_a, real_b), (imaginary_a, imaginary_b)]
        factors += [(real_a, imaginary_b), (imaginary_a, real_b)]
        z, real, imaginary = (_column(part, power) for part in ("z", "real", "imaginary"))
        terms += [(z, q, 2.0), (z, _column("z", a - b), -1.0)]
        terms += [(real, q + 1, 1.0), (real, q + 2, -1.0)]
        terms += [(imaginary, q + 3, 1.0), (imaginary, q + 4, 1.0)]
    powers = np.zeros((1 + 3 * high, len(factors)))
    for row, column, coefficient in terms:
        powers[row, column] = coefficient
    # rows of the identity pick a column each; all first factors before all second ones, for chunk
    return np.eye(1 + 3 * low)[np.array(factors).T.ravel()], powers


def _padded_rows(max_angular: int) -> list[int]:
    """(max_angular + 1, 2 max_angular + 1) rows; beyond m = l the last one, of zeros."""
    width = 2 * max_angular + 1
    rows: list[int] = []
    for degree in range(max_angular + 1):
        rows += range(degree**2, (degree + 1) ** 2)
        rows += [-1] * (width - 2 * degree - 1)
    return rows


@functools.cache
def _polynomials(max_angular: int) -> np.ndarray:
    """A_lm and w_m, then dA_lm/dz, dw_m/dx and dw_m/dy: (5, M, 1 + P) coefficients."""
    found = np.zeros((5, (max_angular + 1) ** 2, 1 + 3 * max(max_angular, 1)))
    polar, azimuth, by_z, by_x, by_y = found
    orders = [(degree, m) for degree in range(max_angular + 1) for m in range(-degree, degree + 1)]
    for row, (degree, m) in enumerate(orders):
        power = abs(m)
        series = _polar_series(degree, power)
        slopes = np.polynomial.chebyshev.chebder(series)
        columns = [_column("z", order) for order in range(degree + 1)]
        polar[row, columns[: len(series)]] = series
        by_z[row, columns[: len(slopes)]] = slopes
        part, other = ("imaginary", "real") if m < 0 else ("real", "imaginary")
        azimuth[row, _column(part, power)] = 1.0
        # with w = x + i y: d/dx w^p = p w^(p-1) has the same part, d/dy w^p = i p w^(p-1) the
        # other one, and the real part of i times something imaginary has a minus
        for by, of, sign in ((by_x, part, 1), (by_y, other, -1 if m > 0 else 1)):
            # the imaginary part of w^0 is zero
            if power > 1 or (power == 1 and of == "real"):
                by[row, _column(of, power - 1)] = sign * power
    return found


def _polar_series(degree: int, m: int) -> np.ndarray:
    """N_lm d^m P_l(z) / dz^m, by Chebyshev polynomials."""
    norm = (
        (2 * degree + 1) / (4 * math.pi) * math.factorial(degree - m) / math.factorial(degree + m)
    )
    legendre = np.polynomial.legendre.leg2poly([0.0] * degree + [1.0])
    series = np.polynomial.chebyshev.poly2cheb(np.polynomial.polynomial.polyder(legendre, m))
    # for m > 0, the cosine and the sine share what a complex harmonic has
    return math.sqrt(norm if m == 0 else 2.0 * norm) * series
