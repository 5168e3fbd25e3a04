"""The mathematics of my_network alone; all else is proved by ``mt conformance my_network``."""

import pytest
import torch

from mt_my_network.model import PairFeatures, RadialBasis

CUTOFF = 4.0


@pytest.fixture
def pair_features() -> PairFeatures:
    torch.manual_seed(0)
    return PairFeatures(CUTOFF, num_species=2, num_features=6, num_radial=5).double()


def test_radial_functions_fade_out_at_the_cutoff_with_their_slope():
    basis = RadialBasis(CUTOFF, num_radial=5).double()
    r = torch.tensor([[CUTOFF]], dtype=torch.float64, requires_grad=True)
    values = basis(r)
    (slope,) = torch.autograd.grad(values.sum(), r)
    torch.testing.assert_close(values, torch.zeros_like(values))
    torch.testing.assert_close(slope, torch.zeros_like(slope))


def test_features_are_those_of_the_formula(pair_features):
    species = torch.tensor([0, 0, 1])
    centers, neighbors = torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 2, 1])
    vectors = torch.tensor([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.5, 2.0], [0, -1.5, -2.0]]).double()
    lengths = torch.tensor([[1.0], [1.0], [2.5], [2.5]]).double()
    e, waves = pair_features.embedding.weight[species], pair_features.basis(lengths)
    sums = e.clone()
    for edge, (i, j) in enumerate(zip(centers.tolist(), neighbors.tolist())):
        sums[i] += e[j] * (pair_features.filter.weight @ waves[edge])
    expected = torch.nn.functional.silu(pair_features.mix(sums))
    found = pair_features(vectors, species, centers, neighbors)
    torch.testing.assert_close(found, expected)
