"""Radial basis of the spherical expansion: eigenstates of the Laplacian in a sphere.

Legend: E edges, K Chebyshev polynomials, N radial functions of all degrees l together, l by l.
"""

import functools
import math

import numpy as np
import torch

# The Chebyshev interval is wider than [0, cutoff] by this fraction on each side: the derivative
# of acos diverges at the ends of its interval, and two atoms may sit close to either end.
_MARGIN = 0.01
# Coefficients that are smaller than this, by the largest one, are rounding.
_TRUNCATION = 1e-13

_quadrature = functools.cache(np.polynomial.legendre.leggauss)


def spherical_bessel(degree: int, x: np.ndarray) -> np.ndarray:
    """The spherical Bessel function j_l(x), to 1e-15 absolute.

    j_l(x) = (-i)^l / 2 * integral over t in [-1, 1] of exp(i x t) P_l(t), by Gauss-Legendre
    quadrature, which needs somewhat more than |x| / 2 nodes.
    """
    nodes, weights = _quadrature(40 + degree + int(np.abs(x).max(initial=0.0)))
    legendre = np.polynomial.legendre.Legendre.basis(degree)(nodes)
    waves = np.exp(1j * np.asarray(x)[..., None] * nodes)
    return np.real((-1j) ** degree / 2.0 * (waves @ (weights * legendre)))


@functools.cache
def bessel_zeros(max_angular: int, num_zeros: int) -> list[np.ndarray]:
    """The first positive zeros of j_0 ... j_max_angular, at least ``num_zeros`` of each.

    Between two neighboring zeros of j_(l-1) lies exactly one zero of j_l.
    """
    # j_0(x) = sin(x) / x; each degree has one interval less than the one before has zeros, so
    # that the first one needs max_angular zeros more
    zeros = [np.arange(1, num_zeros + max_angular + 1) * math.pi]
    for degree in range(1, max_angular + 1):
        low, high = zeros[-1][:-1], zeros[-1][1:]
        sign_low = np.sign(spherical_bessel(degree, low))
        # 60 bisections: an interval of about pi shrinks below the spacing of float64
        for _ in range(60):
            middle = 0.5 * (low + high)
            same = np.sign(spherical_bessel(degree, middle)) == sign_low
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        zeros.append(0.5 * (low + high))
    return zeros


def radial_sizes(max_radial: int, max_angular: int) -> list[int]:
    """Number of radial functions of each l = 0 ... max_angular.

    Kept are the functions whose eigenvalue (z_nl / cutoff)^2 is no larger than that of
    n = max_radial, l = 0; every l has at least one (Bigi et al., doi:10.1063/5.0124363).
    """
    zeros = bessel_zeros(max_angular, max_radial + 1)
    largest = zeros[0][max_radial]
    return [max(1, int(np.sum(z <= largest))) for z in zeros]


