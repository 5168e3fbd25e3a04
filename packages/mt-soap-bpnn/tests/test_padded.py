"""The two ways to the power spectrum are the same function."""

import pytest
import torch

from mt_soap_bpnn.modules.descriptor import OrthogonalDescriptor

NUM_ATOMS = 4


@pytest.mark.parametrize(("max_radial", "max_angular"), [(3, 0), (3, 1), (4, 3), (7, 6)])
def test_padded_spectrum_has_the_values_and_derivatives_of_the_other(max_radial, max_angular):
    soap = {"cutoff": 4.0, "width": 0.5, "max_radial": max_radial, "max_angular": max_angular}
    descriptor = OrthogonalDescriptor(num_species=2, normalize=False, **soap).double().eval()
    torch.manual_seed(0)
    species = torch.tensor([0, 0, 1, 1])
    # no edge of the last atom: it has empty slots alone
    centers = torch.tensor([0, 0, 0, 1, 1, 2])
    neighbors = torch.tensor([1, 2, 3, 0, 2, 0])
    vectors = torch.randn(len(centers), 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(NUM_ATOMS, descriptor.num_features, dtype=torch.float64)
    direction = torch.randn_like(vectors)

    results = []
    for max_slots in (0, NUM_ATOMS * 3):
        descriptor.max_padded_slots = max_slots
        features = descriptor(vectors, centers, neighbors, species)
        (first,) = torch.autograd.grad((features * weights).sum(), vectors, create_graph=True)
        (second,) = torch.autograd.grad((first * direction).sum(), vectors)
        results.append((features, first, second))
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-11)
