"""A model extended by new atomic types: what it knew stays, what is new can be learnt."""

import pytest
import torch

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import graph_of_edges
from mt_shared.options import merge_hypers
from mt_shared.registry import installed
from mt_soap_bpnn.model import SoapBpnn

ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions",))
OLD = [1, 1, 1, 6, 6, 8]
NEW = [1, 3, 6, 7, 8, 17]


def make(**model_hypers):
    soap = {"max_angular": 2, "max_radial": 2}
    hypers = merge_hypers(installed()["soap_bpnn"], {"model": {"soap": soap, **model_hypers}})
    torch.manual_seed(0)
    model = SoapBpnn(hypers.model, DatasetInfo("angstrom", (1, 6, 8), {"energy": ENERGY}))
    return model.to(torch.float64).eval()


def energies(model, types):
    """Of the same random edges between atoms of these types."""
    generator = torch.Generator().manual_seed(1)
    vectors = 1.5 * torch.randn(40, 3, dtype=torch.float64, generator=generator)
    centers, neighbors = torch.randint(len(types), (2, 40), generator=generator)
    species = model.type_to_species[torch.tensor(types)]
    return model.predict(graph_of_edges(vectors, species, centers, neighbors))["energy"].detach()


@pytest.fixture(params=[{}, {"legacy": False}, {"bpnn": {"layernorm": False}}], ids=str)
def model(request):
    return make(**request.param)


def extend(model):
    """By nitrogen, then by lithium and chlorine."""
    once = model.restart(DatasetInfo("angstrom", (1, 7), {}))
    return once.restart(DatasetInfo("angstrom", (3, 17), {})).eval()


def test_structures_of_the_old_types_keep_their_energies(model):
    torch.testing.assert_close(
        energies(extend(model), OLD), energies(model, OLD), rtol=0, atol=1e-14
    )


def test_an_extended_model_comes_back_from_its_checkpoint(model):
    extended = extend(model)
    again = SoapBpnn.load_checkpoint(extended.get_checkpoint(), "export").eval()
    assert again.atomic_types == NEW
    assert torch.equal(energies(again, NEW), energies(extended, NEW))


def test_derivatives_by_hand_know_the_groups_of_an_extended_model():
    extended = extend(make())
    torch.testing.assert_close(energies(extended, NEW), energies(extended.train(), NEW))


def test_with_equal_data_nothing_changes(model):
    assert model.restart(model.dataset_info) is model
