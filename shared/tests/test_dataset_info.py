"""What a model knows of its data: plain values and back, inputs, statistics of the training set."""

import copy
import gc
import pickle
import weakref
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list

from mt_shared.contract import Cartesian, DatasetInfo, Spherical, Statistics, TargetInfo
from mt_shared.data import Dataset, Structures, offsets_from_counts, training_statistics
from mt_shared.errors import DataError

ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions",))
CHARGE = TargetInfo(unit="e")
VELOCITY = TargetInfo(unit="A/fs", sample_kind="atom", type=Cartesian(1))
CUTOFF = 4.0


def info(inputs=None, **more) -> DatasetInfo:
    return DatasetInfo("angstrom", (1, 8), {"energy": ENERGY}, inputs or {}, **more)


def dataset_of(images) -> Dataset:
    structures = Structures(
        positions=np.concatenate([atoms.positions for atoms in images]),
        types=np.concatenate([atoms.numbers for atoms in images]).astype(np.int32),
        cells=np.stack([atoms.cell.array for atoms in images]),
        pbc=np.stack([atoms.pbc for atoms in images]),
        offsets=offsets_from_counts([len(atoms) for atoms in images]),
    )
    return Dataset(structures, {}, np.arange(len(images)), "made by hand")


@pytest.fixture
def training() -> list[Dataset]:
    """Crystals, molecules and an atom without neighbors, in two data sets."""
    first = [bulk("Cu", cubic=True), molecule("CH3CH2OH")]
    return [dataset_of(first), dataset_of([Atoms("He"), bulk("Si")])]


def counted(images, cutoff) -> float:
    pairs = sum(len(neighbor_list("i", atoms, cutoff)) for atoms in images)
    return pairs / sum(map(len, images))


# ---- inputs


def test_a_target_is_of_one_type():
    spherical = TargetInfo(type=Spherical(((1, 1),)))
    for target, name in [(CHARGE, "scalar"), (VELOCITY, "cartesian"), (spherical, "spherical")]:
        kinds = ("scalar", "cartesian", "spherical")
        assert [kind for kind in kinds if getattr(target, f"is_{kind}")] == [name]


def test_inputs_come_back_from_plain_values():
    known = info({"charge": CHARGE, "velocity": VELOCITY})
    assert DatasetInfo.from_dict(known.to_dict()) == known


def test_a_checkpoint_from_before_inputs_has_none():
    old = {"length_unit": "A", "atomic_types": [1], "targets": {"energy": ENERGY.to_dict()}}
    known = DatasetInfo.from_dict(old)
    assert known.inputs == {}
    assert known.statistics.num_structures == 0


def test_a_union_has_the_inputs_of_both():
    both = info({"charge": CHARGE}).union(info({"velocity": VELOCITY}))
    assert both.inputs == {"charge": CHARGE, "velocity": VELOCITY}


def test_an_input_in_two_units_has_no_union():
    with pytest.raises(DataError, match="'charge' is described in two ways"):
        info({"charge": CHARGE}).union(info({"charge": TargetInfo(unit="C")}))


# ---- statistics


def test_statistics_of_a_training_set(training):
    found = training_statistics(training)
    assert (found.num_structures, found.num_atoms) == (4, 4 + 9 + 1 + 2)


@pytest.mark.parametrize("cutoff", [2.0, CUTOFF])
def test_the_mean_number_of_neighbors_is_that_of_ase(training, cutoff):
    images = [bulk("Cu", cubic=True), molecule("CH3CH2OH"), Atoms("He"), bulk("Si")]
    found = training_statistics(training).mean_num_neighbors(cutoff)
    assert found == pytest.approx(counted(images, cutoff))


def test_what_was_asked_for_comes_back_without_the_data(training):
    made = info(statistics=training_statistics(training))
    asked = made.statistics.mean_num_neighbors(CUTOFF)
    again = DatasetInfo.from_dict(made.to_dict())
    assert again.statistics.mean_num_neighbors(CUTOFF) == asked
    assert again.statistics.num_atoms == made.statistics.num_atoms
    assert again.to_dict() == made.to_dict()


