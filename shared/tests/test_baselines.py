"""What is taken off labels before training: it covers all that is left, and a few wrong labels
change nothing of it."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read

from mt_shared.contract import Cartesian, TargetInfo
from mt_shared.data import Structures, TargetLabels, composition_term, offsets_from_counts
from mt_shared.engine import Scale, fit_composition, fit_scale

FRAMES = Path(__file__).parents[2] / "tests/src/mt_conformance/inputs/frames"
ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions", "strain"))
VOLUMES = np.linspace(0.8, 1.3, 54)


def calculated(atoms: ase.Atoms) -> ase.Atoms:
    """With the labels of effective medium theory."""
    atoms.calc = EMT()
    stress = {"stress": atoms.get_stress()} if atoms.pbc.all() else {}
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, **stress)
    return atoms


@cache
def copper(distortion: float = 0.0) -> list[ase.Atoms]:
    """Cells of copper at several volumes: of one atom, or of four that have left their places."""
    frames = []
    for seed, volume in enumerate(VOLUMES):
        atoms = bulk("Cu", "fcc", a=3.61 * volume ** (1 / 3), cubic=distortion > 0)
        atoms.rattle(distortion, seed=seed)
        frames.append(calculated(atoms))
    return frames


def shipped(name: str) -> list[ase.Atoms]:
    """The first structures of a file of the suite, which GFN2-xTB has labelled."""
    return read(FRAMES / name, slice(54))


def structures_of(frames: list[ase.Atoms]) -> Structures:
    return Structures(
        positions=np.concatenate([atoms.positions for atoms in frames]),
        types=np.concatenate([atoms.numbers for atoms in frames]).astype(np.int32),
        cells=np.stack([atoms.cell.array for atoms in frames]),
        pbc=np.stack([atoms.pbc for atoms in frames]),
        offsets=offsets_from_counts([len(atoms) for atoms in frames]),
    )


def labels_of(frames: list[ase.Atoms]) -> TargetLabels:
    gradients = {"positions": -np.concatenate([atoms.get_forces() for atoms in frames])}
    if frames[0].pbc.all():
        virials = [atoms.get_volume() * atoms.get_stress(voigt=False) for atoms in frames]
        gradients["strain"] = np.stack(virials)
    values = np.array([[atoms.get_potential_energy()] for atoms in frames])
    return TargetLabels(values, gradients)


def fitted(
    frames: list[ase.Atoms], labels: TargetLabels, target: TargetInfo = ENERGY
) -> tuple[np.ndarray, Scale, np.ndarray]:
    """Composition, scale, and what the composition leaves of the values."""
    structures = structures_of(frames)
    types, species = np.unique(structures.types, return_inverse=True)
    composition = fit_composition(labels.values, structures, species, len(types), target, {})
    left = labels.values - composition_term(structures, species, target, composition)
    return composition, fit_scale(labels, left, structures, target), left


def size(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(array**2)))


def sizes(frames: list[ase.Atoms], labels: TargetLabels) -> dict[str, float]:
    """What is to be learnt, in units of the scale."""
    _, scale, left = fitted(frames, labels)
    num_atoms = np.array([len(atoms) for atoms in frames])
    found = {"energy": size(left / num_atoms[:, None])}
    found["forces"] = size(labels.gradients["positions"])
    if "strain" in labels.gradients:
        found["strain"] = size(labels.gradients["strain"] / num_atoms[:, None, None])
    return {name: each / scale.value for name, each in found.items()}


class TestScale:
    def test_forces_that_are_zero_by_symmetry_do_not_set_it(self):
        frames = copper()
        found = sizes(frames, labels_of(frames))
        assert found["forces"] < 1e-10
        assert max(found.values()) == pytest.approx(1)
        assert found["energy"] > 0.01

    def test_forces_close_to_a_minimum_do_not_set_it(self):
        frames = copper(distortion=1e-5)
        assert 1e-5 < size(labels_of(frames).gradients["positions"]) < 1e-3
        assert max(sizes(frames, labels_of(frames)).values()) == pytest.approx(1)

    @pytest.mark.parametrize("name", ["ethanol.xyz", "ice.xyz", "molecules.xyz"])
    def test_of_usual_data_it_is_that_of_the_forces(self, name):
        frames = shipped(name)
        assert sizes(frames, labels_of(frames))["forces"] == pytest.approx(1, rel=1e-12)

    def test_usual_data_have_the_composition_of_least_squares(self):
        frames = shipped("molecules.xyz")
        composition, scale, _ = fitted(frames, labels_of(frames))
        types = np.unique(structures_of(frames).types)
        counts = np.array([[np.sum(atoms.numbers == each) for each in types] for atoms in frames])
        energies = labels_of(frames).values[:, 0]
        expected = np.linalg.lstsq(counts.astype(float), energies)[0]
        np.testing.assert_array_equal(composition[:, 0], expected)
        assert not scale.left_out.any()

    def test_strain_alone(self):
        frames = copper()
        labels = labels_of(frames)
        missing = np.full_like(labels.values, np.nan)
        labels = TargetLabels(missing, {"strain": labels.gradients["strain"]})
        assert fitted(frames, labels)[1].value == pytest.approx(size(labels.gradients["strain"]))

    def test_energies_alone_count_by_atom(self):
        frames = shipped("molecules.xyz")
        labels = TargetLabels(labels_of(frames).values)
        _, scale, left = fitted(frames, labels)
        num_atoms = np.array([[len(atoms)] for atoms in frames])
        assert scale.value == pytest.approx(size(left / num_atoms))

    def test_forces_of_some_structures_alone(self):
        """Files with forces and files without, in one training set."""
        frames = shipped("ethanol.xyz")
        labels = labels_of(frames)
        forces = labels.gradients["positions"].copy()
        forces[len(forces) // 2 :] = np.nan
        scale = fitted(frames, TargetLabels(labels.values, {"positions": forces}))[1]
        assert scale.value == pytest.approx(size(forces[: len(forces) // 2]))

    def test_a_vector(self):
        frames = shipped("ethanol.xyz")
        dipoles = np.array([atoms.get_dipole_moment() for atoms in frames])[:, :, None]
        target = TargetInfo(type=Cartesian(1), extensive=False)
        assert fitted(frames, TargetLabels(dipoles), target)[1].value == pytest.approx(
            size(dipoles)
        )


def with_factor(frames: list[ase.Atoms], number: int, factor: float) -> TargetLabels:
    """Labels whose forces are wrong in one frame."""
    labels = labels_of(frames)
    offsets = structures_of(frames).offsets
    labels.gradients["positions"][offsets[number] : offsets[number + 1]] *= factor
    return labels


class TestWrongLabels:
    @pytest.mark.parametrize("factor", [1e2, 1e4, 1e12])
    def test_forces_of_one_frame(self, factor):
        frames = shipped("ethanol.xyz")
        labels = with_factor(frames, 17, factor)
        _, scale, _ = fitted(frames, labels)
        assert np.flatnonzero(scale.left_out).tolist() == [17]
        assert scale.value == pytest.approx(fitted(frames, labels_of(frames))[1].value, rel=0.05)

    @pytest.mark.parametrize("name", ["ethanol.xyz", "molecules.xyz"])
    @pytest.mark.parametrize("number", [20, 54])
    def test_the_energy_of_one_frame(self, name, number):
        """Least squares would spread it over all others, so that it is no longer seen."""
        frames = shipped(name)[:number]
        missing, wrong = labels_of(frames), labels_of(frames)
        missing.values[7] = np.nan
        wrong.values[7] += 1e6
        composition, scale, _ = fitted(frames, wrong)
        assert np.flatnonzero(scale.left_out).tolist() == [7]
        np.testing.assert_allclose(composition, fitted(frames, missing)[0], atol=1e-3)

    def test_energies_that_were_written_as_zero(self):
        frames = shipped("ethanol.xyz")
        labels = labels_of(frames)
        labels.values[[3, 30]] = 0.0
        _, scale, _ = fitted(frames, labels)
        assert np.flatnonzero(scale.left_out).tolist() == [3, 30]
        assert scale.value == pytest.approx(size(labels.gradients["positions"]), rel=0.05)

    def test_a_stress_in_another_unit(self):
        frames = copper(distortion=0.1)
        labels = labels_of(frames)
        labels.gradients["strain"][[2, 5, 40]] *= 1602.18
        assert np.flatnonzero(fitted(frames, labels)[1].left_out).tolist() == [2, 5, 40]

    def test_charges_of_the_atoms_of_one_frame(self):
        frames = shipped("molecules.xyz")
        charges = np.concatenate([atoms.get_forces()[:, :1] for atoms in frames])
        target = TargetInfo(sample_kind="atom")
        right = fitted(frames, TargetLabels(charges.copy(), sample_kind="atom"), target)[1]
        charges[: len(frames[0])] *= 1e5
        wrong = fitted(frames, TargetLabels(charges, sample_kind="atom"), target)[1]
        assert np.flatnonzero(wrong.left_out).tolist() == [0]
        assert wrong.value == pytest.approx(right.value, rel=0.1)

    def test_an_element_of_wrong_labels_alone_still_contributes(self):
        frames = [calculated(molecule(name)) for name in ["CH4", "C2H6", "C3H8"] * 8]
        frames += [calculated(molecule("H2O")), calculated(molecule("CH3OH"))]
        labels = labels_of(frames)
        labels.values[-1] += 1e6
        composition, scale, _ = fitted(frames, labels)
        # that is between the two labels
        assert np.flatnonzero(scale.left_out).tolist() == [24, 25]
        assert composition[-1, 0] == pytest.approx(5e5, rel=0.1)


class TestNothingIsLeftOut:
    def test_of_crystals_beside_structures_that_move(self):
        """Most forces are zero by symmetry: the others are no mistakes."""
        frames = [*copper()[:40], *copper(distortion=0.2)[40:]]
        assert not fitted(frames, labels_of(frames))[1].left_out.any()

    def test_where_many_are_larger(self):
        frames = shipped("ethanol.xyz")
        labels = labels_of(frames)
        labels.gradients["positions"][: labels.gradients["positions"].shape[0] // 3] *= 1e4
        scale = fitted(frames, labels)[1]
        assert not scale.left_out.any()
        assert scale.value == pytest.approx(size(labels.gradients["positions"]))

    def test_where_all_others_are_nothing(self):
        frames = [copper()[0]] * 20
        labels = labels_of(frames)
        labels.gradients["positions"][0] = 1.0
        labels.gradients["strain"][:] = 0.0
        scale = fitted(frames, labels)[1]
        assert not scale.left_out.any()
        assert scale.value == pytest.approx(size(labels.gradients["positions"]))

    @pytest.mark.parametrize("number", [1, 2, 4])
    def test_of_so_few_frames_that_none_is_the_exception(self, number):
        frames = shipped("ethanol.xyz")[:number]
        labels = with_factor(frames, number - 1, 1e4)
        assert not fitted(frames, labels)[1].left_out.any()


def test_labels_that_the_composition_explains_leave_nothing_to_the_model():
    frames = shipped("molecules.xyz")
    labels = TargetLabels(np.array([[3.0 * len(atoms)] for atoms in frames]))
    assert 0 < fitted(frames, labels)[1].value < 1e-6


def test_a_target_without_labels_has_scale_one():
    frames = shipped("ethanol.xyz")
    missing = TargetLabels(np.full((len(frames), 1), np.nan))
    assert fitted(frames, missing, replace(ENERGY, gradients=()))[1].value == 1
