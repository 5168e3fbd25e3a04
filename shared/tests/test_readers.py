"""Reading structures and labels: what is read, and what is refused with which words."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Normalization, build_store, label_table, read_dataset
from mt_shared.data.dataset import FOUND, IMPOSSIBLE, MISSING, NOT_FINITE
from mt_shared.data.readers.ase_files import read_with_ase
from mt_shared.data.readers.extended_xyz import read_extended_xyz
from mt_shared.data.readers.keyed_piece import RESULTS_PER_ATOM, RESULTS_PER_SYSTEM
from mt_shared.data.readers.label_requests import ColumnSpec
from mt_shared.errors import DataError
from mt_shared.options import DatasetSpec, GradientSpec, SystemsSpec, TargetSpec

NUM_FRAMES = 5
# Extended xyz has eight decimals in its columns.
COLUMN_PRECISION = 1e-8


def make_frames(rng, periodic=True):
    """Copper cells of different sizes with energy, forces, stress, dipole and charges."""
    frames = []
    for i in range(NUM_FRAMES):
        atoms = bulk("Cu", cubic=True) * (1 + i % 2, 1, 1) if periodic else molecule("CH3CH2OH")
        atoms.rattle(0.05, rng=rng)
        stress = rng.normal(size=6) if periodic else None
        atoms.calc = SinglePointCalculator(
            atoms, energy=rng.normal(), forces=rng.normal(size=(len(atoms), 3)), stress=stress
        )
        atoms.info["mu"] = rng.normal(size=3)
        atoms.info["step"] = i
        atoms.info["origin"] = "made here"
        atoms.arrays["q"] = rng.normal(size=len(atoms))
        frames.append(atoms)
    return frames


@pytest.fixture
def frames():
    return make_frames(np.random.default_rng(0))


@pytest.fixture
def xyz(tmp_path, frames):
    path = tmp_path / "cu.xyz"
    ase.io.write(path, frames, format="extxyz")
    return path


def energy_spec(path, required=True, strain="stress", **options):
    path = str(path)
    gradients = (
        GradientSpec("forces", "forces", path, required=required),
        GradientSpec(strain, strain, path, required=required),
    )
    options = {
        "gradients": gradients,
        "quantity": "energy",
        "unit": "eV",
        "key": "energy",
    } | options
    return TargetSpec(name="energy", read_from=path, **options)


def spec_of(path, *targets, **options):
    systems = SystemsSpec(str(path), length_unit="angstrom")
    return DatasetSpec(systems, targets or (energy_spec(path),), **options)


def scalar_spec(path, key, **options):
    return TargetSpec(name=key, key=key, read_from=str(path), **options)


def edit(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


# What is read


def test_energy_forces_and_stress_of_extended_xyz(xyz, frames):
    """Values, signs and units: gradients are -forces and stress * volume."""
    dataset = read_dataset(spec_of(xyz))
    labels = dataset.labels["energy"]
    assert len(dataset) == NUM_FRAMES
    energies = [atoms.get_potential_energy() for atoms in frames]
    np.testing.assert_array_equal(labels.values[:, 0], energies)
    forces = np.concatenate([atoms.get_forces() for atoms in frames])
    np.testing.assert_allclose(labels.gradients["positions"], -forces, atol=COLUMN_PRECISION)
    strain = [atoms.get_stress(voigt=False) * atoms.get_volume() for atoms in frames]
    np.testing.assert_allclose(labels.gradients["strain"], strain, rtol=1e-10)
    assert labels.gradient_kinds == {"positions": "forces", "strain": "stress"}
    assert labels.unit == "eV"


def test_structures_of_extended_xyz(xyz, frames):
    structures = read_dataset(spec_of(xyz)).structures
    assert structures.atoms_per_system.tolist() == [len(atoms) for atoms in frames]
    positions = np.concatenate([atoms.positions for atoms in frames])
    np.testing.assert_allclose(structures.positions, positions, atol=COLUMN_PRECISION)
    np.testing.assert_array_equal(structures.cells, [atoms.cell.array for atoms in frames])
    assert structures.pbc.all()
    assert set(structures.types) == {29}


COMMENT_LINES = {
    "plain": "",
    "words": "a cubic cell of copper",
    "bare": "energy=-1.5 mu=3",
    "quotes": "energy=-1.5 mu=\"1 2 3\" note='two words' other={1.0 2.0}",
    "new style arrays": "energy=-1.5 mu=[1.0, 2.0, 3.0]",
    "nested arrays": "energy=-1.5 alpha=[[1.0, 2.0], [3.0, 4.0]]",
    "json": 'energy=-1.5 alpha="_JSON [[1.0, 2.0], [3.0, 4.0]]"',
    "spaces at equals": "energy = -1.5 mu = 3",
    "escapes": 'energy=-1.5 note="a \\"quoted\\" word"',
    "flags": "energy=-1.5 converged=T bad=F lonely mu=nan",
    "cell": 'Lattice="4.0 0.5 0 0 4.0 0 0 0 5.0" energy=-1.5',
    "cell and pbc": 'Lattice="4.0 0.5 0 0 4.0 0 0 0 5.0" pbc="T F T" energy=-1.5',
    "pbc in numbers": 'Lattice="4.0 0.5 0 0 4.0 0 0 0 5.0" pbc="1 0 1" energy=-1.5',
    "stress": 'Lattice="4.0 0.5 0 0 4.0 0 0 0 5.0" stress="1 2 3 2 5 6 3 6 9" energy=-1e-3',
    "virial": 'Lattice="4.0 0.5 0 0 4.0 0 0 0 5.0" virial="1 2 3 2 5 6 3 6 9" energy=1_0',
    "equals in a value": "energy=-1.5 name=a=b",
    "twice": "energy=1.0 energy=2.0",
}
MATRIX = ((3, 3), (9,), (6,))
# Each key in each shape that some line or column has, and in one that none has.
KEYS_PER_SYSTEM = ("energy", "mu", "alpha", "note", "other", "converged")
SHAPES = ((), (2,), (3,), (4,), (2, 2))
COLUMN_SPECS = (
    *(ColumnSpec(key, False, shape, (shape,)) for key in KEYS_PER_SYSTEM for shape in SHAPES),
    *(ColumnSpec(key, False, (3, 3), MATRIX) for key in ("stress", "virial")),
    *(ColumnSpec(key, True, shape, (shape,)) for key in ("forces", "q") for shape in ((), (3,))),
    ColumnSpec("flag", True, (), ((),)),
)


def column_of(piece, key):
    """The column of one key, in its first shape."""
    return next(column for spec, column in piece.columns.items() if spec.key == key)


def assert_equal_pieces(fast, by_ase):
    """Same structures, and the same numbers (or the same lack of them) for each key."""
    for name in ("positions", "types", "cells", "pbc", "offsets"):
        ours, theirs = getattr(fast.structures, name), getattr(by_ase.structures, name)
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    for spec in COLUMN_SPECS:
        ours, theirs = fast.columns[spec], by_ase.columns[spec]
        np.testing.assert_array_equal(ours.found, theirs.found, err_msg=str(spec))
        np.testing.assert_array_equal(ours.values, theirs.values, err_msg=str(spec))
        assert ours.other_shapes == theirs.other_shapes, spec
    for ours, theirs in zip(fast.keys, by_ase.keys, strict=True):
        assert set(ours.info) == set(theirs.info)
        assert set(ours.arrays) == set(theirs.arrays)
        assert set(ours.calculator) == set(theirs.calculator)


def whole(read, path):
    """All structures of a file as one piece."""
    (piece,) = read(path, COLUMN_SPECS)
    return piece


@pytest.mark.parametrize("name", COMMENT_LINES)
def test_comment_lines_mean_what_they_mean_to_ase(tmp_path, name):
    path = tmp_path / "one.xyz"
    path.write_text(f"2\n{COMMENT_LINES[name]}\nH 0 0 0.5\nCl 0 0 1.5\n")
    assert_equal_pieces(whole(read_extended_xyz, path), whole(read_with_ase, path))


COLUMNS = {
    "forces": ("species:S:1:pos:R:3:forces:R:3", "H 0 0 0.5 1 2 3\n", "Cl 0 0 1.5 4 5 6\n"),
    "numbers": ("Z:I:1:pos:R:3", "1 0 0 0.5\n", "17 0 0 1.5\n"),
    "label first": ("q:R:1:species:S:1:pos:R:3", "0.5 H 0 0 0.5\n", "1.5 CL 0 0 1.5\n"),
    "words and flags": ("species:S:1:pos:R:3:flag:L:1:w:S:1", "H 0 0 1 T a\n", "H 0 0 2 F b\n"),
    "further columns": ("species:S:1:pos:R:3", "H 0 0 0.5 9 9\n", "Cl 0 0 1.5 9\n"),
    "fixed atoms": ("species:S:1:pos:R:3:move_mask:L:1", "H 0 0 0.5 T\n", "Cl 0 0 1.5 F\n"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_mean_what_they_mean_to_ase(tmp_path, name):
    properties, *rows = COLUMNS[name]
    path = tmp_path / "one.xyz"
    path.write_text(f"2\nProperties={properties} energy=1.0\n{''.join(rows)}")
    fast, by_ase = whole(read_extended_xyz, path), whole(read_with_ase, path)
    if name == "words and flags":
        # ASE keeps flags as numbers of no use as labels; both say that the key is there.
        assert column_of(fast, "flag").other_shapes == {0: None}
        assert column_of(by_ase, "flag").found.all()
        by_ase = replace(by_ase, columns=fast.columns)
    assert_equal_pieces(fast, by_ase)


def test_frames_of_different_columns_and_keys(tmp_path):
    """Frames are gathered by layout; each key still lands in its own frame."""
    path = tmp_path / "mixed.xyz"
    bare = "1\nProperties=species:S:1:pos:R:3 mu=2.5\nH 0 0 0\n"
    full = "2\nProperties=species:S:1:pos:R:3:q:R:1 energy=1.5\nH 0 0 0 7\nH 0 0 1 8\n"
    path.write_text(bare + full + "\n" + bare + bare + full)
    fast = whole(read_extended_xyz, path)
    assert_equal_pieces(fast, read_with_ase_without_blank_lines(path))
    assert column_of(fast, "q").found.tolist() == [False, True, False, False, True]


def read_with_ase_without_blank_lines(path):
    """ASE stops at a blank line and loses what follows; we do not."""
    path.write_text(path.read_text().replace("\n\n", "\n"))
    return whole(read_with_ase, path)


def test_chunks_join_without_a_seam(xyz, monkeypatch):
    at_once = whole(read_extended_xyz, xyz)
    monkeypatch.setattr("mt_shared.data.readers.xyz_text.CHUNK_ATOMS", 5)
    assert_equal_pieces(whole(read_extended_xyz, xyz), at_once)


def test_cell_vectors_after_the_atoms_go_to_ase(tmp_path):
    path = tmp_path / "vec.xyz"
    path.write_text("1\ncomment\nH 0 0 0\nVEC1 3 0 0\nVEC2 0 3 0\nVEC3 0 0 3\n")
    dataset = read_dataset(DatasetSpec(SystemsSpec(str(path))))
    np.testing.assert_array_equal(dataset.structures.cells[0], 3 * np.eye(3))


def test_names_of_results_are_those_of_ase():
    from ase.io.extxyz import per_atom_properties, per_config_properties

    assert set(per_atom_properties) == RESULTS_PER_ATOM
    assert set(per_config_properties) == RESULTS_PER_SYSTEM


@pytest.mark.parametrize("name", ["cu.traj", "cu.db"])
def test_formats_of_ase(tmp_path, xyz, frames, name):
    path = tmp_path / name
    ase.io.write(path, frames)
    dataset, expected = read_dataset(spec_of(path)), read_dataset(spec_of(xyz))
    for part, array in expected.labels["energy"].gradients.items():
        ours = dataset.labels["energy"].gradients[part]
        np.testing.assert_allclose(ours, array, atol=1e-6, err_msg=part)
    np.testing.assert_allclose(
        dataset.labels["energy"].values, expected.labels["energy"].values, rtol=1e-12
    )


def test_pairs_and_data_of_an_ase_database(tmp_path, frames):
    path = tmp_path / "cu.db"
    with connect(path) as database:
        for i, atoms in enumerate(frames):
            database.write(atoms, gap=0.5 * i, data={"mu": [1.0, 2.0, i]})
    mu = scalar_spec(path, "mu", type={"cartesian": {"rank": 1}})
    dataset = read_dataset(spec_of(path, scalar_spec(path, "gap"), mu))
    assert dataset.labels["gap"].values[:, 0].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert dataset.labels["mu"].values.shape == (NUM_FRAMES, 3, 1)


def test_scalars_with_subtargets_and_per_atom(xyz, frames):
    mu = scalar_spec(xyz, "mu", num_subtargets=3)
    q = scalar_spec(xyz, "q", sample_kind="atom")
    dataset = read_dataset(spec_of(xyz, mu, q))
    np.testing.assert_array_equal(
        dataset.labels["mu"].values, [atoms.info["mu"] for atoms in frames]
    )
    charges = np.concatenate([atoms.arrays["q"] for atoms in frames])
    np.testing.assert_allclose(dataset.labels["q"].values[:, 0], charges, atol=COLUMN_PRECISION)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ({"cartesian": {"rank": 1}}, (3, 1)),
        ({"spherical": {"irreps": [{"o3_lambda": 1, "o3_sigma": 1}]}}, (3, 1)),
    ],
)
def test_tensors_have_their_components_before_the_subtargets(xyz, kind, shape):
    dataset = read_dataset(spec_of(xyz, scalar_spec(xyz, "mu", type=kind)))
    assert dataset.labels["mu"].values.shape == (NUM_FRAMES, *shape)


def test_extra_data_is_kept_apart(xyz):
    spec = spec_of(xyz, extra_data=(scalar_spec(xyz, "mu", num_subtargets=3),))
    dataset = read_dataset(spec)
    assert set(dataset.labels) == {"energy"}
    assert dataset.extra["mu"].values.shape == (NUM_FRAMES, 3)


@pytest.mark.parametrize(
    ("new", "what"),
    [("", "is missing (1 of 5 frames lack it)"), ('mu="nan 1 2"', "is NaN or infinite")],
)
def test_an_input_that_one_structure_lacks_is_refused(xyz, frames, new, what):
    """Of a label one may say allow_missing: a model reads its inputs of every structure."""
    edit(xyz, f'mu="{" ".join(map(str, frames[0].info["mu"]))}"', new)
    spec = spec_of(xyz, extra_data=(scalar_spec(xyz, "mu", num_subtargets=3),))
    with pytest.raises(DataError) as error:
        read_dataset(spec)
    said = str(error.value)
    assert f"cu.xyz, frame 0 (the first is 0): 'mu' of input 'mu' {what}" in said
    assert "a model reads an input of every structure" in said
    assert "allow_missing" not in said


def test_an_input_of_another_shape_is_called_an_input(xyz):
    spec = spec_of(xyz, extra_data=(scalar_spec(xyz, "mu"),))
    with pytest.raises(DataError, match="num_subtargets of the input, and the file"):
        read_dataset(spec)


def test_indices_pick_frames_and_keep_their_numbers(xyz):
    dataset = read_dataset(spec_of(xyz, indices=(3, 1)))
    everything = read_dataset(spec_of(xyz))
    assert dataset.frames.tolist() == [3, 1]
    np.testing.assert_array_equal(
        dataset.labels["energy"].values, everything.labels["energy"].values[[3, 1]]
    )
    np.testing.assert_array_equal(
        dataset.structures.positions[:8], everything.structures.subset([3]).positions
    )


def test_targets_from_another_file(tmp_path, xyz, frames):
    other = tmp_path / "other.traj"
    ase.io.write(other, frames)
    dataset = read_dataset(spec_of(xyz, energy_spec(other)))
    assert dataset.labels["energy"].gradients["positions"].shape == (4 * 3 + 8 * 2, 3)


@pytest.mark.parametrize("form", ["matrix", "nine numbers", "voigt"])
def test_virial_is_minus_the_strain_gradient(tmp_path, frames, form):
    path = tmp_path / "virial.traj"
    strain = []
    for atoms in frames:
        full = atoms.get_stress(voigt=False) * atoms.get_volume()
        voigt = atoms.get_stress() * atoms.get_volume()
        strain.append(full)
        atoms.info["w"] = -{"matrix": full, "nine numbers": full.ravel(), "voigt": voigt}[form]
    ase.io.write(path, frames)
    virial = GradientSpec("virial", "w", str(path))
    dataset = read_dataset(spec_of(path, energy_spec(path, gradients=(virial,))))
    np.testing.assert_allclose(dataset.labels["energy"].gradients["strain"], strain, rtol=1e-12)
    assert dataset.labels["energy"].gradient_kinds == {"strain": "virial"}


def test_an_asymmetric_stress_is_said(tmp_path):
    path = tmp_path / "skew.xyz"
    cell = 'Lattice="2.0 0 0 0 2.0 0 0 0 2.0"'
    path.write_text(f'1\n{cell} energy=1 s="1 2 0 0 1 0 0 0 1"\nH 0 0 0\n')
    stress = GradientSpec("stress", "s", str(path))
    dataset = read_dataset(spec_of(path, energy_spec(path, gradients=(stress,))))
    assert "not symmetric" in dataset.notes[0] and "frame 0" in dataset.notes[0]
    strain = dataset.labels["energy"].gradients["strain"][0]
    np.testing.assert_allclose(strain, 8.0 * np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]]))


def test_labels_that_nobody_asked_for_are_named(xyz):
    dataset = read_dataset(spec_of(xyz, scalar_spec(xyz, "q", sample_kind="atom")))
    assert set(dataset.unused_keys) == {"energy", "forces", "stress", "mu"}


def test_a_missing_unit_of_length_is_a_note(xyz):
    dataset = read_dataset(DatasetSpec(SystemsSpec(str(xyz)), (energy_spec(xyz),)))
    assert "length_unit" in dataset.notes[0]


# Gradients that the options do not insist on


def test_optional_gradients_are_left_out_where_no_frame_has_them(tmp_path):
    path = tmp_path / "bare.xyz"
    path.write_text("1\nenergy=1.0\nH 0 0 0\n")
    dataset = read_dataset(spec_of(path, energy_spec(path, required=False)))
    assert dataset.labels["energy"].gradients == {}
    assert not dataset.notes


def test_optional_gradients_of_some_frames_are_used_there_and_said(tmp_path):
    path = tmp_path / "some.xyz"
    with_forces = "1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1.0\nH 0 0 0 1 2 3\n"
    path.write_text(with_forces + "1\nenergy=1.0\nH 0 0 0\n")
    dataset = read_dataset(spec_of(path, energy_spec(path, required=False)))
    assert dataset.status["energy", "positions"].tolist() == [FOUND, MISSING]
    assert np.isnan(dataset.labels["energy"].gradients["positions"][1]).all()
    assert "1 of 2 frames lack the energy forces, frame 1" in dataset.notes[0]


def test_an_optional_stress_without_a_cell_is_not_used(tmp_path):
    path = tmp_path / "molecule.xyz"
    path.write_text('1\nenergy=1.0 stress="1 0 0 0 1 0 0 0 1"\nH 0 0 0\n')
    dataset = read_dataset(spec_of(path, energy_spec(path, required=False)))
    assert "strain" not in dataset.labels["energy"].gradients
    assert "stress of 1 frames that are periodic nowhere, or have no cell" in dataset.notes[0]


# Which structures have a volume, and with it a stress

STRESS = "1 2 3 2 4 5 3 5 6"
CELL = "3 0 0 0 4 0 0 0 10"
VOLUME = 120.0


def frame_text(pbc, stress=STRESS, cell=CELL, key="stress"):
    lattice = f'Lattice="{cell}" ' if cell else ""
    return f'1\n{lattice}pbc="{pbc}" energy=1.0 {key}="{stress}"\nH 0 0 0\n'


def read_strain(tmp_path, *texts, required=True, kind="stress"):
    path = tmp_path / "volumes.xyz"
    path.write_text("".join(texts))
    gradients = (GradientSpec(kind, kind, str(path), required=required),)
    return read_dataset(spec_of(path, energy_spec(path, gradients=gradients)))


def batch_of(dataset):
    target = TargetInfo("energy", "eV", gradients=tuple(dataset.labels["energy"].gradients))
    info = DatasetInfo("A", (1,), {"energy": target})
    nothing = {"energy": Normalization(np.zeros((1, 1)), 1.0)}
    store = build_store([dataset], info, 2.0, nothing, torch.float64)
    return store.batch(torch.arange(len(dataset)))


@pytest.mark.parametrize("pbc", ["T T T", "T T F", "F T F"])
@pytest.mark.parametrize("required", [True, False])
def test_bulk_slabs_and_wires_have_the_volume_of_the_cell_in_the_file(tmp_path, pbc, required):
    """The label, the batch and the table divide and multiply by one and the same volume."""
    dataset = read_strain(tmp_path, frame_text(pbc), required=required)
    stress = np.array(STRESS.split(), dtype=float).reshape(1, 3, 3)
    np.testing.assert_allclose(dataset.structures.volumes, [VOLUME])
    np.testing.assert_allclose(dataset.labels["energy"].gradients["strain"], stress * VOLUME)
    batch = batch_of(dataset)
    np.testing.assert_array_equal(batch.volumes, dataset.structures.volumes)
    strain = batch.targets["energy"].gradients["strain"]
    np.testing.assert_allclose(strain / batch.volumes[:, None, None], stress)
    row = label_table({"training": [dataset]}).rows[1]
    assert (row.label, row.min, row.max) == ("energy stress", pytest.approx(1), pytest.approx(6))


NO_VOLUME = {
    "molecule in a box": frame_text("F F F", stress="0 0 0 0 0 0 0 0 0"),
    "no cell": frame_text("F F F", cell=None),
    "slab without a third vector": frame_text("T T F", cell="3 0 0 0 4 0 0 0 0"),
}


@pytest.mark.parametrize("name", NO_VOLUME)
@pytest.mark.parametrize("required", [True, False])
def test_a_stress_without_a_volume_is_left_out_and_said(tmp_path, name, required):
    dataset = read_strain(tmp_path, frame_text("T T T"), NO_VOLUME[name], required=required)
    assert dataset.status["energy", "strain"].tolist() == [FOUND, IMPOSSIBLE]
    assert (
        "of 1 frames that are periodic nowhere, or have no cell, is not used, frame 1"
        in (dataset.notes[0])
    )
    np.testing.assert_allclose(batch_of(dataset).volumes, [VOLUME, np.nan])


@pytest.mark.parametrize("name", NO_VOLUME)
def test_a_virial_needs_no_volume(tmp_path, name):
    text = NO_VOLUME[name].replace("stress=", "virial=")
    dataset = read_strain(tmp_path, text, kind="virial")
    assert dataset.status["energy", "strain"].tolist() == [FOUND]
    assert np.isfinite(dataset.labels["energy"].gradients["strain"]).all()


@pytest.mark.parametrize("name", NO_VOLUME)
def test_where_no_structure_has_a_volume_there_is_no_stress_and_it_is_said(tmp_path, name):
    for text in (NO_VOLUME[name], NO_VOLUME[name].replace("stress=", "tension=")):
        dataset = read_strain(tmp_path, text)
        assert "strain" not in dataset.labels["energy"].gradients
        said = [note for note in dataset.notes if "periodic nowhere, or have no cell" in note]
        assert len(said) == 1 and "energy stress" in said[0]


def test_a_stress_that_could_be_there_and_is_missing_is_refused(tmp_path):
    bulk = frame_text("T T F").replace("stress=", "tension=")
    with pytest.raises(DataError, match=r"frame 1 .*'stress' of target .* is missing"):
        read_strain(tmp_path, NO_VOLUME["no cell"], bulk)


@pytest.mark.parametrize("required", [True, False])
def test_a_stress_of_nan_says_nothing_where_there_is_no_volume(tmp_path, required):
    """Bulk, slabs and molecules in one file, as ASE and others write it."""
    nan = " ".join(["nan"] * 9)
    texts = [frame_text("T T T"), frame_text("T T F"), frame_text("F F F", stress=nan)]
    texts.append(frame_text("F F F", stress=nan, cell=None))
    dataset = read_strain(tmp_path, *texts, required=required)
    assert dataset.status["energy", "strain"].tolist() == [FOUND, FOUND, IMPOSSIBLE, IMPOSSIBLE]
    assert not dataset.notes
    assert label_table({"training": [dataset]}).rows[1].missing == 0
    np.testing.assert_allclose(batch_of(dataset).volumes, [VOLUME, VOLUME, np.nan, np.nan])


MIXED = [("T T T", CELL), ("T T F", CELL), ("T F F", CELL), ("F F F", None)]


@pytest.mark.parametrize("kind", ["stress", "virial"])
@pytest.mark.parametrize("required", [True, False])
def test_a_stress_of_nan_is_none_in_what_is_not_bulk_and_it_is_said(tmp_path, kind, required):
    """As metatrain's users write it: a slab may have one here, and need not."""
    nan = " ".join(["nan"] * 9)
    texts = [frame_text(pbc, STRESS if pbc == "T T T" else nan, cell, kind) for pbc, cell in MIXED]
    dataset = read_strain(tmp_path, *texts, required=required, kind=kind)
    assert dataset.status["energy", "strain"].tolist() == [FOUND] + 3 * [IMPOSSIBLE]
    (note,) = dataset.notes
    assert "not periodic in all directions, have NaN or nothing" in note and "frame 1" in note