class LaplacianEigenstates(torch.nn.Module):
    """g_nl R_nl(r) u(r) f(r), with R_nl(r) = N_nl j_l(k_nl r) and f the cutoff function.

    k_nl cutoff is the n-th zero of j_l, and N_nl makes the integral of r^2 R_nl^2 over [0, cutoff]
    one. f(r) falls as a cosine from 1 at cutoff - width to 0 at the cutoff, and is 0 beyond.
    g_nl = exp(-k_nl^2 s^2 / 2) turns points into Gaussians of width s: what varies over less than
    that counts little. u(r) = 1 / (1 + (r / scale)^exponent) lets near neighbors count more
    (Willatt, Musil and Ceriotti, doi:10.1039/C8CP05921G).
    The smooth g_nl R_nl are evaluated as Chebyshev series (to 1e-12): a cosine and one product of
    matrices, without tables, and exactly differentiable.

    :param gaussian_width: s
    :param scaling: scale and exponent; None: all neighbors count as much, u = 1
    """

    orders: torch.Tensor
    series: torch.Tensor
    both_series: torch.Tensor

    def __init__(
        self,
        cutoff: float,
        width: float,
        max_radial: int,
        max_angular: int,
        gaussian_width: float = 0.0,
        scaling: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.onset = cutoff - width
        self.frequency = math.pi / width
        # from distances to the Chebyshev interval [-1, 1], which the margins widen
        self.scale = 2.0 / (cutoff * (1.0 + 2.0 * _MARGIN))
        # without a scaling, r / scale is always 0 and u = 1; of 0 ** 2 all derivatives are finite
        self.inverse_decay = 0.0 if scaling is None else 1.0 / scaling[0]
        self.exponent = 2.0 if scaling is None else float(scaling[1])
        self.sizes = radial_sizes(max_radial, max_angular)
        series = _chebyshev_series(cutoff, tuple(self.sizes), gaussian_width)
        # a series of degree K - 1 has a derivative of degree K - 2: its last coefficient stays zero
        slopes = np.zeros_like(series)
        slopes[:-1] = np.polynomial.chebyshev.chebder(series, scl=self.scale, axis=0)
        both = np.concatenate([series, slopes], axis=1)
        orders = torch.arange(len(series), dtype=torch.float64)
        self.register_buffer("orders", orders, persistent=False)
        self.register_buffer("series", torch.from_numpy(series.T.copy()), persistent=False)
        self.register_buffer("both_series", torch.from_numpy(both.T.copy()), persistent=False)

    def forward(self, distances_E: torch.Tensor) -> torch.Tensor:
        """The functions (N, E), l by l; zero at and beyond the cutoff."""
        return self.series @ self.polynomials(distances_E).t()

    def polynomials(self, distances_E: torch.Tensor) -> torch.Tensor:
        """Chebyshev polynomials times u(r) f(r), (E, K)."""
        # farther edges are moved to the cutoff, where f is zero: beyond, acos would be NaN
        r_E = distances_E.clamp(max=self.cutoff)
        weight_E = self._scaling(r_E) * self._cutoff_function(r_E)
        return self._chebyshev(r_E) * weight_E.unsqueeze(1)

    def value_and_derivative(self, distances_E: torch.Tensor) -> torch.Tensor:
        """The functions and their derivatives by the distance, (2, N, E), l by l.

        (S u f)' = S' (u f) + S (u' f + u f') for each series S.
        """
        r_E = distances_E.clamp(max=self.cutoff)
        smooth = (self.both_series @ self._chebyshev(r_E).t()).unflatten(0, (2, -1))
        u_E, f_E = self._scaling(r_E), self._cutoff_function(r_E)
        # u' = -exponent / scale * (r / scale)^(exponent - 1) u^2
        u_slope_E = (r_E * self.inverse_decay) ** (self.exponent - 1.0) * u_E**2
        u_slope_E = u_slope_E * (-self.exponent * self.inverse_decay)
        f_slope_E = torch.sin(self._phase(r_E)) * (-0.5 * self.frequency)
        result = smooth * (u_E * f_E)
        # in place: these are the largest arrays of a step
        result[1].addcmul_(smooth[0], u_slope_E * f_E + u_E * f_slope_E)
        return result

    def _chebyshev(self, r_E: torch.Tensor) -> torch.Tensor:
        """T_k(x) = cos(k acos x): all orders at once, where the recurrence takes them in turn."""
        angle_E = torch.acos(self.scale * (r_E - 0.5 * self.cutoff))
        return torch.cos(angle_E.unsqueeze(1) * self.orders)

    def _scaling(self, r_E: torch.Tensor) -> torch.Tensor:
        return 1.0 / (1.0 + (r_E * self.inverse_decay) ** self.exponent)

    def _cutoff_function(self, r_E: torch.Tensor) -> torch.Tensor:
        return 0.5 + 0.5 * torch.cos(self._phase(r_E))

    def _phase(self, r_E: torch.Tensor) -> torch.Tensor:
        """0 up to the onset of the cutoff function, pi at the cutoff."""
        return (r_E - self.onset).clamp(min=0.0) * self.frequency


# a training makes its model several times: to try its checkpoint, to go on, to deliver
@functools.cache
def _chebyshev_series(cutoff: float, sizes: tuple[int, ...], gaussian_width: float) -> np.ndarray:
    """The coefficients (K, N) of g_nl R_nl, K as small as the accuracy allows."""
    # interpolation at the Chebyshev nodes, in units of the cutoff; the series of a smooth function
    # falls off exponentially, long before these many nodes
    num_nodes = 64 + 8 * max(sizes)
    angles = (np.arange(num_nodes) + 0.5) * math.pi / num_nodes
    x = 0.5 + 0.5 * (1.0 + 2.0 * _MARGIN) * np.cos(angles)
    zeros = bessel_zeros(len(sizes) - 1, max(sizes))
    kept = [zeros[degree][:size] for degree, size in enumerate(sizes)]
    columns = []
    for degree, zeros_of_degree in enumerate(kept):
        for zero in zeros_of_degree:
            # the integral of x^2 j_l(z x)^2 over [0, 1] is j_(l+1)(z)^2 / 2
            norm = math.sqrt(2.0) / abs(spherical_bessel(degree + 1, np.array([zero]))[0])
            columns.append(norm * spherical_bessel(degree, zero * x))
    # in units of length, an integral of r^2 R^2 is larger by cutoff^3
    values = np.stack(columns, axis=1) * cutoff**-1.5
    series = 2.0 / num_nodes * np.cos(np.outer(np.arange(num_nodes), angles)) @ values
    series[0] *= 0.5
    relative = np.abs(series).max(axis=1) / np.abs(series).max()
    series = series[: int(np.flatnonzero(relative > _TRUNCATION)[-1]) + 1]
    # g_nl last: K does not depend on the width of the Gaussians
    return series * np.exp(-0.5 * (gaussian_width / cutoff * np.concatenate(kept)) ** 2)
