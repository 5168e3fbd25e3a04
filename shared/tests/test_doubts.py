"""Labels that cannot be: the same for all structures, or several for one."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from mt_shared.data import Dataset, Structures, TargetLabels, label_doubts, offsets_from_counts

NUM_FRAMES = 6


def structures_of(images):
    return Structures(
        positions=np.concatenate([atoms.positions for atoms in images]),
        types=np.concatenate([atoms.numbers for atoms in images]).astype(np.int32),
        cells=np.stack([atoms.cell.array for atoms in images]),
        pbc=np.stack([atoms.pbc for atoms in images]),
        offsets=offsets_from_counts([len(atoms) for atoms in images]),
    )


def dataset_of(images, values, name="energy", sample_kind="system", **gradients):
    labels = TargetLabels(np.asarray(values, dtype=float).reshape(-1, 1), gradients, sample_kind)
    return Dataset(structures_of(images), {name: labels}, np.arange(len(images)), "data.xyz")


def rattled(atoms, number=NUM_FRAMES, seed=0):
    rng = np.random.default_rng(seed)
    images = [atoms.copy() for _ in range(number)]
    for image in images:
        image.rattle(0.1, rng=rng)
    return images


WATER, ETHANOL = rattled(molecule("H2O")), rattled(molecule("CH3CH2OH"))
LABELS = {
    "an energy": ("energy", "system", np.full(6, -3.5), "'energy' is -3.5 in all 6 frames"),
    "zeros": ("mtt::gap", "system", np.zeros(6), "'mtt::gap' is 0 in all 6 frames"),
    "charges": ("mtt::q", "atom", np.zeros(18), "'mtt::q' is 0 in all 6 frames"),
    "charges of elements": (
        "mtt::q",
        "atom",
        np.tile([-0.8, 0.4, 0.4], 6),
        "'mtt::q' is the same in all frames",
    ),
}


@pytest.mark.parametrize("name", LABELS)
def test_a_target_that_is_equal_in_all_frames_is_named(name):
    target, kind, values, said = LABELS[name]
    (doubt,) = label_doubts([dataset_of(WATER, values, target, kind)])
    assert said in doubt and "although the structures differ" in doubt


def test_it_is_found_across_data_sets_and_not_in_one_of_several():
    first, second = (dataset_of(WATER[i : i + 3], np.full(3, 1.0)) for i in (0, 3))
    (doubt,) = label_doubts([first, second])
    assert "in all 6 frames" in doubt
    other = dataset_of(WATER[3:], [1.0, 2.0, 3.0])
    assert not list(label_doubts([first, other]))


def test_an_energy_that_the_composition_alone_decides_is_named():
    energies = np.repeat([1.0, 2.0], NUM_FRAMES)
    (doubt,) = label_doubts([dataset_of(WATER + ETHANOL, energies)])
    assert "the same in all frames of the same atoms" in doubt
    energies[-1] += 1e-6
    assert not list(label_doubts([dataset_of(WATER + ETHANOL, energies)]))


def test_forces_of_one_frame_in_all_of_them_are_named():
    """As a calculator gives them that was not asked anew."""
    gradients = np.tile(np.random.default_rng(0).normal(size=(3, 3)), (NUM_FRAMES, 1))
    data = dataset_of(WATER, np.arange(NUM_FRAMES), positions=gradients)
    (doubt,) = label_doubts([data])
    assert "forces of 'energy' are the same in all frames" in doubt
    (doubt,) = label_doubts([dataset_of(WATER, np.arange(NUM_FRAMES), positions=0 * gradients)])
    assert "forces of 'energy' are 0 in all 6 frames" in doubt
    # the file has them with the other sign
    (doubt,) = label_doubts([dataset_of(WATER, np.arange(NUM_FRAMES), positions=0 * gradients + 2)])
    assert "forces of 'energy' are one and the same number in all 6 frames" in doubt


def test_a_stress_of_zeros_is_named():
    strain = np.zeros((NUM_FRAMES, 3, 3))
    images = rattled(bulk("Cu", cubic=True))
    (doubt,) = label_doubts([dataset_of(images, np.arange(NUM_FRAMES), strain=strain)])
    assert "stress of 'energy' is 0 in all 6 frames" in doubt


def test_forces_that_are_zero_by_symmetry_are_none_of_it():
    images = [bulk("Cu", a=a) for a in np.linspace(3.4, 3.8, NUM_FRAMES)]
    for atoms in images:
        atoms.calc = EMT()
    energies = [atoms.get_potential_energy() for atoms in images]
    forces = np.concatenate([np.round(atoms.get_forces(), 12) + 0.0 for atoms in images])
    assert not list(label_doubts([dataset_of(images, energies, positions=-forces + 0.0)]))


def test_equal_structures_may_have_equal_labels():
    assert not list(label_doubts([dataset_of([WATER[0]] * 3, np.ones(3))]))
    assert not list(label_doubts([dataset_of(WATER[:1], [1.0])]))


def test_two_labels_of_one_structure_are_named():
    energies = np.arange(NUM_FRAMES, dtype=float)
    data = dataset_of([*WATER[:5], WATER[0]], energies)
    (doubt,) = label_doubts([data])
    assert "'energy' of 1 structures that are there twice differs, by up to 5" in doubt
    energies[5] = energies[0] + 1e-7
    assert not list(label_doubts([dataset_of([*WATER[:5], WATER[0]], energies)]))


def test_missing_labels_are_no_labels():
    values = np.array([np.nan, 1.0, 1.0, np.nan, 1.0, 1.0])
    (doubt,) = label_doubts([dataset_of(WATER, values)])
    assert "is 1 in all 4 frames" in doubt
    assert not list(label_doubts([dataset_of(WATER, np.full(6, np.nan))]))
    assert not list(label_doubts([]))
    empty = dataset_of(WATER, np.arange(6.0)).subset([])
    assert not list(label_doubts([empty, replace(empty, labels={})]))