@pytest.mark.parametrize("kind", ["stress", "virial"])
def test_a_stress_of_nan_in_bulk_is_refused(tmp_path, kind):
    nan = frame_text("T T T", " ".join(["nan"] * 9), key=kind)
    with pytest.raises(DataError, match=r"frame 1 .* is NaN or infinite"):
        read_strain(tmp_path, frame_text("T T T", key=kind), nan, kind=kind)


def test_a_stress_that_is_nan_in_part_is_no_way_to_say_that_there_is_none(tmp_path):
    part = frame_text("T T F", "nan 0 0 0 nan 0 0 0 nan")
    with pytest.raises(DataError, match=r"frame 1 .* is NaN or infinite"):
        read_strain(tmp_path, frame_text("T T T"), part)


def test_clusters_may_lack_the_virial_that_bulk_has_and_slabs_may_not(tmp_path):
    without = [frame_text(pbc, cell=cell, key="other") for pbc, cell in MIXED[2:]]
    texts = [frame_text("T T T", key="virial"), without[1]]
    dataset = read_strain(tmp_path, *texts, kind="virial")
    assert dataset.status["energy", "strain"].tolist() == [FOUND, IMPOSSIBLE]
    assert "NaN or nothing for the energy virial, frame 1" in dataset.notes[0]
    with pytest.raises(DataError, match=r"frame 1 .*'virial' of .* is missing"):
        read_strain(tmp_path, texts[0], without[0], kind="virial")
    # where none has it, the key is wrong
    with pytest.raises(DataError, match=r"frame 0 .*'virial' of .* is missing"):
        read_strain(tmp_path, without[1], kind="virial")


