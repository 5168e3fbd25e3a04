"""Values, derivatives and inner products of the functions, against torch's own derivatives."""

import pytest
import torch

from mt_gap.basis import Basis


@pytest.fixture(params=[1, 2, 3])
def basis(request, unit_vectors):
    generator = torch.Generator().manual_seed(request.param)
    directions = torch.randn(4, 2, 6, generator=generator, dtype=torch.float64)
    return Basis(request.param, unit_vectors(4), directions)


def functions(basis, feature):
    """All functions at one descriptor, from the definition of the kernel."""
    points = basis.points.clone().requires_grad_()
    kernel = (points @ feature) ** basis.degree
    slopes = [torch.autograd.grad(k, points, create_graph=True)[0][m] for m, k in enumerate(kernel)]
    along = [(basis.directions[m] @ slope) for m, slope in enumerate(slopes)]
    return torch.cat([kernel, torch.cat(along)])


def test_values(basis, unit_vectors):
    features = unit_vectors(3, seed=5)
    expected = torch.stack([functions(basis, feature) for feature in features])
    torch.testing.assert_close(basis.values(features), expected)


def test_derivatives(basis, unit_vectors):
    features, rows = unit_vectors(3, seed=5), unit_vectors(7, seed=6)
    atoms = torch.tensor([0, 0, 1, 1, 1, 2, 2])
    jacobian = torch.stack(
        [
            torch.autograd.functional.jacobian(lambda each: functions(basis, each), feature)
            for feature in features
        ]
    )
    expected = torch.einsum("nbf,nf->nb", jacobian[atoms], rows)
    torch.testing.assert_close(basis.derivatives(features, rows, atoms), expected)


def test_covariance(basis):
    """The inner product with the function of a point is the value there, and so for slopes."""
    at_points = torch.stack([functions(basis, point) for point in basis.points])
    slopes = [
        torch.autograd.functional.jacobian(lambda each: functions(basis, each), point)
        for point in basis.points
    ]
    along = [
        slope @ direction
        for slope, directions in zip(slopes, basis.directions)
        for direction in directions
    ]
    expected = torch.cat([at_points, torch.stack(along)])
    torch.testing.assert_close(basis.covariance(), expected)


def test_combined_functions_are_their_sum(basis, unit_vectors):
    generator = torch.Generator().manual_seed(9)
    weights = torch.randn(len(basis), generator=generator, dtype=torch.float64)
    features = unit_vectors(3, seed=5)
    of_points, vectors = basis.combine(weights)
    similarities = features @ basis.points.T
    slopes = basis.degree * similarities ** (basis.degree - 1)
    found = similarities**basis.degree @ of_points + (slopes * (features @ vectors.T)).sum(1)
    torch.testing.assert_close(found, basis.values(features) @ weights)
