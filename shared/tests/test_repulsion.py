"""The repulsion is in the model's energies, and taken off the labels that it is trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list
from metatensor.torch import Labels, TensorBlock
from metatomic.torch import ModelMetadata, ModelOutput, System, register_autograd_neighbors

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Dataset, Structures, TargetLabels, offsets_from_counts
from mt_shared.engine import repulsion, without_repulsion
from mt_shared.model import BaseModel

ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions", "strain"))
OTHER_UNIT = TargetInfo(quantity="energy", unit="kcal/mol")
OF_ATOMS = TargetInfo(quantity="energy", unit="eV", sample_kind="atom")
TARGETS = {
    "energy": ENERGY,
    "mtt::other": OTHER_UNIT,
    "mtt::atoms": OF_ATOMS,
    "mtt::no_energy": TargetInfo(),
}
INFO = DatasetInfo("angstrom", (1, 6, 8, 12), TARGETS)
CUTOFF = 4.0
KCAL = 23.060547830619


class Nothing(BaseModel):
    """A model without a network: all that it predicts are its baselines."""

    __default_metadata__ = ModelMetadata()
    __supported_dtypes__ = (torch.float64,)

    def __init__(self, hypers, dataset_info, cutoff=CUTOFF):
        super().__init__(hypers, dataset_info, cutoff, zbl=hypers["zbl"])
        self.weight = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.add_targets(dataset_info.targets)

    def make_head(self, name, target):
        return None

    def predict(self, graph, targets=None):
        zeros = graph.vectors.new_zeros((len(graph.species), 1))
        return dict.fromkeys(self.baselines, zeros)


def frames():
    """A molecule and a crystal with short bonds, and atoms of all kinds mixed."""
    ethanol = molecule("CH3CH2OH")
    ethanol.positions *= 0.8
    crystal = bulk("MgO", "rocksalt", 3.3)
    crystal.rattle(0.1, seed=1)
    return [ethanol, crystal, molecule("H2O"), molecule("CO")]


def structures(atoms):
    return Structures(
        positions=np.concatenate([frame.positions for frame in atoms]),
        types=np.concatenate([frame.numbers for frame in atoms]).astype(np.int32),
        cells=np.stack([frame.cell.array for frame in atoms]),
        pbc=np.stack([frame.pbc for frame in atoms]),
        offsets=offsets_from_counts([len(frame) for frame in atoms]),
    )


def neighbors_of(frame):
    centers, neighbors, shifts, vectors = neighbor_list("ijSD", frame, CUTOFF)
    names = ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]
    samples = np.column_stack([centers, neighbors, shifts]).astype(np.int32)
    return TensorBlock(
        values=torch.tensor(vectors).unsqueeze(2),
        samples=Labels(names, torch.from_numpy(samples)),
        components=[Labels.range("xyz", 3)],
        properties=Labels.range("distance", 1),
    )


def systems(model, atoms):
    """Systems with positions and cells strained by the identity."""
    positions, strains, found = [], [], []
    for frame in atoms:
        positions.append(torch.tensor(frame.positions).requires_grad_())
        strains.append(torch.eye(3, dtype=torch.float64).requires_grad_())
        system = System(
            types=torch.tensor(frame.numbers, dtype=torch.int32),
            positions=positions[-1] @ strains[-1],
            cell=torch.tensor(frame.cell.array) @ strains[-1],
            pbc=torch.tensor(frame.pbc),
        )
        neighbors = neighbors_of(frame)
        register_autograd_neighbors(system, neighbors)
        system.add_neighbor_list(model.neighbor_list, neighbors)
        found.append(system)
    return found, positions, strains


def values_of(model, inputs):
    outputs = {name: ModelOutput(sample_kind="system") for name in TARGETS}
    outputs["mtt::atoms"] = ModelOutput(sample_kind="atom")
    return {name: result.block().values for name, result in model(inputs, outputs).items()}


def predicted(model, atoms):
    """What the model itself predicts, by the way that engines go, as labels."""
    inputs, positions, strains = systems(model, atoms)
    values = values_of(model, inputs)
    gradients = torch.autograd.grad(values["energy"].sum(), [*positions, *strains])
    numbers = len(atoms)
    by_part = {
        "positions": torch.cat(gradients[:numbers]).numpy(),
        "strain": torch.stack(gradients[numbers:]).numpy(),
    }
    return {
        name: TargetLabels(
            value.detach().numpy(),
            gradients=by_part if name == "energy" else {},
            sample_kind=TARGETS[name].sample_kind,
            unit=TARGETS[name].unit,
        )
        for name, value in values.items()
    }


def dataset_of(atoms, labels):
    return Dataset(structures(atoms), labels, np.arange(len(atoms)), "frames()")


@pytest.fixture
def model():
    return Nothing({"zbl": True}, INFO)


@pytest.fixture
def dataset(model):
    atoms = frames()
    return dataset_of(atoms, predicted(model, atoms))


def arrays(dataset):
    for name, labels in dataset.labels.items():
        yield name, labels.values
        for part, gradient in labels.gradients.items():
            yield f"{name} {part}", gradient


def test_what_the_model_predicts_by_its_repulsion_is_taken_off_the_labels(model, dataset):
    """Energies in two units, of structures and of atoms; forces; strain."""
    (rest,) = without_repulsion(model, [dataset])
    before = dict(arrays(dataset))
    for name, array in arrays(rest):
        if name != "mtt::no_energy":
            assert np.abs(before[name]).max() > 0.5, f"{name} says nothing"
        np.testing.assert_allclose(array, 0, atol=1e-10, err_msg=name)


def test_the_labels_that_were_given_stay_as_they_are(model, dataset):
    before = {name: array.copy() for name, array in arrays(dataset)}
    without_repulsion(model, [dataset])
    for name, array in arrays(dataset):
        np.testing.assert_array_equal(array, before[name])


def test_units_of_the_targets(model, dataset):
    labels = dataset.labels
    np.testing.assert_allclose(labels["mtt::other"].values, KCAL * labels["energy"].values)
    assert not labels["mtt::no_energy"].values.any()


def test_a_model_in_nanometers_takes_off_the_same(dataset):
    inside = replace(dataset.structures, positions=dataset.structures.positions / 10)
    inside = replace(inside, cells=dataset.structures.cells / 10)
    labels = dataset.labels["energy"]
    gradients = labels.gradients | {"positions": 10 * labels.gradients["positions"]}
    labels = replace(labels, gradients=gradients)
    info = DatasetInfo("nm", INFO.atomic_types, {"energy": ENERGY})
    nanometers = replace(dataset, structures=inside, labels={"energy": labels}, status={})
    (rest,) = without_repulsion(Nothing({"zbl": True}, info, CUTOFF / 10), [nanometers])
    for name, array in arrays(rest):
        np.testing.assert_allclose(array, 0, atol=1e-9, err_msg=name)


def test_a_missing_label_stays_missing(model, dataset):
    labels = dataset.labels["energy"]
    labels.values[1] = np.nan
    labels.gradients["positions"][:2] = np.nan
    labels.gradients["strain"][0] = np.nan
    (rest,) = without_repulsion(model, [replace(dataset, status={})])
    for (name, before), (_, after) in zip(arrays(dataset), arrays(rest)):
        np.testing.assert_array_equal(np.isnan(before), np.isnan(after), err_msg=name)


def test_a_data_set_without_forces_or_without_a_target(model, dataset):
    plain = replace(dataset.labels["energy"], gradients={})
    (rest,) = without_repulsion(model, [replace(dataset, labels={"energy": plain}, status={})])
    assert list(rest.labels) == ["energy"]
    np.testing.assert_allclose(rest.labels["energy"].values, 0, atol=1e-10)


def test_batches_do_not_change_the_numbers(model, dataset, monkeypatch):
    (whole,) = without_repulsion(model, [dataset])
    monkeypatch.setattr(repulsion, "MAX_ATOMS", 5)
    (cut,) = without_repulsion(model, [dataset])
    for (name, one), (_, other) in zip(arrays(whole), arrays(cut)):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12, err_msg=name)


def test_no_structures(model, dataset):
    (rest,) = without_repulsion(model, [dataset.subset([])])
    assert len(rest) == 0


def test_without_zbl_nothing_is_done(dataset):
    model = Nothing({"zbl": False}, INFO)
    assert without_repulsion(model, [dataset])[0] is dataset
    inputs, _, _ = systems(model, frames())
    assert not any(values.any() for values in values_of(model, inputs).values())


def test_energies_that_come_later_are_repelled_too():
    model = Nothing({"zbl": True}, DatasetInfo("angstrom", (1, 8), {"energy": ENERGY}))
    later = DatasetInfo("angstrom", (1, 8), {"mtt::later": OTHER_UNIT})
    assert model.restart(later).repelled == pytest.approx({"energy": 1.0, "mtt::later": KCAL})


def test_restart_with_the_same_data_changes_nothing(model):
    before = dict(model.repelled)
    assert model.restart(INFO) is model
    assert model.repelled == before