# Labels that are refused


def test_a_missing_key_names_the_keys_that_are_there(xyz):
    with pytest.raises(DataError) as error:
        read_dataset(spec_of(xyz, energy_spec(xyz, key="energie")))
    message = str(error.value)
    assert "cu.xyz, frame 0" in message
    assert "5 of 5 frames" in message
    assert "did you mean 'energy'" in message
    assert "info: mu, step, origin" in message
    assert "arrays: positions, q" in message
    assert "calculator: energy, stress, forces" in message
    assert "allow_missing" in message


@pytest.mark.parametrize("reader", [None, "ase"])
@pytest.mark.parametrize(
    ("key", "sample_kind", "there"),
    [
        ("charge", "atom", "of the structure there, and of each atom in the options; write sam"),
        ("q", "system", "of each atom there, and of the structure in the options; write sample_k"),
        ("forces", "system", "of each atom there, and of the structure in the options; write sam"),
        ("energy", "atom", "of the structure there, and of each atom in the options; write sampl"),
    ],
)
def test_a_key_in_the_other_place_is_said(tmp_path, frames, reader, key, sample_kind, there):
    for atoms in frames:
        atoms.info["charge"] = 1.0
    path = tmp_path / "placed.xyz"
    ase.io.write(path, frames, format="extxyz")
    spec = scalar_spec(path, key, sample_kind=sample_kind, reader=reader)
    other = "system" if sample_kind == "atom" else "atom"
    for role, dataset in (
        ("target", spec_of(path, spec)),
        ("input", spec_of(path, energy_spec(path), extra_data=(spec,))),
    ):
        with pytest.raises(DataError, match=f"'{key}' of {role} '{key}' is {there}") as error:
            read_dataset(dataset)
        assert str(error.value).endswith(f"write sample_kind: {other}")


