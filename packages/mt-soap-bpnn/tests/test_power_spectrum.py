"""The power spectrum and its derivatives."""

import pytest
import torch

from mt_soap_bpnn.modules.normalization import Normalization
from mt_soap_bpnn.modules.power_spectrum import PowerSpectrum

SIZES = [4, 3, 2]
NUM_COEFFICIENTS = 4 + 3 * 3 + 2 * 5


@pytest.fixture
def spectrum() -> PowerSpectrum:
    return PowerSpectrum(SIZES)


@pytest.fixture
def coefficients() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, NUM_COEFFICIENTS, generator=generator, dtype=torch.float64)


def all_products(coefficients: torch.Tensor) -> list[torch.Tensor]:
    blocks = coefficients.split([d * (2 * l + 1) for l, d in enumerate(SIZES)], dim=1)
    shaped = [b.unflatten(1, (2 * l + 1, d)) for l, (b, d) in enumerate(zip(blocks, SIZES))]
    return [torch.einsum("ima,imb->iab", c, c) for c in shaped]


def test_each_product_of_two_densities_once(spectrum, coefficients):
    features = spectrum(coefficients)
    expected = []
    for products in all_products(coefficients):
        a, b = torch.triu_indices(*products.shape[1:])
        expected.append(products[:, a, b] * torch.where(a == b, 1.0, 2.0).double().sqrt())
    torch.testing.assert_close(features, torch.cat(expected, dim=1))
    assert features.shape[1] == spectrum.num_features


def test_norm_is_that_of_all_products(spectrum, coefficients):
    norms = sum((p**2).sum(dim=(1, 2)) for p in all_products(coefficients))
    torch.testing.assert_close((spectrum(coefficients) ** 2).sum(dim=1), norms)


def test_rotation_of_the_components_changes_nothing(spectrum, coefficients):
    blocks = list(coefficients.split([d * (2 * l + 1) for l, d in enumerate(SIZES)], dim=1))
    for degree, size in enumerate(SIZES):
        rotation, _ = torch.linalg.qr(torch.randn(2 * degree + 1, 2 * degree + 1).double())
        block = blocks[degree].unflatten(1, (2 * degree + 1, size))
        blocks[degree] = torch.einsum("mk,ikd->imd", rotation, block).flatten(1)
    rotated = spectrum(torch.cat(blocks, dim=1))
    torch.testing.assert_close(rotated, spectrum(coefficients))


def test_derivatives_by_hand_are_those_of_autograd(spectrum, coefficients):
    change, g = torch.randn_like(coefficients), torch.randn(6, spectrum.num_features).double()
    features, expected = torch.func.jvp(spectrum, (coefficients,), (change,))
    torch.testing.assert_close(spectrum.change(coefficients, change), expected)
    coefficients.requires_grad_()
    (expected,) = torch.autograd.grad(spectrum(coefficients), coefficients, g)
    torch.testing.assert_close(spectrum.gradient(coefficients.detach(), g), expected)
    assert features.shape == g.shape


@pytest.fixture(params=["one group", "two groups"])
def normalization(request, coefficients):
    normalization = Normalization(coefficients.shape[1])
    if request.param == "two groups":
        normalization.set_groups(torch.arange(coefficients.shape[1]) % 3 // 2)
    return normalization


def test_normalization_is_that_of_torch(coefficients):
    expected = torch.nn.functional.layer_norm(coefficients, coefficients.shape[1:])
    torch.testing.assert_close(Normalization(coefficients.shape[1])(coefficients), expected)


def test_each_group_of_features_is_normalized_by_itself(coefficients):
    groups = torch.arange(coefficients.shape[1]) % 2
    normalization = Normalization(coefficients.shape[1])
    normalization.set_groups(groups)
    for group in (0, 1):
        part = coefficients[:, groups == group]
        expected = torch.nn.functional.layer_norm(part, part.shape[1:])
        torch.testing.assert_close(normalization(coefficients)[:, groups == group], expected)


def test_normalization_keeps_nothing_at_nothing():
    nothing = torch.zeros(2, 5, requires_grad=True)
    result = Normalization(5)(nothing)
    (gradient,) = torch.autograd.grad(result.sum(), nothing)
    assert (result == 0.0).all()
    assert torch.isfinite(gradient).all()


def test_derivative_of_normalization_by_hand_is_that_of_autograd(coefficients, normalization):
    change = torch.randn_like(coefficients)
    value, expected = torch.func.jvp(normalization, (coefficients,), (change,))
    by_hand, slopes = normalization.with_slope(coefficients)
    torch.testing.assert_close(by_hand, value)
    torch.testing.assert_close(normalization.change(value, slopes, change), expected)
