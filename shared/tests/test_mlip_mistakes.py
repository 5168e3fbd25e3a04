"""What the author of an architecture is told of the usual mistakes."""

import pytest
import torch
from metatomic.torch import ModelMetadata

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Graph, graph_of_edges
from mt_shared.errors import ArchitectureError
from mt_shared.mlip import MLIPModel
from mt_shared.model import BaseModel, Head

INFO = DatasetInfo("angstrom", (1, 8), {"energy": TargetInfo(quantity="energy", unit="eV")})
NUM_ATOMS, NUM_SYSTEMS, NUM_FEATURES = 5, 2, 3


class Mine(MLIPModel):
    """Returns from its hook what a test tells it to."""

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata()

    def __init__(self, result, **arguments):
        super().__init__({}, INFO, cutoff=3.0, **arguments)
        self.result = result


class OfEnergies(Mine):
    def energies(self, graph: Graph):
        return self.result


class OfFeatures(Mine):
    def atomic_features(self, graph: Graph):
        return self.result


class OfBoth(OfEnergies, OfFeatures):
    pass


def graph():
    """Five atoms in two structures, without an edge."""
    none = torch.zeros(0, dtype=torch.int64)
    species, system = torch.tensor([0, 1, 0, 0, 1]), torch.tensor([0, 0, 0, 1, 1])
    edgeless = graph_of_edges(torch.zeros(0, 3), species, none, none)
    return edgeless._replace(system=system, num_atoms=torch.tensor([3, 2]))


def predict(model):
    return model.predict(graph())


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (torch.zeros(NUM_ATOMS, 1), r"\(5, 1\)"),
        (torch.zeros(NUM_SYSTEMS), r"\(2,\)"),
        (torch.zeros(()), r"\(\)"),
        (torch.zeros(NUM_ATOMS, 2), r"\(5, 2\)"),
        (None, "NoneType"),
        ((torch.zeros(NUM_ATOMS), None), "tuple"),
    ],
)
def test_energies_of_atoms_of_another_shape(result, found):
    expected = rf"OfEnergies\.energies returned {found}, expected .*\(A,\) = \(5,\)"
    with pytest.raises(ArchitectureError, match=expected):
        predict(OfEnergies(result))


def test_energies_of_structures_of_another_shape():
    expected = r"energies returned \(5,\), expected .*\(S,\) = \(2,\)"
    with pytest.raises(ArchitectureError, match=expected):
        predict(OfEnergies(torch.zeros(NUM_ATOMS), atomic_energies=False))


@pytest.mark.parametrize("shape", [(NUM_ATOMS,), (NUM_ATOMS, 4), (NUM_SYSTEMS, NUM_FEATURES)])
def test_features_of_another_shape(shape):
    with pytest.raises(ArchitectureError, match=r"atomic_features returned .*\(A, F\) = \(5, 3\)"):
        predict(OfFeatures(torch.zeros(shape), num_features=NUM_FEATURES))


class OfTheGeneralKind(BaseModel):
    __checkpoint_version__ = 1
    __supported_dtypes__ = (torch.float32,)
    __default_metadata__ = ModelMetadata()

    def __init__(self, result):
        super().__init__({}, INFO, cutoff=3.0)
        self.result = result
        self.add_targets(INFO.targets)

    def features(self, graph: Graph):
        return self.result

    def make_head(self, name, target):
        return Head(NUM_FEATURES, 1, num_species=1, hidden=True)


@pytest.mark.parametrize("shape", [(NUM_ATOMS,), (NUM_SYSTEMS, NUM_FEATURES), (NUM_ATOMS, 3, 1)])
def test_features_of_the_general_kind_of_another_shape(shape):
    expected = r"OfTheGeneralKind\.features returned .*\(A, F\) = \(5, any\)"
    with pytest.raises(ArchitectureError, match=expected):
        predict(OfTheGeneralKind(torch.zeros(shape)))


def test_what_has_the_right_shape_is_taken():
    assert predict(OfEnergies(torch.ones(NUM_ATOMS)))["energy"].shape == (NUM_ATOMS, 1)
    halves = predict(OfEnergies(torch.ones(NUM_SYSTEMS), atomic_energies=False))["energy"]
    assert torch.equal(halves.flatten(), torch.tensor([1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2]))
    features = torch.ones(NUM_ATOMS, NUM_FEATURES)
    model = OfFeatures(features, num_features=NUM_FEATURES)
    assert predict(model)["energy"].shape == (NUM_ATOMS, 1)


@pytest.mark.parametrize(
    ("cls", "num_features", "wanted", "defined"),
    [
        (Mine, None, "energies", "none"),
        (Mine, NUM_FEATURES, "atomic_features", "none"),
        (OfFeatures, None, "energies", "atomic_features"),
        (OfEnergies, NUM_FEATURES, "atomic_features", "energies"),
        (OfBoth, None, "energies", "energies and atomic_features"),
        (OfBoth, NUM_FEATURES, "atomic_features", "energies and atomic_features"),
    ],
)
def test_the_wrong_hook_is_refused_before_training(cls, num_features, wanted, defined):
    expected = f"{cls.__name__} .*must define '{wanted}' .*it defines {defined}"
    with pytest.raises(ArchitectureError, match=expected):
        cls(None, num_features=num_features)