def test_a_key_missing_in_one_frame(xyz):
    text = xyz.read_text().split("energy=")
    xyz.write_text("energy=".join(text[:3]) + "e=" + "energy=".join(text[3:]))
    with pytest.raises(DataError, match=r"frame 2 .*'energy' is missing \(1 of 5 frames"):
        read_dataset(spec_of(xyz))


def test_a_missing_gradient_that_the_options_name(tmp_path):
    path = tmp_path / "bare.xyz"
    path.write_text("1\nenergy=1.0\nH 0 0 0\n")
    with pytest.raises(DataError, match="'forces' of target 'energy forces' is missing"):
        read_dataset(spec_of(path))


def test_frames_that_indices_leave_out_need_no_labels(xyz):
    edit(xyz, "energy=", "e=")
    assert len(read_dataset(spec_of(xyz, indices=(1, 2)))) == 2


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_an_energy_that_is_not_finite(xyz, frames, value):
    edit(xyz, f"energy={frames[0].get_potential_energy()}", f"energy={value}")
    with pytest.raises(DataError, match=r"frame 0 .*'energy' of target 'energy' is NaN"):
        read_dataset(spec_of(xyz))


@pytest.mark.parametrize("required", [True, False])
def test_a_force_that_is_not_finite(xyz, required):
    lines = xyz.read_text().splitlines()
    lines[9] = " ".join([*lines[9].split()[:-1], "nan"])
    xyz.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"frame 1 .*forces' is NaN or infinite at atom 1"):
        read_dataset(spec_of(xyz, energy_spec(xyz, required=required)))


