"""Samples of a data set, for trainers with a loop of their own."""

import pickle

import ase.io
import metatensor.torch
import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.neighborlist import neighbor_list
from metatomic.torch import NeighborListOptions
from torch.utils.data import DataLoader, Subset

from mt_shared.contract import Scalar, Spherical
from mt_shared.data import Dataset, TargetLabels, read_dataset, with_neighbor_lists
from mt_shared.options import DatasetSpec, GradientSpec, SystemsSpec, TargetSpec

NUM_FRAMES = 4
# extended xyz has eight decimals in its columns
COLUMN_PRECISION = 1e-8


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    frames = []
    for number in range(NUM_FRAMES):
        atoms = bulk("Cu", cubic=True) * (1 + number % 2, 1, 1)
        atoms.rattle(0.05, rng=rng)
        atoms.info |= {"E": rng.normal(), "Q": float(number), "mu": rng.normal(size=3)}
        atoms.info["sigma"] = rng.normal(size=(3, 3))
        atoms.info["sigma"] += atoms.info["sigma"].T
        atoms.arrays |= {"f": rng.normal(size=(len(atoms), 3)), "q": rng.normal(size=len(atoms))}
        frames.append(atoms)
    return frames


@pytest.fixture
def dataset(tmp_path, frames) -> Dataset:
    path = str(tmp_path / "cu.xyz")
    ase.io.write(path, frames, format="extxyz")
    gradients = (GradientSpec("forces", "f", path), GradientSpec("stress", "sigma", path))
    vector = {"cartesian": {"rank": 1}}
    targets = (
        TargetSpec("energy", "E", path, quantity="energy", unit="eV", gradients=gradients),
        TargetSpec("mtt::dipole", "mu", path, type=vector),
        TargetSpec("mtt::q", "q", path, sample_kind="atom"),
    )
    inputs = (
        TargetSpec("charge", "Q", path, unit="e"),
        TargetSpec("mtt::push", "f", path, sample_kind="atom", type=vector),
    )
    return read_dataset(DatasetSpec(SystemsSpec(path, length_unit="A"), targets, inputs))


def test_a_sample_has_the_system_first_then_targets_and_inputs_by_name(dataset):
    sample = dataset[1]
    assert sample._fields == ("system", "energy", "mtt::dipole", "mtt::q", "charge", "mtt::push")
    assert sample.system is sample["system"] is sample[0]
    assert sample.energy is sample["energy"] is sample[1]
    assert sample["mtt::dipole"] is sample[2]
    assert list(sample._asdict()) == list(sample._fields)
    system, *labels = sample
    assert (system, len(labels)) == (sample.system, 5)


def test_a_name_that_is_not_there_is_told_with_those_that_are(dataset):
    with pytest.raises(KeyError, match=r"no 'enrgy'; it has system, energy"):
        dataset[0]["enrgy"]
    with pytest.raises(AttributeError, match=r"no 'enrgy'; it has system, energy"):
        _ = dataset[0].enrgy


def test_the_system_is_the_structure_in_double_precision(dataset, frames):
    for sample, atoms in zip(dataset, frames, strict=True):
        system = sample.system
        assert system.positions.dtype == torch.float64
        np.testing.assert_allclose(system.positions, atoms.positions, atol=COLUMN_PRECISION)
        np.testing.assert_array_equal(system.cell, atoms.cell.array)
        np.testing.assert_array_equal(system.types, atoms.numbers)
        assert system.pbc.all()


def test_an_energy_has_its_derivatives_as_gradients(dataset, frames):
    block = dataset[3].energy.block()
    assert block.properties.names == ["energy"]
    assert (block.samples.names, block.samples.values.tolist()) == (["system"], [[3]])
    assert block.values.tolist() == [[frames[3].info["E"]]]

    forces = block.gradient("positions")
    assert forces.samples.names == ["sample", "system", "atom"]
    assert forces.samples.values.tolist() == [[0, 3, atom] for atom in range(8)]
    assert [axis.names for axis in forces.components] == [["xyz"]]
    np.testing.assert_allclose(-forces.values[..., 0], frames[3].arrays["f"], atol=1e-8)

    strain = block.gradient("strain")
    assert strain.samples.names == ["sample"]
    assert [axis.names for axis in strain.components] == [["xyz_1"], ["xyz_2"]]
    stress = strain.values[0, ..., 0] / frames[3].get_volume()
    np.testing.assert_allclose(stress, frames[3].info["sigma"])


def test_a_target_of_atoms_has_a_sample_of_each(dataset, frames):
    block = dataset[2]["mtt::q"].block()
    assert block.samples.names == ["system", "atom"]
    assert block.samples.values.tolist() == [[2, 0], [2, 1], [2, 2], [2, 3]]
    assert block.properties.names == ["q"]
    np.testing.assert_allclose(block.values[:, 0], frames[2].arrays["q"], atol=COLUMN_PRECISION)


