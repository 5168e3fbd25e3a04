"""The option ``zbl``: from an options file to two atoms that are brought together in ASE."""

import csv
from dataclasses import replace

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from metatomic_ase import MetatomicCalculator

from mt_core.examples.copies import EXAMPLES
from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import read_dataset
from mt_shared.engine import without_repulsion
from mt_shared.options import DatasetSpec, GradientSpec, SystemsSpec, TargetSpec, resolve_hypers
from mt_shared.registry import find, load

ZBL = "-r architecture.model.zbl=true"
STEADY = (
    "-r architecture.training.warmup_fraction=0 -r architecture.training.scheduler.type=constant"
)
PAIRS = ["HH", "CO", "OO"]
NUM_FRAMES = 5
SQUEEZE = 0.8
# below 0.4 of the covalent radii of two hydrogen atoms
PUBLISHED_UP_TO = 0.2


def published(distances, first, second):
    """Energies (eV) of Ziegler, Biersack and Littmark at distances in angstrom."""
    x = distances * (first**0.23 + second**0.23) / (0.8854 * 0.529177210903)
    coefficients, exponents = (
        np.array([0.18175, 0.50986, 0.28022, 0.02817]),
        np.array([3.19980, 0.94229, 0.40290, 0.20162]),
    )
    screening = (coefficients * np.exp(-exponents * x[:, None])).sum(1)
    return 14.3996454784936 * first * second / distances * screening


def approach(model, symbols, distances):
    """Energies, and forces along the bond on the second atom, of a pair at these distances."""
    atoms = ase.Atoms(symbols, np.zeros((2, 3)))
    atoms.calc = MetatomicCalculator(model, device="cpu")
    energies, forces = [], []
    for distance in distances:
        atoms.positions[1, 2] = distance
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces()[1, 2])
    return np.array(energies), np.array(forces)


class TestTwoAtomsBroughtTogether:
    @pytest.fixture(scope="class")
    @staticmethod
    def model(tmp_path_factory, ethanol_frames):
        """A model trained for two epochs with ``zbl``, as it is exported."""
        from mt_core import train

        folder = tmp_path_factory.mktemp("zbl")
        lines = [line for frame in ethanol_frames for line in frame]
        (folder / "ethanol.xyz").write_text("\n".join(lines) + "\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            train(
                {
                    "seed": 0,
                    "architecture": {
                        "name": "soap_bpnn",
                        "model": {
                            "zbl": True,
                            "soap": {"max_radial": 2, "max_angular": 1},
                            "bpnn": {"num_neurons_per_layer": 8},
                        },
                        "training": {"num_epochs": 2},
                    },
                    "training_set": {
                        "systems": {"read_from": "ethanol.xyz", "length_unit": "angstrom"},
                        "targets": {"energy": {"unit": "eV", "forces": True}},
                    },
                    "validation_set": 0.2,
                    "test_set": 0.2,
                }
            )
        return str(folder / "model.pt")

    @pytest.mark.parametrize("symbols", PAIRS)
    def test_the_energy_is_the_published_one_and_what_the_network_adds_is_small(
        self, model, symbols
    ):
        distances = np.array([1e-3, 0.01, 0.05, 0.1, PUBLISHED_UP_TO])
        energies, _ = approach(model, symbols, distances)
        # beyond the reach of the repulsion, within that of the network
        (apart,), _ = approach(model, symbols, [3.0])
        expected = published(distances, *ase.Atoms(symbols).numbers)
        np.testing.assert_allclose(energies - apart, expected, rtol=0.01, atol=5.0)

    @pytest.mark.parametrize("symbols", PAIRS)
    def test_the_energy_rises_and_the_force_repels_all_the_way(self, model, symbols):
        distances = np.geomspace(1e-3, 0.25, 30)
        energies, forces = approach(model, symbols, distances)
        assert (np.diff(energies) < 0).all()
        assert (forces > 0).all()

    def test_forces_are_finite_at_a_thousandth_of_an_angstrom(self, model):
        energies, forces = approach(model, "OO", [1e-3])
        assert np.isfinite(energies).all()
        assert np.isfinite(forces).all()
        # 64 times the Coulomb constant, by the distance and by its square
        assert energies[0] == pytest.approx(9.2e5, rel=0.02)
        assert forces[0] == pytest.approx(9.2e8, rel=0.02)


def test_without_zbl_nothing_keeps_atoms_apart(finished):
    energies, _ = approach("model.pt", "OO", [1e-3, 3.0])
    assert energies[0] - energies[1] < 100.0


def test_a_continued_training_equals_a_longer_one(workspace, succeed, newest_run):
    def rows():
        with (newest_run() / "train.csv").open() as file:
            return list(csv.DictReader(file))

    succeed(f"train options.yaml {ZBL} {STEADY} -r architecture.training.num_epochs=3")
    longer, energies = rows(), approach("model.pt", "CO", [0.2, 1.0, 2.0])[0]
    succeed(f"train options.yaml -o half.pt {ZBL} {STEADY}")
    half = newest_run() / "latest.ckpt"
    more = "-r architecture.training.num_epochs=3"
    succeed(f"train options.yaml -o rest.pt --restart {half} {ZBL} {STEADY} {more}")
    assert rows() == longer
    np.testing.assert_array_equal(approach("rest.pt", "CO", [0.2, 1.0, 2.0])[0], energies)