def test_allow_missing_counts_what_is_missing_and_what_is_nan(tmp_path):
    path = tmp_path / "gaps.xyz"
    comments = ["energy=1.0", "energy=nan", "free=1.0"]
    path.write_text("".join(f"1\n{comment}\nH 0 0 0\n" for comment in comments))
    target = energy_spec(path, gradients=(), allow_missing=True)
    dataset = read_dataset(spec_of(path, target))
    assert dataset.status["energy", "values"].tolist() == [FOUND, NOT_FINITE, MISSING]
    np.testing.assert_array_equal(dataset.labels["energy"].values[:, 0], [1.0, np.nan, np.nan])


def test_a_label_of_the_wrong_shape(xyz):
    with pytest.raises(DataError, match=r"frame 0 .*has the shape \(3\), expected the shape \(2\)"):
        read_dataset(spec_of(xyz, scalar_spec(xyz, "mu", num_subtargets=2)))


def test_a_label_of_the_wrong_shape_in_one_frame(tmp_path):
    path = tmp_path / "shapes.xyz"
    path.write_text('1\nmu="1.0 2.0"\nH 0 0 0\n1\nmu=1.0\nH 0 0 0\n')
    spec = spec_of(path, scalar_spec(path, "mu", num_subtargets=2))
    with pytest.raises(DataError, match=r"frame 1 .*has one number, expected the shape \(2\)"):
        read_dataset(spec)
    # The frames of the right shape are read, whichever shape comes first.
    right = replace(spec, targets=(scalar_spec(path, "mu"),), indices=(1,))
    assert read_dataset(right).labels["mu"].values.tolist() == [[1.0]]


