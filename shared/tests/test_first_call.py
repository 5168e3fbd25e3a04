"""A model is called once before it is trained: does it have what it reads, and read what it has?"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from metatomic.torch import ModelMetadata

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Dataset, Graph, Structures, TargetLabels
from mt_shared.engine.first_call import check_first_call
from mt_shared.errors import ArchitectureError, OptionsError
from mt_shared.mlip import MLIPModel

ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions",))
INFO = DatasetInfo("angstrom", (1, 8), {"energy": ENERGY})
CHARGED = DatasetInfo("angstrom", (1, 8), {"energy": ENERGY}, {"charge": TargetInfo(unit="e")})


class Model(MLIPModel):
    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata()

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info, cutoff=3.0)
        self.depths = torch.nn.Embedding(self.num_species, 1)


class OfEdges(Model):
    def energies(self, graph: Graph):
        pairs = torch.exp(-torch.linalg.vector_norm(graph.vectors, dim=1))
        zeros = torch.zeros(len(graph.species), dtype=pairs.dtype)
        depths = self.depths(graph.species)[:, 0]
        return depths * zeros.index_add(0, graph.centers, pairs)


class OfPositions(Model):
    def energies(self, graph: Graph):
        vectors = graph.positions[graph.neighbors] - graph.positions[graph.centers]
        pairs = torch.exp(-torch.linalg.vector_norm(vectors, dim=1))
        zeros = torch.zeros(len(graph.species), dtype=pairs.dtype)
        return self.depths(graph.species)[:, 0] * zeros.index_add(0, graph.centers, pairs)


class OfPositionsInSilence(Model):
    """An empty tensor has a sum too."""

    def energies(self, graph: Graph):
        return self.depths(graph.species)[:, 0] * (1 + graph.positions.square().sum())


class OfCells(Model):
    def energies(self, graph: Graph):
        return self.depths(graph.species)[:, 0] * (1 + graph.cells.sum())


class OfPositionsLater(Model):
    """By a term that begins at zero."""

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info)
        self.coupling = torch.nn.Parameter(torch.zeros(()))

    def energies(self, graph: Graph):
        depths = self.depths(graph.species)[:, 0]
        return depths + self.coupling * graph.positions.square().sum()


class OfAnyInput(Model):
    def energies(self, graph: Graph):
        charges = torch.cat(list(graph.inputs.values()), dim=1)[graph.system][:, 0]
        return self.depths(graph.species)[:, 0] * charges


class WithABug(Model):
    def energies(self, graph: Graph):
        return self.depths(graph.species)[:, 0] * {1: 2.0}[79]


class OfReverse(Model):
    def energies(self, graph: Graph):
        lengths = torch.linalg.vector_norm(graph.vectors, dim=1)
        zeros = torch.zeros(len(graph.species), dtype=lengths.dtype)
        sums = zeros.index_add(0, graph.centers, torch.exp(-lengths[graph.reverse]))
        return self.depths(graph.species)[:, 0] * sums


class OfCharge(Model):
    def energies(self, graph: Graph):
        charges = graph.inputs["charge"][graph.system][:, 0]
        return self.depths(graph.species)[:, 0] * charges


def declared(cls, **attributes):
    return type(cls.__name__, (cls,), attributes)


def molecules() -> Dataset:
    """An atom alone, as data sets often begin, and water around the origin."""
    water = np.array([[-0.1, -0.2, 0.0], [0.6, 0.3, 0.1], [-0.5, -0.1, -0.1]])
    structures = Structures(
        positions=np.concatenate([np.zeros((1, 3)), water]),
        types=np.array([8, 8, 1, 1], dtype=np.int32),
        cells=np.zeros((2, 3, 3)),
        pbc=np.zeros((2, 3), dtype=bool),
        offsets=np.array([0, 1, 4]),
    )
    labels = {"energy": TargetLabels(np.zeros((2, 1)), {"positions": np.zeros((4, 3))})}
    extra = {"charge": TargetLabels(np.zeros((2, 1)))}
    return Dataset(structures, labels, np.arange(2), "molecules.xyz", extra)


def check(cls, info=INFO):
    torch.manual_seed(0)
    model = cls({}, info).double().train()
    check_first_call(model, molecules(), info, torch.float64)
    assert model.training


@pytest.mark.parametrize("cls", [OfPositions, OfPositionsInSilence, OfCells, OfPositionsLater])
def test_positions_that_are_not_declared_are_found(cls):
    with pytest.raises(ArchitectureError, match=r"graph\.positions.*reads_positions = True"):
        check(cls)


def test_the_opposite_edge_that_is_not_declared_is_found():
    with pytest.raises(ArchitectureError, match=r"graph\.reverse.*reads_reverse = True"):
        check(OfReverse)


@pytest.mark.parametrize(
    "cls",
    [
        OfEdges,
        declared(OfPositions, reads_positions=True),
        declared(OfReverse, reads_reverse=True),
        # more than it reads
        declared(OfEdges, reads_positions=True, reads_reverse=True),
    ],
)
def test_what_is_declared_is_there(cls):
    check(cls)


def test_an_input_that_the_options_do_not_give_is_named():
    with pytest.raises(ArchitectureError, match=r"input 'charge'.*extra_data: \{charge:"):
        check(OfCharge)


def test_an_input_that_the_model_does_not_read_is_refused():
    with pytest.raises(OptionsError, match=r"input 'charge' \(extra_data\).*does not read"):
        check(OfEdges, CHARGED)


@pytest.mark.parametrize("cls", [OfCharge, OfAnyInput])
def test_an_input_that_is_read_is_fine(cls):
    check(cls, CHARGED)


class Constant(Model):
    def energies(self, graph: Graph):
        return torch.zeros(len(graph.species), dtype=graph.vectors.dtype)


class Detached(OfEdges):
    def energies(self, graph: Graph):
        return super().energies(graph).detach()


@pytest.mark.parametrize("cls", [Constant, Detached])
def test_an_energy_that_has_no_forces_is_named(cls):
    with pytest.raises(ArchitectureError, match=r"energy 'energy'.*have its forces.*no detach"):
        check(cls)


@pytest.mark.parametrize("cls", [Constant, Detached])
def test_without_labels_of_forces_an_energy_needs_none(cls):
    check(cls, replace(INFO, targets={"energy": replace(ENERGY, gradients=())}))


def test_of_atoms_without_neighbors_alone_nothing_is_asked():
    model = Constant({}, INFO).double()
    check_first_call(model, molecules().subset([0]), INFO, torch.float64)


def test_other_mistakes_are_left_to_the_first_step():
    check(WithABug)
