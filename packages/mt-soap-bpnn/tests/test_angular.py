"""The spherical harmonics against what defines them."""

import math

import numpy as np
import pytest
import torch

from mt_soap_bpnn.modules.angular import SphericalHarmonics


def unit_vectors(number: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(number, 3, generator=generator, dtype=torch.float64)
    return vectors / vectors.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("max_angular", [0, 1, 2, 6, 10])
def test_addition_theorem(max_angular):
    """sum over m of Y_lm(u) Y_lm(v) = (2 l + 1) / (4 pi) P_l(u . v)."""
    u, v = unit_vectors(50), unit_vectors(100)[50:]
    harmonics = SphericalHarmonics(max_angular)
    products = harmonics(u) * harmonics(v)
    assert len(products) == (max_angular + 1) ** 2
    cosines = (u * v).sum(dim=1).numpy()
    for degree, block in enumerate(products.split([2 * l + 1 for l in range(max_angular + 1)])):
        legendre = np.polynomial.legendre.Legendre.basis(degree)(cosines)
        expected = torch.from_numpy((2 * degree + 1) / (4 * math.pi) * legendre)
        torch.testing.assert_close(block.sum(dim=0), expected, atol=1e-12, rtol=0.0)


def test_order_and_signs_of_the_first_harmonics():
    u = unit_vectors(20)
    x, y, z = u.T
    first, second = math.sqrt(3 / (4 * math.pi)), math.sqrt(15 / (4 * math.pi))
    expected = torch.stack(
        [
            torch.full_like(x, math.sqrt(1 / (4 * math.pi))),
            first * y,
            first * z,
            first * x,
            second * x * y,
            second * y * z,
            second * (3 * z**2 - 1) / math.sqrt(12),
            second * x * z,
            second * (x**2 - y**2) / 2,
        ]
    )
    torch.testing.assert_close(SphericalHarmonics(2)(u), expected)


@pytest.mark.parametrize("max_angular", [0, 1, 6])
def test_tangential_part_of_the_gradient_is_that_of_autograd(max_angular):
    vectors = (2.0 * unit_vectors(10)).requires_grad_()
    r = vectors.norm(dim=1, keepdim=True)
    harmonics = SphericalHarmonics(max_angular)
    values, gradient = harmonics.value_and_gradient((vectors / r).detach())
    torch.testing.assert_close(values, harmonics((vectors / r).detach()))
    u = (vectors / r).detach()
    for m, function in enumerate(harmonics(vectors / r)):
        (expected,) = torch.autograd.grad(function.sum(), vectors, retain_graph=True)
        space = gradient.unflatten(0, (3, -1))[:, m].T
        tangential = (space - u * (space * u).sum(dim=1, keepdim=True)) / 2.0
        torch.testing.assert_close(tangential, expected, atol=1e-12, rtol=0.0)


@pytest.mark.parametrize(("max_angular", "tolerance"), [(6, 1e-6), (10, 5e-6)])
def test_single_precision_is_kept(max_angular, tolerance):
    u = unit_vectors(500)
    harmonics = SphericalHarmonics(max_angular)
    exact = harmonics(u)
    single = harmonics.float()(u.float())
    assert (single - exact).abs().max() < tolerance


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_poles_and_axes_have_derivatives(axis):
    u = torch.eye(3, dtype=torch.float64)[axis : axis + 1].requires_grad_()
    (gradient,) = torch.autograd.grad(SphericalHarmonics(6)(u).sum(), u)
    assert torch.isfinite(gradient).all()
