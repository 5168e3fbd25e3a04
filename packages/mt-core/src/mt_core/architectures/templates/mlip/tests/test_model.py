"""The mathematics of my_network alone; all else is proved by ``mt conformance my_network``."""

import torch

import mt_my_network
from mt_shared.contract import DatasetInfo
from mt_shared.data import graph_of_edges

CUTOFF = 4.0
HYPERS = {"cutoff": CUTOFF, "num_features": 6, "num_radial": 5}
MODEL = mt_my_network.__model__(HYPERS, DatasetInfo("angstrom", (1, 8), {})).double()


def test_radial_functions_fade_out_at_the_cutoff_with_their_slope():
    r = torch.tensor([[CUTOFF]], dtype=torch.float64, requires_grad=True)
    values = MODEL.radial(r)
    (slope,) = torch.autograd.grad(values.sum(), r)
    torch.testing.assert_close(values, torch.zeros_like(values))
    torch.testing.assert_close(slope, torch.zeros_like(slope))


def test_energies_are_those_of_the_formula():
    vectors = torch.tensor([[0, 1.5, 2.0], [0, -1.5, -2.0]], dtype=torch.float64)
    species, edges = torch.tensor([0, 1]), torch.tensor([[0, 1], [1, 0]])
    found = MODEL.energies(graph_of_edges(vectors, species, centers=edges[0], neighbors=edges[1]))
    first, second = MODEL.embedding.weight
    waves = MODEL.filter.weight @ MODEL.radial(torch.tensor([[2.5]], dtype=torch.float64))[0]
    sums = torch.stack([first + second * waves, second + first * waves])
    expected = torch.nn.functional.silu(MODEL.mix(sums)) @ MODEL.readout.weight[0]
    torch.testing.assert_close(found, expected)
