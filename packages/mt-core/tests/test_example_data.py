"""The shipped data is what its README says: whole, readable, in the units named, self-consistent.

That the labels are those of the method is the work of ``scripts/data/make_examples.py --check``.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import ase.io
import numpy as np
import pytest
import yaml
from ase import Atoms

from mt_core import examples

EXAMPLES = Path(str(files("mt_core"))) / "examples"
WHEEL_LIMIT = 400_000  # bytes, all examples together
ROUNDING = 1e-6  # of a number in the files


@dataclass(frozen=True)
class Expected:
    """What a file must hold, and between which bounds its numbers lie if the units are right."""

    num_frames: int
    composition: dict[str, int]
    labels: frozenset[str]
    periodic: bool
    shortest_distance: tuple[float, float]  # angstrom
    atomisation_per_atom: tuple[float, float]  # eV, GFN2-xTB


EXPECTED = {
    "ethanol": Expected(
        num_frames=200,
        composition={"C": 2, "H": 6, "O": 1},
        labels=frozenset({"energy", "forces", "dipole"}),
        periodic=False,
        shortest_distance=(0.8, 1.0),
        atomisation_per_atom=(3.0, 6.0),
    ),
    "ice": Expected(
        num_frames=60,
        composition={"H": 16, "O": 8},
        labels=frozenset({"energy", "forces", "stress"}),
        periodic=True,
        shortest_distance=(0.8, 1.0),
        atomisation_per_atom=(3.0, 6.0),
    ),
}

each_example = pytest.mark.parametrize("name", sorted(EXPECTED))


def read(name: str, file: str | None = None) -> list[Atoms]:
    return list(ase.io.iread(EXAMPLES / name / (file or f"{name}.xyz")))


def stack(frames: list[Atoms], label: str) -> np.ndarray:
    return np.stack([np.asarray(atoms.calc.results[label]) for atoms in frames])


def test_every_folder_is_known_to_these_tests() -> None:
    assert examples.names() == sorted(EXPECTED)


@each_example
def test_folder_holds_all_that_mt_example_copies(name: str) -> None:
    found = {path.name for path in (EXAMPLES / name).iterdir()}
    assert found == {f"{name}.xyz", "isolated_atoms.xyz", "options.yaml", "eval.yaml", "README.md"}


def test_data_is_small_enough_for_a_wheel() -> None:
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*.xyz")) < WHEEL_LIMIT


@each_example
def test_structures_are_as_many_and_as_composed_as_promised(name: str) -> None:
    frames = read(name)
    assert len(frames) == EXPECTED[name].num_frames
    assert all(atoms.symbols.formula.count() == EXPECTED[name].composition for atoms in frames)
    assert all(atoms.pbc.all() == EXPECTED[name].periodic for atoms in frames)
    assert all(atoms.pbc.any() == EXPECTED[name].periodic for atoms in frames)


@each_example
def test_every_frame_has_every_label_and_no_other(name: str) -> None:
    for number, atoms in enumerate(read(name)):
        assert set(atoms.calc.results) - {"free_energy"} == EXPECTED[name].labels, number
        assert all(np.isfinite(atoms.calc.results[key]).all() for key in EXPECTED[name].labels)


@each_example
def test_forces_of_a_frame_sum_to_zero(name: str) -> None:
    total = stack(read(name), "forces").sum(axis=1)
    assert np.abs(total).max() < 24 * ROUNDING


@each_example
def test_lengths_are_angstrom(name: str) -> None:
    shortest = [
        np.min(distances[distances > 0])
        for distances in (atoms.get_all_distances(mic=True) for atoms in read(name))
    ]
    low, high = EXPECTED[name].shortest_distance
    assert low < np.mean(shortest) < high


@each_example
def test_energies_are_electronvolt_and_agree_with_the_isolated_atoms(name: str) -> None:
    isolated = {atoms[0].symbol: atoms.get_potential_energy() for atoms in read_isolated(name)}
    free = sum(number * isolated[symbol] for symbol, number in EXPECTED[name].composition.items())
    energies = stack(read(name), "energy")
    low, high = EXPECTED[name].atomisation_per_atom
    atomisation = (free - energies) / sum(EXPECTED[name].composition.values())
    assert low < atomisation.min()
    assert atomisation.max() < high


def read_isolated(name: str) -> list[Atoms]:
    return read(name, "isolated_atoms.xyz")


@each_example
def test_isolated_atoms_are_one_of_each_element(name: str) -> None:
    frames = read_isolated(name)
    assert all(len(atoms) == 1 for atoms in frames)
    assert sorted(atoms[0].symbol for atoms in frames) == sorted(EXPECTED[name].composition)


def test_isolated_atoms_are_the_same_in_both_examples() -> None:
    energies = [
        {atoms[0].symbol: atoms.get_potential_energy() for atoms in read_isolated(name)}
        for name in ("ethanol", "ice")
    ]
    assert all(energies[0][symbol] == energies[1][symbol] for symbol in energies[1])


@each_example
def test_structures_are_distinct_and_decorrelated(name: str) -> None:
    # Distances know no rotation; the closest two structures must differ by more than noise.
    descriptors = np.stack([np.sort(a.get_all_distances(mic=True).ravel()) for a in read(name)])
    differences = np.sqrt(((descriptors[:, None] - descriptors[None]) ** 2).mean(axis=-1))
    assert differences[np.triu_indices(len(differences), 1)].min() > 0.01


def test_both_conformations_of_ethanol_occur() -> None:
    angles = np.array([hydroxyl_dihedral(atoms) for atoms in read("ethanol")])
    trans = np.abs(angles - 180) < 60
    assert 0.05 < trans.mean() < 0.95


def hydroxyl_dihedral(atoms: Atoms) -> float:
    """C-C-O-H in degrees, from 0 to 360; its atoms are found by their distances."""
    distances = atoms.get_all_distances()
    (oxygen,) = np.flatnonzero(atoms.symbols == "O")
    carbons = np.flatnonzero(atoms.symbols == "C")
    hydrogens = np.flatnonzero(atoms.symbols == "H")
    near, far = carbons[np.argsort(distances[oxygen, carbons])]
    hydroxyl = hydrogens[np.argmin(distances[oxygen, hydrogens])]
    return atoms.get_dihedral(far, near, oxygen, hydroxyl)


def test_water_molecules_of_ice_are_whole() -> None:
    for number, atoms in enumerate(read("ice")):
        distances = atoms.get_all_distances(mic=True)[:, atoms.symbols == "H"]
        bonded = (distances[atoms.symbols == "O"] < 1.25).sum(axis=1)
        assert (bonded == 2).all(), f"frame {number}: {bonded}"


def test_stress_of_ice_is_symmetric_and_of_both_signs() -> None:
    frames = read("ice")
    pressures = np.array([-atoms.get_stress(voigt=False).trace() / 3 for atoms in frames])
    assert pressures.min() < -0.005
    assert pressures.max() > 0.005


def test_stress_of_ice_has_the_sign_of_ase() -> None:
    """A larger cell wants to shrink: the trace of dE/dstrain grows with the volume."""
    frames = read("ice")
    traces = [atoms.get_stress(voigt=False).trace() for atoms in frames]
    volumes = [atoms.get_volume() for atoms in frames]
    assert np.corrcoef(volumes, traces)[0, 1] > 0.5


@each_example
def test_readme_states_method_units_seed_and_versions(name: str) -> None:
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    for word in ("GFN2-xTB", "eV/A", "angstrom", "seed", "tblite 0", "ase 3", "numpy 2"):
        assert word in text, f"{name}/README.md does not say {word!r}"
    assert all(f"`{label}`" in text for label in EXPECTED[name].labels)
    assert f"{EXPECTED[name].num_frames} structures" in text


@each_example
@pytest.mark.parametrize("file", ["options.yaml", "eval.yaml"])
def test_options_name_the_labels_and_units_of_the_file(name: str, file: str) -> None:
    options = yaml.safe_load((EXAMPLES / name / file).read_text(encoding="utf-8"))
    data = options.get("training_set", options)
    assert data["systems"] == {"read_from": f"{name}.xyz", "length_unit": "angstrom"}
    energy = data["targets"]["energy"]
    assert (energy["key"], energy["unit"], energy["forces"]) == ("energy", "eV", True)
    assert energy.get("stress", False) == ("stress" in EXPECTED[name].labels)