def test_a_vector_has_its_components(dataset, frames):
    block = dataset[1]["mtt::dipole"].block()
    assert [axis.names for axis in block.components] == [["xyz"]]
    assert block.properties.names == ["dipole"]
    np.testing.assert_allclose(block.values[0, :, 0], frames[1].info["mu"])


def test_irreps_are_a_block_each(dataset):
    values = np.arange(NUM_FRAMES * 4.0).reshape(NUM_FRAMES, 4, 1)
    labels = TargetLabels(values, type=Spherical(((0, 1), (1, -1))))
    sample = Dataset(dataset.structures, {"mtt::t": labels}, dataset.frames, "made by hand")[1]
    found = sample["mtt::t"]
    assert found.keys.names == ["o3_lambda", "o3_sigma"]
    assert found.keys.values.tolist() == [[0, 1], [1, -1]]
    assert found.block(0).values.flatten().tolist() == [4.0]
    vector = found.block({"o3_lambda": 1})
    assert vector.components[0].values.flatten().tolist() == [-1, 0, 1]
    assert vector.values.flatten().tolist() == [5.0, 6.0, 7.0]


def test_a_missing_label_is_nan(dataset):
    labels = TargetLabels(np.array([[1.0], [np.nan], [3.0], [4.0]]), type=Scalar())
    gappy = Dataset(dataset.structures, {"mtt::x": labels}, dataset.frames, "made by hand")
    assert gappy[1]["mtt::x"].block().values.isnan().all()


def test_inputs_are_in_the_sample_and_in_the_system(dataset, frames):
    sample = dataset[3]
    assert sample["charge"].block().samples.values.tolist() == [[3]]
    charge = sample.system.get_data("charge")
    assert charge.block().values.tolist() == sample["charge"].block().values.tolist() == [[3.0]]
    # as an engine gives it: of one system, in a unit that metatomic converts
    assert charge.block().samples.values.tolist() == [[0]]
    assert charge.block().properties.names == ["charge"]
    assert charge.get_info("unit") == "e"
    push = sample.system.get_data("mtt::push").block()
    assert push.values.shape == (8, 3, 1)
    np.testing.assert_allclose(push.values[..., 0], frames[3].arrays["f"], atol=COLUMN_PRECISION)


class Asking(torch.nn.Module):
    """A module that asks for a neighbor list, and has another one that does."""

    def __init__(self, cutoff, *children):
        super().__init__()
        self.cutoff = cutoff
        self.parts = torch.nn.ModuleList(children)

    def requested_neighbor_lists(self):
        return [NeighborListOptions(cutoff=self.cutoff, full_list=True, strict=True)]


def test_systems_have_the_neighbor_lists_that_a_model_and_its_parts_ask_for(dataset, frames):
    model = torch.nn.Sequential(Asking(3.0, Asking(4.5)), Asking(3.0))
    (ready,) = with_neighbor_lists([dataset], model)
    assert dataset[0].system.known_neighbor_lists() == []
    for sample, atoms in zip(ready, frames, strict=True):
        known = sample.system.known_neighbor_lists()
        assert sorted(each.cutoff for each in known) == [3.0, 4.5]
        for options in known:
            found = sample.system.get_neighbor_list(options).samples.values
            expected = np.column_stack(neighbor_list("ijS", atoms, options.cutoff))
            assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, expected.tolist()))


def test_the_neighbor_lists_stay_with_a_part_of_the_data(dataset):
    (ready,) = with_neighbor_lists([dataset], Asking(3.0))
    assert ready.subset([2])[0].system.known_neighbor_lists()[0].cutoff == 3.0


def test_indices_are_those_of_a_list(dataset):
    assert len(dataset) == len(list(dataset)) == NUM_FRAMES
    assert dataset[-1].charge.block().values.item() == 3.0
    assert dataset[np.int64(2)].charge.block().values.item() == 2.0
    assert dataset[torch.tensor(2)].charge.block().values.item() == 2.0
    with pytest.raises(IndexError):
        dataset[NUM_FRAMES]


def test_torch_takes_parts_and_batches_of_it(dataset):
    half = Subset(dataset, [3, 1])
    assert [half[i].charge.block().values.item() for i in range(2)] == [3.0, 1.0]
    batches = list(DataLoader(dataset, batch_size=3, collate_fn=list))
    assert [[len(sample.system) for sample in batch] for batch in batches] == [[4, 8, 4], [8]]


def test_metatensor_joins_what_samples_have(dataset):
    joined = metatensor.torch.join([sample.energy for sample in dataset], axis="samples")
    assert joined.block().samples.column("system").tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(joined.block().values, dataset.labels["energy"].values)
    assert len(joined.block().gradient("positions").samples) == dataset.structures.num_atoms


def test_a_sample_comes_back_from_another_process(dataset):
    (ready,) = with_neighbor_lists([dataset], Asking(3.0))
    found = pickle.loads(pickle.dumps(ready[1]))
    assert found._fields == ready[1]._fields
    assert metatensor.torch.equal(found.energy, ready[1].energy)
    assert torch.equal(found.system.positions, ready[1].system.positions)