def test_a_label_that_is_text(xyz):
    with pytest.raises(DataError, match="'origin' of target 'origin' is no number"):
        read_dataset(spec_of(xyz, scalar_spec(xyz, "origin")))


def test_labels_of_another_number_of_frames(tmp_path, xyz, frames):
    other = tmp_path / "fewer.xyz"
    ase.io.write(other, frames[:3], format="extxyz")
    with pytest.raises(DataError, match=r"'fewer.xyz' has 3 frames and 'cu.xyz' has 5"):
        read_dataset(spec_of(xyz, energy_spec(other)))


def test_labels_of_other_structures(tmp_path, xyz, frames):
    other = tmp_path / "shuffled.xyz"
    ase.io.write(other, frames[::-1][1:] + frames[:1], format="extxyz")
    with pytest.raises(DataError, match=r"shuffled.xyz, frame 0 .*8 atoms, .* has 4"):
        read_dataset(spec_of(xyz, energy_spec(other)))


# Files and structures that are refused


def read_text(tmp_path, text, name="bad.xyz"):
    path = tmp_path / name
    path.write_text(text)
    return read_dataset(DatasetSpec(SystemsSpec(str(path))))


GOOD_FRAME = "2\nenergy=1.0\nH 0 0 0\nH 0 0 1\n"
BAD_FILES = {
    "cut off in the atoms": (GOOD_FRAME + "2\nenergy=1.0\nH 0 0 0\n", "frame 1 .*line 5.*ends"),
    "cut off in a line": (GOOD_FRAME + "1\nenergy=1.0\nH 0 0", "line 7 'H 0 0' has 3 columns"),
    "cut off in the header": (GOOD_FRAME + "2\n", "frame 1 .*ends before the comment line"),
    "too many atoms": (GOOD_FRAME + "H 0 0 2\n", "line 5 is 'H 0 0 2', expected the number"),
    "no atoms": (GOOD_FRAME + "0\nenergy=1.0\n", "frame 1 .*has no atoms"),
    "no xyz at all": ("hello world\n", "expected the number of atoms"),
    "blank lines only": ("\n\n", "is empty; expected extended xyz"),
    "a word for a number": (GOOD_FRAME.replace("0 0 1", "0 0 one"), "line 4 .*no number"),
    "no such element": (GOOD_FRAME.replace("H 0 0 1", "Qq 0 0 1"), "line 4 .*element 'Qq'"),
    "a ghost": (GOOD_FRAME.replace("H 0 0 1", "X 0 0 1"), "atom 1 has .* number 0 .X, a ghost"),
    "a ghost by its number": (
        "1\nProperties=Z:I:1:pos:R:3\n0 0 0 0\n",
        "frame 0 .*atom 0 has the atomic number 0",
    ),
    "no element at all": ("1\nProperties=Z:I:1:pos:R:3\n119 0 0 0\n", "atomic number 119"),
    "position nan": (GOOD_FRAME.replace("0 0 1", "0 0 nan"), "position of atom 1 .*finite"),
    "flat cell": ('1\nLattice="1 0 0 0 1 0 1 1 0"\nH 0 0 0\n', "pbc T T T.*without volume"),
    "pbc without cell": ('1\npbc="T F F"\nH 0 0 0\n', "pbc T F F.*without volume"),
    "eight numbers": ('1\nLattice="1 0 0 0 1 0 1 1"\nH 0 0 0\n', "nine numbers"),
    "no positions": ("1\nProperties=species:S:1\nH\n", "has no positions"),
    "bad properties": ("1\nProperties=species:pos\nH\n", "cannot be parsed"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_broken_xyz(tmp_path, name):
    text, expected = BAD_FILES[name]
    with pytest.raises(DataError, match=expected):
        read_text(tmp_path, text)


def test_a_missing_file_names_the_nearest(xyz):
    with pytest.raises(DataError, match=r"no file .*cu2.xyz' \(did you mean 'cu.xyz'\?\)"):
        read_dataset(spec_of(xyz.with_name("cu2.xyz")))


def test_a_missing_folder(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        read_dataset(spec_of(tmp_path / "nowhere" / "cu.xyz"))


def test_an_empty_file(tmp_path):
    with pytest.raises(DataError, match=r"bad.xyz' is empty"):
        read_text(tmp_path, "")


def test_a_folder_instead_of_a_file(tmp_path):
    with pytest.raises(DataError, match="is a folder: name a file in it"):
        read_dataset(spec_of(tmp_path))


def test_a_binary_file_named_xyz(tmp_path):
    path = tmp_path / "bad.xyz"
    path.write_bytes(b"\x80\x81\xff\x00")
    with pytest.raises(DataError, match="is a binary file of an unknown kind"):
        read_dataset(spec_of(path))


@pytest.mark.parametrize("name", ["data.unknown", "data.traj", "data.db", "data.mts"])
def test_a_format_that_nobody_can_read(tmp_path, name):
    with pytest.raises(DataError, match=r"cannot be read by ASE|no file of metatensor"):
        read_text(tmp_path, "hello world\n", name)


def test_an_unknown_reader(xyz):
    spec = DatasetSpec(SystemsSpec(str(xyz), reader="metatensr"))
    with pytest.raises(DataError, match="did you mean 'metatensor'"):
        read_dataset(spec)


def test_indices_out_of_range(xyz):
    with pytest.raises(DataError, match="index 5 is out of range; there are 5 frames"):
        read_dataset(spec_of(xyz, indices=(0, 5)))


def test_a_direction_that_is_not_periodic_needs_no_cell_vector(tmp_path):
    dataset = read_text(tmp_path, '1\nLattice="3 0 0 0 3 0 0 0 0" pbc="T T F"\nH 0 0 0\n')
    assert dataset.structures.pbc.tolist() == [[True, True, False]]


def test_periodic_cells_have_no_vector_where_nothing_is_periodic(tmp_path):
    dataset = read_text(tmp_path, '1\nLattice="3 0 0 0 3 0 0 0 9" pbc="T T F"\nH 0 0 0\n')
    np.testing.assert_array_equal(dataset.structures.periodic_cells[0], np.diag([3.0, 3.0, 0.0]))
    assert dataset.structures.volumes[0] == pytest.approx(81.0)


# Metatensor


def energy_map(frames, num_systems=NUM_FRAMES, gradients=True):
    from metatensor import Labels, TensorBlock, TensorMap

    systems = np.arange(num_systems, dtype=np.int32)[:, None]
    energies = np.array([[atoms.get_potential_energy()] for atoms in frames[:num_systems]])
    properties = Labels(["energy"], np.array([[0]], dtype=np.int32))
    block = TensorBlock(energies, Labels(["system"], systems), [], properties)
    if gradients:
        samples = [[s, s, a] for s in range(num_systems) for a in range(len(frames[s]))]
        forces = np.concatenate([atoms.get_forces() for atoms in frames[:num_systems]])
        xyz = np.arange(3, dtype=np.int32)[:, None]
        names = ["sample", "system", "atom"]
        labels = Labels(names, np.array(samples, dtype=np.int32))
        block.add_gradient(
            "positions", TensorBlock(-forces[..., None], labels, [Labels("xyz", xyz)], properties)
        )
        strain = np.array(
            [a.get_stress(voigt=False) * a.get_volume() for a in frames[:num_systems]]
        )
        components = [Labels("xyz_1", xyz), Labels("xyz_2", xyz)]
        labels = Labels(["sample"], systems)
        block.add_gradient("strain", TensorBlock(strain[..., None], labels, components, properties))
    return TensorMap(Labels(["_"], np.array([[0]], dtype=np.int32)), [block])


def save_map(path, tensor_map):
    import metatensor

    metatensor.save(str(path), tensor_map)
    return path


def test_energy_with_gradients_of_metatensor(tmp_path, xyz, frames):
    path = save_map(tmp_path / "energy.mts", energy_map(frames))
    ours = read_dataset(spec_of(xyz, energy_spec(path))).labels["energy"]
    expected = read_dataset(spec_of(xyz)).labels["energy"]
    np.testing.assert_array_equal(ours.values, expected.values)
    for part, array in expected.gradients.items():
        np.testing.assert_allclose(ours.gradients[part], array, atol=1e-7)


def test_a_stress_of_metatensor_needs_a_volume_too(tmp_path, xyz, frames):
    path = save_map(tmp_path / "energy.mts", energy_map(frames))
    frames[1].pbc = False
    ase.io.write(xyz, frames, format="extxyz")
    dataset = read_dataset(spec_of(xyz, energy_spec(path)))
    assert dataset.status["energy", "strain"].tolist() == [FOUND, IMPOSSIBLE, FOUND, FOUND, FOUND]
    assert np.isnan(dataset.labels["energy"].gradients["strain"][1]).all()
    assert [note for note in dataset.notes if "is not used, frame 1" in note]


def test_systems_that_a_tensor_map_lacks_are_missing(tmp_path, xyz, frames):
    path = save_map(tmp_path / "energy.mts", energy_map(frames, num_systems=3))
    with pytest.raises(DataError, match=r"energy.mts, frame 3 .*missing \(2 of 5"):
        read_dataset(spec_of(xyz, energy_spec(path)))
    dataset = read_dataset(spec_of(xyz, energy_spec(path, allow_missing=True)))
    assert dataset.status["energy", "positions"].tolist() == [FOUND] * 3 + [MISSING] * 2


def test_a_tensor_map_of_more_systems(tmp_path, xyz, frames):
    path = save_map(tmp_path / "energy.mts", energy_map(frames))
    ase.io.write(xyz, frames[:4], format="extxyz")
    with pytest.raises(DataError, match="labels of system 4, and there are 4 structures"):
        read_dataset(spec_of(xyz, energy_spec(path)))


def test_a_tensor_map_of_other_samples_or_properties(tmp_path, xyz, frames):
    path = save_map(tmp_path / "energy.mts", energy_map(frames, gradients=False))
    with pytest.raises(DataError, match="check sample_kind"):
        read_dataset(spec_of(xyz, scalar_spec(path, "energy", sample_kind="atom")))
    with pytest.raises(DataError, match="check type and num_subtargets"):
        read_dataset(spec_of(xyz, scalar_spec(path, "energy", num_subtargets=2)))


def test_spherical_blocks_follow_the_order_of_the_irreps(tmp_path, xyz):
    from metatensor import Labels, TensorBlock, TensorMap

    rng = np.random.default_rng(0)
    systems = Labels(["system"], np.arange(NUM_FRAMES, dtype=np.int32)[:, None])
    properties = Labels(["p"], np.array([[0], [1]], dtype=np.int32))
    blocks, arrays = [], []
    for o3_lambda in (0, 2):
        mu = Labels(["o3_mu"], np.arange(-o3_lambda, o3_lambda + 1, dtype=np.int32)[:, None])
        arrays.append(rng.normal(size=(NUM_FRAMES, 2 * o3_lambda + 1, 2)))
        blocks.append(TensorBlock(arrays[-1], systems, [mu], properties))
    keys = Labels(["o3_lambda", "o3_sigma"], np.array([[0, 1], [2, 1]], dtype=np.int32))
    path = save_map(tmp_path / "alpha.mts", TensorMap(keys, blocks))
    irreps = [{"o3_lambda": 2, "o3_sigma": 1}, {"o3_lambda": 0, "o3_sigma": 1}]
    target = scalar_spec(path, "alpha", type={"spherical": {"irreps": irreps}}, num_subtargets=2)
    values = read_dataset(spec_of(xyz, target)).labels["alpha"].values
    np.testing.assert_array_equal(values[:, :5], arrays[1])
    np.testing.assert_array_equal(values[:, 5:], arrays[0])


def test_one_structure_of_metatomic(tmp_path):
    from metatomic.torch import save, systems_to_torch

    atoms = Atoms("HCl", [[0, 0, 0], [0, 0, 1.3]], cell=[5, 6, 7], pbc=True)
    path = tmp_path / "hcl.mta"
    save(path, systems_to_torch(atoms, dtype=torch.float64))
    structures = read_dataset(DatasetSpec(SystemsSpec(str(path)))).structures
    assert structures.types.tolist() == [1, 17]
    np.testing.assert_array_equal(structures.cells[0], np.diag([5.0, 6.0, 7.0]))


def test_a_tensor_map_is_no_structure(tmp_path, frames):
    path = save_map(tmp_path / "energy.mts", energy_map(frames))
    with pytest.raises(DataError, match="holds no structure; expected a file of metatomic"):
        read_dataset(DatasetSpec(SystemsSpec(str(path))))