def test_another_cutoff_without_the_data_is_an_error_that_names_the_known_ones(training):
    statistics = training_statistics(training)
    statistics.mean_num_neighbors(CUTOFF)
    statistics.forget_data()
    with pytest.raises(DataError, match=r"within 5\.0 is not known .* known are the cutoffs: 4\.0"):
        statistics.mean_num_neighbors(5.0)


def test_an_info_made_by_hand_says_what_to_give_it():
    with pytest.raises(DataError, match=r"statistics=Statistics\(mean_num_neighbors=\{5\.0"):
        info().statistics.mean_num_neighbors(5.0)
    known = info(statistics=Statistics(mean_num_neighbors={5.0: 30.0}))
    assert known.statistics.mean_num_neighbors(5.0) == 30.0
    assert DatasetInfo.from_dict(known.to_dict()).statistics.mean_num_neighbors(5.0) == 30.0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_has_the_numbers_and_not_the_data(training, copied):
    made = info(statistics=training_statistics(training))
    asked = made.statistics.mean_num_neighbors(CUTOFF)
    other = copied(made)
    assert other.statistics.mean_num_neighbors(CUTOFF) == asked
    with pytest.raises(DataError, match="not known"):
        other.statistics.mean_num_neighbors(2.0)


def test_the_data_are_let_go(training):
    statistics = training_statistics(training)
    alive = weakref.ref(training[0].structures)
    statistics.forget_data()
    training.clear()
    gc.collect()
    assert alive() is None


def test_statistics_make_no_difference_between_infos(training):
    assert info(statistics=training_statistics(training)) == info()


def test_a_union_keeps_the_statistics_of_the_model_that_is_there(training):
    model, data = Statistics(10, 90), training_statistics(training)
    assert info(statistics=model).union(info(statistics=data)).statistics is model


def test_of_many_structures_a_thousand_are_counted(monkeypatch):
    # dimers of two lengths by turns; of ten, those at even places count
    short, long = Atoms("H2", [[0, 0, 0], [0, 0, 1.0]]), Atoms("H2", [[0, 0, 0], [0, 0, 3.0]])
    monkeypatch.setattr("mt_shared.data.statistics.MAX_STRUCTURES", 5)
    halves = [dataset_of([short, long] * 3), dataset_of([short, long] * 2)]
    assert training_statistics(halves).mean_num_neighbors(2.0) == 1.0


# ---- how a target is compared


GAP = TargetInfo(unit="eV", extensive=False)


@pytest.mark.parametrize(
    ("target", "is_mean", "by_atom"),
    [
        (ENERGY, False, True),
        (GAP, True, False),
        (replace(ENERGY, per_structure=True), False, False),
        (VELOCITY, False, False),
    ],
)
def test_what_is_compared_by_atom(target, is_mean, by_atom):
    assert (target.is_mean, target.by_atom) == (is_mean, by_atom)
    assert TargetInfo.from_dict(target.to_dict()) == target


def test_a_sum_and_a_mean_have_no_union():
    with pytest.raises(DataError, match="described in two ways"):
        GAP.union(replace(GAP, extensive=True), "mtt::gap")


def test_how_values_are_compared_is_no_other_kind_of_target():
    assert GAP.kind == replace(GAP, per_structure=True).kind
    assert replace(GAP, per_structure=True).union(GAP, "mtt::gap").per_structure


def test_targets_of_older_checkpoints_are_sums():
    old = {
        "quantity": "energy",
        "unit": "eV",
        "sample_kind": "system",
        "type": "scalar",
        "num_subtargets": 1,
        "gradients": ["positions"],
        "description": "",
    }
    assert TargetInfo.from_dict(old) == ENERGY
    # and older versions read those of today
    assert ENERGY.to_dict() == old


def test_the_largest_batch_is_remembered(training):
    made = info(statistics=training_statistics(training))
    made.statistics.largest_batch = 64
    values = made.to_dict()
    assert DatasetInfo.from_dict(values).statistics.largest_batch == 64
    del values["statistics"]["largest_batch"]
    assert DatasetInfo.from_dict(values).statistics.largest_batch == 0
    assert Statistics.from_dict(Statistics(largest_batch=3).to_dict()).largest_batch == 3
