"""Real spherical harmonics in plain tensors.

Legend: E edges, P powers, M = (max_angular + 1)^2 spherical harmonics, Q products.
"""

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
        self.max_angular = max_angular
        self.num_powers = max(max_angular, 1)
        self._register_products(padded)
        self._register_gradients()

    def _register_products(self, padded: bool) -> None:
        degrees = [self.num_powers]
        while degrees[0] > 1:
            degrees.insert(0, (degrees[0] + 1) // 2)
        powers, matrices = np.eye(4), []
        for low, high in itertools.pairwise(degrees):
            factors, following = _doubling(low, high)
            matrices.append(factors @ powers)
            powers = following
        polar, azimuth = _polar_matrix(self.max_angular), _azimuth_matrix(self.max_angular)
        if padded:
            rows = _padded_rows(self.max_angular)
            polar, azimuth = _with_zeros(polar)[rows], _with_zeros(azimuth)[rows]
        matrices.append(np.concatenate([polar, azimuth]) @ powers)
        first = torch.from_numpy(matrices[0])
        self.register_buffer("first_constant", first[:, :1].clone(), persistent=False)
        self.register_buffer("first", first[:, [2, 3, 1]].clone(), persistent=False)
        self.stages = torch.nn.ModuleList(_Products(matrix) for matrix in matrices[1:])

    def _register_gradients(self) -> None:
        polar, azimuth = _polar_matrix(self.max_angular), _azimuth_matrix(self.max_angular)
        values = np.stack([polar, azimuth])
        gradients = np.stack([_by_z(polar), _by_x(azimuth), _by_y(azimuth)])
        for name, array in (("values", values), ("gradients", gradients)):
            matrix = torch.from_numpy(array.reshape(-1, array.shape[2]))
            self.register_buffer(name + "_constant", matrix[:, :1].clone(), persistent=False)
            self.register_buffer(name, matrix[:, 1:].clone(), persistent=False)

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

        Only the part of the gradient that is orthogonal to the unit vector has a meaning.
        """
        powers_PE = _powers(units_E3, self.num_powers)
        polar, azimuth = torch.addmm(self.values_constant, self.values, powers_PE).chunk(2)
        slopes = torch.addmm(self.gradients_constant, self.gradients, powers_PE)
        polar_by_z, azimuth_by_x, azimuth_by_y = slopes.chunk(3)
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
    """(P, E): T_p(z), Re (x + i y)^p, Im (x + i y)^p for p = 1, 2, ...

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


def _doubling(low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """From the powers up to ``low``, with the constant, to those up to ``high``.

    The two factors of each of Q products, (2 Q, 1 + 3 low), and the powers, sums of products:
    (1 + 3 high, Q). T_(a+b) = 2 T_a T_b - T_(a-b), and complex powers as they are.
    """
    factors = [(column, 0) for column in range(1 + 3 * low)]
    terms = [(column, column, 1.0) for column in range(1 + 3 * low)]
    for power in range(low + 1, high + 1):
        a, b = (power + 1) // 2, power // 2
        z, real, imaginary = (
            _column_of_z(power),
            _column_of_xy(power, imaginary=False),
            _column_of_xy(power, imaginary=True),
        )
        real_a, imaginary_a = _column_of_xy(a, imaginary=False), _column_of_xy(a, imaginary=True)
        real_b, imaginary_b = _column_of_xy(b, imaginary=False), _column_of_xy(b, imaginary=True)
        q = len(factors)
        factors.append((_column_of_z(a), _column_of_z(b)))
        factors += [(real_a, real_b), (imaginary_a, imaginary_b)]
        factors += [(real_a, imaginary_b), (imaginary_a, real_b)]
        terms += [(z, q, 2.0), (z, _column_of_z(a - b), -1.0)]
        terms += [(real, q + 1, 1.0), (real, q + 2, -1.0)]
        terms += [(imaginary, q + 3, 1.0), (imaginary, q + 4, 1.0)]
    powers = np.zeros((1 + 3 * high, len(factors)))
    for row, column, coefficient in terms:
        powers[row, column] = coefficient
    return np.eye(1 + 3 * low)[np.array(factors).T.ravel()], powers


def _with_zeros(matrix: np.ndarray) -> np.ndarray:
    return np.concatenate([matrix, np.zeros_like(matrix[:1])])


def _padded_rows(max_angular: int) -> list[int]:
    """(max_angular + 1, 2 max_angular + 1) rows; beyond m = l the last one, of zeros."""
    width = 2 * max_angular + 1
    rows: list[int] = []
    for degree in range(max_angular + 1):
        rows += range(degree**2, (degree + 1) ** 2)
        rows += [-1] * (width - 2 * degree - 1)
    return rows


def _columns(max_angular: int) -> list[tuple[int, int]]:
    return [(degree, m) for degree in range(max_angular + 1) for m in range(-degree, degree + 1)]


def _empty(max_angular: int) -> np.ndarray:
    """(M, 1 + P): coefficients of the constant and of what ``_powers`` returns."""
    return np.zeros(((max_angular + 1) ** 2, 1 + 3 * max(max_angular, 1)))


def _column_of_z(order: int) -> int:
    return 0 if order == 0 else 3 * order - 2


def _column_of_xy(power: int, imaginary: bool) -> int:
    """0, the constant, for the real part of the power 0."""
    return 0 if power == 0 else 3 * power - 1 + int(imaginary)


def _polar_matrix(max_angular: int) -> np.ndarray:
    matrix = _empty(max_angular)
    for row, (degree, m) in enumerate(_columns(max_angular)):
        for order, coefficient in enumerate(_polar_series(degree, abs(m))):
            matrix[row, _column_of_z(order)] = coefficient
    return matrix


def _polar_series(degree: int, m: int) -> np.ndarray:
    """N_lm d^m P_l(z) / dz^m, by Chebyshev polynomials."""
    norm = (
        (2 * degree + 1) / (4 * math.pi) * math.factorial(degree - m) / math.factorial(degree + m)
    )
    legendre = np.polynomial.legendre.leg2poly([0.0] * degree + [1.0])
    series = np.polynomial.chebyshev.poly2cheb(np.polynomial.polynomial.polyder(legendre, m))
    return math.sqrt(norm if m == 0 else 2.0 * norm) * series


def _azimuth_matrix(max_angular: int) -> np.ndarray:
    matrix = _empty(max_angular)
    for row, (_, m) in enumerate(_columns(max_angular)):
        matrix[row, _column_of_xy(abs(m), imaginary=m < 0)] = 1.0
    return matrix


def _by_z(polar: np.ndarray) -> np.ndarray:
    result = np.zeros_like(polar)
    columns = [_column_of_z(order) for order in range((polar.shape[1] + 2) // 3)]
    slopes = np.polynomial.chebyshev.chebder(polar[:, columns], axis=1)
    result[:, columns[: slopes.shape[1]]] = slopes
    return result


def _by_x(azimuth: np.ndarray) -> np.ndarray:
    """d/dx (x + i y)^p = p (x + i y)^(p - 1)."""
    result = np.zeros_like(azimuth)
    for power in range(1, (azimuth.shape[1] + 2) // 3):
        for imaginary in (False, True):
            if power > 1 or not imaginary:
                source = azimuth[:, _column_of_xy(power, imaginary)]
                result[:, _column_of_xy(power - 1, imaginary)] = power * source
    return result


def _by_y(azimuth: np.ndarray) -> np.ndarray:
    """d/dy (x + i y)^p = i p (x + i y)^(p - 1)."""
    result = np.zeros_like(azimuth)
    for power in range(1, (azimuth.shape[1] + 2) // 3):
        real = azimuth[:, _column_of_xy(power, imaginary=False)]
        imaginary = azimuth[:, _column_of_xy(power, imaginary=True)]
        result[:, _column_of_xy(power - 1, imaginary=False)] += power * imaginary
        if power > 1:
            result[:, _column_of_xy(power - 1, imaginary=True)] -= power * real
    return result