def test_a_restart_cannot_switch_it_on(finished, refuse):
    error = refuse(f"train options.yaml --restart auto {ZBL}")
    assert "architecture.model.zbl: False -> True" in error


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("energy: {unit: eV, forces: true}", "mtt::x: {key: energy}", "no target is an energy"),
        ("unit: eV, ", "", "targets.energy.unit"),
        (", length_unit: angstrom", "", "systems.length_unit"),
    ],
)
def test_a_repulsion_without_energy_or_units_is_refused(workspace, refuse, old, new, said):
    options = workspace / "options.yaml"
    assert old in options.read_text()
    options.write_text(options.read_text().replace(old, new))
    error = refuse(*f"train options.yaml {ZBL}".split())
    assert "architecture.model.zbl is true" in error
    assert said in error


class TestLabels:
    """On the shipped examples, squeezed: what is taken off is what the exported model adds."""

    @pytest.mark.parametrize("name", ["ethanol", "ice"])
    def test_labels_less_repulsion_and_the_repulsion_are_the_labels(self, name):
        file = str(EXAMPLES / name / f"{name}.xyz")
        dataset, info = read_example(file, stress=name == "ice")
        plain, repelling = models(info)
        (rest,) = without_repulsion(repelling, [dataset])
        assert without_repulsion(plain, [dataset])[0] is dataset

        frames = [squeezed(atoms) for atoms in ase.io.read(file, f":{NUM_FRAMES}")]
        added = [results(repelling, atoms) - results(plain, atoms) for atoms in frames]
        expected = [labels_of(atoms) for atoms in frames]
        atoms_per_frame = len(frames[0])
        assert np.abs(added).max() > 1.0, "there is nothing to take off"
        for frame, (label, repulsion) in enumerate(zip(expected, added)):
            left = flat(rest, frame, atoms_per_frame, frames[frame])
            np.testing.assert_allclose(left + repulsion, label, rtol=0, atol=1e-8)


def read_example(file, stress):
    kinds = ["forces", "stress"] if stress else ["forces"]
    gradients = tuple(GradientSpec(kind, kind, file) for kind in kinds)
    target = TargetSpec("energy", "energy", file, quantity="energy", gradients=gradients)
    systems = SystemsSpec(file, length_unit="angstrom")
    dataset = read_dataset(DatasetSpec(systems, (target,), indices=tuple(range(NUM_FRAMES))))
    structures = dataset.structures
    structures = replace(
        structures, positions=SQUEEZE * structures.positions, cells=SQUEEZE * structures.cells
    )
    dataset = replace(dataset, structures=structures)
    parts = tuple(sorted(dataset.labels["energy"].gradients))
    types = tuple(int(number) for number in np.unique(dataset.structures.types))
    info = DatasetInfo("angstrom", types, {"energy": TargetInfo("energy", "eV", gradients=parts)})
    return dataset, info


def models(info):
    """The same random weights, without and with a repulsion."""
    for zbl in (False, True):
        torch.manual_seed(0)
        hypers = resolve_hypers(find("soap_bpnn"), {"model": {"zbl": zbl}}).model
        yield load("soap_bpnn").model_class(hypers, info).to(torch.float64).eval()


def squeezed(atoms):
    """The structure with its labels, made smaller; of the stress, times the volume is kept."""
    labels = atoms.calc.results
    if "stress" in labels:
        labels["stress"] = labels["stress"] / SQUEEZE**3
    calculator = SinglePointCalculator(atoms, **labels)
    atoms.set_cell(SQUEEZE * atoms.cell.array)
    atoms.positions *= SQUEEZE
    calculator.atoms = atoms.copy()
    atoms.calc = calculator
    return atoms


def results(model, atoms):
    """Energy, forces and, in a cell, stress as one array."""
    atoms = atoms.copy()
    atoms.calc = MetatomicCalculator(model.export(), device="cpu")
    return labels_of(atoms)


def labels_of(atoms):
    parts = [[atoms.get_potential_energy()], atoms.get_forces().flatten()]
    if atoms.pbc.all():
        parts.append(atoms.get_stress(voigt=False).flatten())
    return np.concatenate(parts)


def flat(dataset, frame, num_atoms, atoms):
    """The labels of a frame of the data set, in the form and with the signs of ASE."""
    labels = dataset.labels["energy"]
    rows = slice(frame * num_atoms, (frame + 1) * num_atoms)
    parts = [labels.values[frame], -labels.gradients["positions"][rows].flatten()]
    if "strain" in labels.gradients:
        parts.append(labels.gradients["strain"][frame].flatten() / atoms.get_volume())
    return np.concatenate(parts)
