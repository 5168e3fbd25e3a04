"""Keys of the right name in the wrong place or case: told, and never lost in silence."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator

from mt_shared.data import read_chunks, read_dataset
from mt_shared.errors import DataError
from mt_shared.options import DatasetSpec, GradientSpec, SystemsSpec, TargetSpec

FRAME = "2\n{}\nH 0 0 0 1 0 0\nH 0 0 1 0 1 0\n"
COLUMNS = "Properties=species:S:1:pos:R:3:{}:R:3"


def spec_of(path, required=False):
    """Energy, with forces and stress if the file has them."""
    gradients = tuple(
        GradientSpec(word, word, str(path), required=required) for word in ("forces", "stress")
    )
    target = TargetSpec("energy", "energy", str(path), quantity="energy", gradients=gradients)
    return DatasetSpec(SystemsSpec(str(path), length_unit="A"), (target,))


def read(tmp_path, comment, **options):
    path = tmp_path / "data.xyz"
    path.write_text(2 * FRAME.format(comment))
    return read_dataset(spec_of(path, **options))


LOST = {
    "forces in the comment line": (
        f'{COLUMNS.format("momenta")} energy=1.0 forces="1 2 3 4 5 6"',
        "'forces' is of the structure there, not of each atom",
    ),
    "Forces": (f"{COLUMNS.format('Forces')} energy=1.0", "'Forces' (in arrays)"),
    "FORCES": (f"{COLUMNS.format('FORCES')} energy=1.0", "'FORCES' (in arrays)"),
    "Stress": ('Lattice="9 0 0 0 9 0 0 0 9" energy=1.0 Stress="1 0 0 0 1 0 0 0 1"', "'Stress'"),
    "stress of each atom": (
        f'Lattice="9 0 0 0 9 0 0 0 9" {COLUMNS.format("stress")} energy=1.0',
        "'stress' is of each atom there, not of the structure",
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_a_label_that_is_looked_for_by_default_and_lost_is_said_once(tmp_path, name):
    comment, said = LOST[name]
    dataset = read(tmp_path, comment)
    assert not dataset.labels["energy"].gradients
    (lost,) = dataset.lost
    assert said in lost and "data.xyz" in lost
    chunks = read_chunks(spec_of(tmp_path / "data.xyz"), 1)
    assert {note for chunk in chunks for note in chunk.lost} == {lost}, "the same of each chunk"


def test_forces_in_info_of_ase_are_told(tmp_path):
    path = tmp_path / "data.traj"
    frames = []
    for energy in (1.0, 2.0):
        atoms = molecule("H2O")
        atoms.info["forces"] = np.ones((3, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        frames.append(atoms)
    ase.io.write(path, frames)
    (lost,) = read_dataset(spec_of(path)).lost
    assert "'forces' is of the structure there, not of each atom" in lost
    with pytest.raises(DataError, match=r"'forces' .* is of the structure there, and of each atom"):
        read_dataset(spec_of(path, required=True))


@pytest.mark.parametrize("key", ["Forces", "FORCES"])
def test_a_label_that_is_asked_for_names_the_key_in_another_case(tmp_path, key):
    with pytest.raises(DataError, match=f"did you mean '{key}'"):
        read(tmp_path, f"{COLUMNS.format(key)} energy=1.0", required=True)


def test_an_energy_of_each_atom_is_told_from_one_of_the_structure(tmp_path):
    path = tmp_path / "data.xyz"
    path.write_text("1\nProperties=species:S:1:pos:R:3:energy:R:1\nH 0 0 0 1\n")
    with pytest.raises(DataError, match=r"'energy' .* is of each atom there"):
        read_dataset(spec_of(path))


def test_what_has_the_label_in_its_place_is_not_told_of(tmp_path):
    comment = f'{COLUMNS.format("forces")} energy=1.0 Forces="the old ones"'
    dataset = read(tmp_path, comment)
    assert not dataset.lost and "positions" in dataset.labels["energy"].gradients


def test_a_label_that_is_left_out_on_purpose_is_not_told_of(tmp_path):
    path = tmp_path / "data.xyz"
    path.write_text(FRAME.format(f"{COLUMNS.format('Forces')} energy=1.0"))
    spec = spec_of(path)
    spec = replace(spec, targets=(replace(spec.targets[0], gradients=()),))
    assert not read_dataset(spec).lost


MISNAMED = {
    'lattice="9 0 0 0 9 0 0 0 9" energy=1.0': "'lattice' .* write Lattice",
    'LATTICE="9 0 0 0 9 0 0 0 9" energy=1.0': "'LATTICE' .* write Lattice",
    'cell="9 0 0 0 9 0 0 0 9" energy=1.0': "'cell' .* write Lattice .*or pbc=",
    'Cell="9 9 9" energy=1.0': "'Cell' .* write Lattice",
    'Lattice="9 0 0 0 9 0 0 0 9" PBC="T T F" energy=1.0': "'PBC' .* write pbc",
    "properties=species:S:1:pos:R:3:forces:R:3 energy=1.0": "'properties' .* write Properties",
}


@pytest.mark.parametrize("comment", MISNAMED)
def test_what_describes_the_structure_in_vain_is_refused(tmp_path, comment):
    with pytest.raises(DataError, match=f"data.xyz, frame 0 .*{MISNAMED[comment]}"):
        read(tmp_path, comment)


@pytest.mark.parametrize(
    "comment",
    [
        "cell=cubic energy=1.0",
        "properties=energy energy=1.0",
        'Lattice="9 0 0 0 9 0 0 0 9" cell="9 9 9 90 90 90" energy=1.0',
        'pbc="F F F" cell="9 0 0 0 9 0 0 0 9" energy=1.0',
        "PBC=0.5 energy=1.0",
    ],
)
def test_words_of_the_user_that_mean_something_else_are_left_alone(tmp_path, comment):
    assert len(read(tmp_path, comment)) == 2


def test_a_calculator_that_knows_the_label_is_right_in_any_format(tmp_path):
    atoms = bulk("Cu")
    forces = np.zeros((1, 3))
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=forces, stress=np.ones(6))
    for name in ("cu.xyz", "cu.traj", "cu.db"):
        ase.io.write(tmp_path / name, atoms)
        dataset = read_dataset(spec_of(tmp_path / name))
        assert not dataset.lost and len(dataset.labels["energy"].gradients) == 2
