"""The radial basis against the spherical Bessel functions of scipy."""

import numpy as np
import pytest
import torch
from scipy.special import spherical_jn

from mt_soap_bpnn.modules.radial import LaplacianEigenstates, bessel_zeros, radial_sizes

CUTOFF = 5.0
CHEBYSHEV_TOLERANCE = 1e-11


@pytest.fixture
def radial() -> LaplacianEigenstates:
    return LaplacianEigenstates(CUTOFF, width=0.5, max_radial=7, max_angular=6)


def test_zeros_are_those_of_the_bessel_functions():
    for degree, zeros in enumerate(bessel_zeros(max_angular=8, num_zeros=9)):
        assert len(zeros) >= 9
        np.testing.assert_allclose(spherical_jn(degree, zeros), 0.0, atol=1e-13)


@pytest.mark.parametrize(
    ("max_radial", "max_angular", "expected"),
    [
        (7, 6, [8, 7, 7, 6, 6, 5, 5]),
        (3, 0, [4]),
        # more angular momenta than the largest eigenvalue admits: one function each
        (0, 3, [1, 1, 1, 1]),
    ],
)
def test_basis_is_trimmed_by_eigenvalue(max_radial, max_angular, expected):
    assert radial_sizes(max_radial, max_angular) == expected


def test_functions_are_orthonormal():
    radial = LaplacianEigenstates(CUTOFF, width=1e-9, max_radial=7, max_angular=6)
    nodes, weights = np.polynomial.legendre.leggauss(100)
    r = torch.from_numpy(0.5 * CUTOFF * (nodes + 1.0))
    functions_NE = radial(r)
    measure_E = torch.from_numpy(0.5 * CUTOFF * weights) * r**2
    for block_NE in functions_NE.split(radial.sizes):
        overlap = (block_NE * measure_E) @ block_NE.T
        identity = torch.eye(len(overlap), dtype=torch.float64)
        torch.testing.assert_close(overlap, identity, atol=1e-9, rtol=0.0)


def test_functions_are_bessel_functions_below_the_onset_of_the_cutoff(radial):
    r = torch.linspace(0.0, 4.5, 200, dtype=torch.float64)
    functions = radial(r)
    row = 0
    for degree, zeros in enumerate(bessel_zeros(6, 8)):
        for zero in zeros[: radial.sizes[degree]]:
            norm = np.sqrt(2.0 / CUTOFF**3) / abs(spherical_jn(degree + 1, zero))
            expected = torch.from_numpy(norm * spherical_jn(degree, zero * r.numpy() / CUTOFF))
            torch.testing.assert_close(functions[row], expected, atol=CHEBYSHEV_TOLERANCE, rtol=0.0)
            row += 1
    assert row == len(functions)


def test_cutoff_is_a_shifted_cosine(radial):
    wide = LaplacianEigenstates(CUTOFF, width=1e-9, max_radial=7, max_angular=6)
    r = torch.linspace(4.5, 4.999, 50, dtype=torch.float64)
    f = 0.5 * (1.0 + torch.cos(np.pi * (r - 4.5) / 0.5))
    torch.testing.assert_close(radial(r), wide(r) * f)


def test_nothing_is_left_at_and_beyond_the_cutoff(radial):
    r = torch.tensor([5.0, 5.1, 100.0], dtype=torch.float64, requires_grad=True)
    functions = radial(r)
    assert functions.abs().max() < 1e-15
    (slope,) = torch.autograd.grad(functions.abs().sum(), r)
    assert slope.abs().max() < 1e-13


def test_gaussians_damp_what_varies_quickly(radial):
    """The damping is the Fourier transform of a Gaussian at the wave number of the function."""
    smooth = LaplacianEigenstates(CUTOFF, 0.5, max_radial=7, max_angular=6, gaussian_width=0.3)
    r = torch.linspace(0.1, 4.9, 50, dtype=torch.float64)
    row = 0
    for degree, zeros in enumerate(bessel_zeros(6, 8)):
        for zero in zeros[: radial.sizes[degree]]:
            damping = np.exp(-0.5 * (0.3 * zero / CUTOFF) ** 2)
            torch.testing.assert_close(smooth(r)[row], damping * radial(r)[row])
            row += 1


def test_scaling_is_of_the_published_form(radial):
    scaled = LaplacianEigenstates(CUTOFF, 0.5, max_radial=7, max_angular=6, scaling=(2.0, 4.0))
    r = torch.linspace(0.1, 4.9, 50, dtype=torch.float64)
    torch.testing.assert_close(scaled(r), radial(r) / (1.0 + (r / 2.0) ** 4))


@pytest.mark.parametrize("scaling", [None, (2.0, 4.0), (1.5, 2.5)])
def test_derivative_by_hand_is_that_of_autograd(scaling):
    radial = LaplacianEigenstates(CUTOFF, 0.5, max_radial=7, max_angular=6, scaling=scaling)
    r = torch.linspace(0.1, 5.5, 100, dtype=torch.float64, requires_grad=True)
    value, derivative = radial.value_and_derivative(r.detach())
    functions = radial(r)
    torch.testing.assert_close(value, functions.detach())
    for function, expected in zip(functions, derivative):
        (slope,) = torch.autograd.grad(function.sum(), r, retain_graph=True)
        torch.testing.assert_close(slope, expected, atol=1e-9, rtol=0.0)


def test_single_precision_is_kept(radial):
    r = torch.linspace(0.1, 5.0, 300, dtype=torch.float64)
    exact = radial(r)
    single = radial.float()(r.float())
    assert single.dtype == torch.float32
    assert (single - exact).abs().max() < 2e-6 * exact.abs().max()
