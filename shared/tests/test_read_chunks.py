"""A data set in chunks: the same as the whole, with memory that does not grow with its length."""

import re
import tracemalloc
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mt_shared.data import read_chunks, read_dataset
from mt_shared.errors import DataError
from mt_shared.options import DatasetSpec, GradientSpec, SystemsSpec, TargetSpec

NUM_FRAMES = 10
SIZES = (1, 3, 5, 1000)
# A file that is ten times as long may have a peak that is this much higher.
MEMORY_TOLERANCE = 1.2


def make_frames(num_frames=NUM_FRAMES):
    """Chains of one to three atoms in a cell, with energy, forces, stress, dipole and charges."""
    rng = np.random.default_rng(0)
    frames = []
    for i in range(num_frames):
        num_atoms = 1 + i % 3
        positions = [[0.1, 0.2, 1.1 * atom] for atom in range(num_atoms)]
        atoms = Atoms("OHH"[:num_atoms], positions, cell=[4, 5, 6], pbc=True)
        forces = rng.normal(size=(num_atoms, 3))
        results = {"energy": rng.normal(), "forces": forces, "stress": rng.normal(size=6)}
        atoms.calc = SinglePointCalculator(atoms, **results)
        atoms.arrays["q"] = rng.normal(size=num_atoms)
        frames.append(atoms)
    return frames


def write(path, frames):
    ase.io.write(path, frames, **({"format": "extxyz"} if path.suffix == ".xyz" else {}))
    return path


@pytest.fixture
def xyz(tmp_path):
    return write(tmp_path / "water.xyz", make_frames())


def energy_spec(path, required=True, **options):
    path = str(path)
    gradients = tuple(
        GradientSpec(kind, kind, path, required=required) for kind in ("forces", "stress")
    )
    options = {"gradients": gradients, "quantity": "energy", "unit": "eV", **options}
    return TargetSpec("energy", "energy", path, **options)


def charge_spec(path):
    return TargetSpec("q", "q", str(path), sample_kind="atom")


def spec_of(path, *targets, **options):
    systems = SystemsSpec(str(path), length_unit="angstrom")
    return DatasetSpec(systems, targets or (energy_spec(path),), **options)


def edit_frames(path, frames, old, new):
    """Replace text in some frames of an extended xyz file; frames have different lengths."""
    lines, starts = path.read_text().splitlines(keepends=True), [0]
    while starts[-1] < len(lines):
        starts.append(starts[-1] + int(lines[starts[-1]]) + 2)
    for frame in frames:
        part = "".join(lines[starts[frame] : starts[frame + 1]])
        assert old in part
        lines[starts[frame] : starts[frame + 1]] = part.replace(old, new).splitlines(keepends=True)
    path.write_text("".join(lines))


def assert_chunks_are_the_whole(spec, size):
    """Same numbers, same frames, same order; every chunk but the last is full."""
    whole, chunks = read_dataset(spec), list(read_chunks(spec, size))
    assert [len(chunk) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert_joined_equal(chunks, whole)


def assert_joined_equal(chunks, whole):
    frames = np.concatenate([chunk.frames for chunk in chunks])
    np.testing.assert_array_equal(frames, whole.frames)
    for name in ("positions", "types", "cells", "pbc", "atoms_per_system"):
        joined = np.concatenate([getattr(chunk.structures, name) for chunk in chunks])
        np.testing.assert_array_equal(joined, getattr(whole.structures, name), err_msg=name)
    for place in ("labels", "extra"):
        for name, expected in getattr(whole, place).items():
            parts = [getattr(chunk, place)[name] for chunk in chunks]
            assert_labels_equal(parts, expected)
    for key, status in whole.status.items():
        joined = np.concatenate([chunk.status[key] for chunk in chunks])
        np.testing.assert_array_equal(joined, status, err_msg=str(key))
    for chunk in chunks:
        assert chunk.source == whole.source
        assert chunk.length_unit == whole.length_unit
        assert set(chunk.unused_keys) <= set(whole.unused_keys)


def assert_labels_equal(parts, expected):
    joined = np.concatenate([part.values for part in parts])
    np.testing.assert_array_equal(joined, expected.values)
    for name, gradient in expected.gradients.items():
        joined = np.concatenate([part.gradients[name] for part in parts])
        np.testing.assert_array_equal(joined, gradient, err_msg=name)
    for part in parts:
        assert part.gradient_kinds == expected.gradient_kinds
        assert (part.unit, part.sample_kind) == (expected.unit, expected.sample_kind)


def read_until_error(spec, size):
    """The chunks before the error, and its words."""
    chunks = []
    with pytest.raises(DataError) as error:
        chunks.extend(read_chunks(spec, size))
    # The list is extended one by one, so it holds what came before the error.
    return chunks, str(error.value)


def error_of_whole(spec):
    with pytest.raises(DataError) as error:
        read_dataset(spec)
    return str(error.value)


# The same as the whole


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["water.xyz", "water.traj", "water.db"])
def test_chunks_are_the_whole(tmp_path, name, size):
    path = write(tmp_path / name, make_frames())
    # Of the arrays that are not its own, ASE writes those alone that are columns of text.
    charges = (charge_spec(path),) if name == "water.xyz" else ()
    targets = (energy_spec(path), *charges)
    assert_chunks_are_the_whole(spec_of(path, *targets), size)


@pytest.mark.parametrize("size", SIZES)
def test_labels_of_another_file_are_read_in_step(tmp_path, xyz, size):
    """Two formats for the same frames, one of them for one target alone."""
    traj = write(tmp_path / "labels.traj", make_frames())
    spec = spec_of(xyz, energy_spec(traj), extra_data=(charge_spec(xyz),))
    assert_chunks_are_the_whole(spec, size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shuffled", [False, True])
def test_labels_of_metatensor(tmp_path, xyz, size, shuffled):
    path = save_map(tmp_path / "energy.mts", make_frames(), shuffled)
    assert_chunks_are_the_whole(spec_of(xyz, energy_spec(path)), size)
    joined = np.concatenate([c.labels["energy"].values for c in read_chunks(spec_of(xyz), size)])
    ours = read_chunks(spec_of(xyz, energy_spec(path)), size)
    np.testing.assert_array_equal(
        np.concatenate([chunk.labels["energy"].values for chunk in ours]), joined
    )


@pytest.mark.parametrize("size", SIZES)
def test_cell_vectors_after_the_atoms_of_a_late_frame(tmp_path, size):
    """ASE goes on where the fast reader cannot, with no frame lost or doubled."""
    frames = [f"1\nenergy={i}.5\nH 0 0 {i}\n" for i in range(NUM_FRAMES)]
    frames[7] += "VEC1 3 0 0\nVEC2 0 3 0\nVEC3 0 0 3\n"
    path = tmp_path / "vec.xyz"
    path.write_text("".join(frames))
    # A comment line before cell vectors has no keys for ASE.
    spec = spec_of(path, energy_spec(path, required=False, allow_missing=True))
    assert_chunks_are_the_whole(spec, size)
    cells = np.concatenate([chunk.structures.cells for chunk in read_chunks(spec, size)])
    assert np.flatnonzero(cells.any(axis=(1, 2))).tolist() == [7]


def test_structures_without_targets(xyz):
    chunks = list(read_chunks(DatasetSpec(SystemsSpec(str(xyz))), 4))
    assert [len(chunk) for chunk in chunks] == [4, 4, 2]
    assert "no length_unit" in chunks[0].notes[0]


def test_rows_of_a_database_are_fetched_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("mt_shared.data.readers.ase_files.CHUNK_FRAMES", 4)
    path = write(tmp_path / "water.db", make_frames())
    expected = [atoms.get_potential_energy() for atoms in make_frames()]
    assert read_dataset(spec_of(path)).labels["energy"].values[:, 0].tolist() == expected


# Indices


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("indices", [(0, 1, 2), (1, 8), (0, 3, 4, 5, 9), (9,), (8, 1, 4), (5, 4)])
def test_indices_choose_frames_in_their_order(tmp_path, xyz, indices, size):
    mts = save_map(tmp_path / "energy.mts", make_frames())
    for target in (energy_spec(xyz), energy_spec(mts)):
        spec = spec_of(xyz, target, charge_spec(xyz), indices=indices)
        chunks = list(read_chunks(spec, size))
        assert all(0 < len(chunk) <= size for chunk in chunks)
        assert_joined_equal(chunks, read_dataset(spec))


def test_indices_from_a_file(tmp_path, xyz):
    path = tmp_path / "indices.txt"
    path.write_text("2\n7\n")
    chunks = read_chunks(spec_of(xyz, indices=str(path)), 3)
    assert [chunk.frames.tolist() for chunk in chunks] == [[2], [7]]


def test_no_indices_at_all(xyz):
    assert list(read_chunks(spec_of(xyz, indices=()), 3)) == []
    assert len(read_dataset(spec_of(xyz, indices=()))) == 0


@pytest.mark.parametrize("indices", [(0, NUM_FRAMES), (-1, 2), (NUM_FRAMES, 3), (2, 2)])
@pytest.mark.parametrize("size", SIZES)
def test_wrong_indices(xyz, indices, size):
    spec = spec_of(xyz, indices=indices)
    assert read_until_error(spec, size)[1] == error_of_whole(spec)


def test_frames_that_are_not_chosen_may_lack_a_label(xyz):
    edit_frames(xyz, [4, 8], "energy=", "energie=")
    chunks = read_chunks(spec_of(xyz, indices=(0, 3, 5, 7, 9)), 3)
    assert [chunk.frames.tolist() for chunk in chunks] == [[0], [3, 5], [7], [9]]


# Gradients that the options do not ask for


def test_a_chunk_without_optional_gradients_has_none(xyz):
    """The next chunk, in which one frame has them, has them."""
    edit_frames(xyz, [0, 1, 2, 3, 5], ":forces:R:3", ":other:R:3")
    chunks = list(read_chunks(spec_of(xyz, energy_spec(xyz, required=False)), 3))
    has_forces = ["positions" in chunk.labels["energy"].gradients for chunk in chunks]
    assert has_forces == [False, True, True, True]
    assert chunks[1].notes == (
        "water.xyz: 2 of 3 frames from 3 to 5 lack the energy forces, frame 3 for one; the "
        "others have it, and it is used there",
    )


def test_a_file_that_is_first_needed_in_a_late_chunk(tmp_path, xyz):
    """The virial counts where no frame of the chunk has a stress: its file catches up."""
    other = write(tmp_path / "other.xyz", make_frames())
    edit_frames(other, range(NUM_FRAMES), "stress=", "virial=")
    edit_frames(xyz, [6, 7, 8], "stress=", "other=")
    gradients = (
        GradientSpec("stress", "stress", str(xyz), required=False),
        GradientSpec("virial", "virial", str(other), required=False),
    )
    chunks = list(read_chunks(spec_of(xyz, energy_spec(xyz, gradients=gradients)), 3))
    kinds = [chunk.labels["energy"].gradient_kinds["strain"] for chunk in chunks]
    assert kinds == ["stress", "stress", "virial", "stress"]
    virial = ase.io.read(other, 6).info["virial"]
    np.testing.assert_allclose(chunks[2].labels["energy"].gradients["strain"][0], -virial)


# Errors name the frame of the file


FAULTS = {
    "missing label": ("energy=", "energie=", r"frame 7 .*'energy' .*missing \(1 of"),
    "label nan": ("energy=", "energy=nan was=", r"frame 7 .*NaN or infinite \(1 of"),
    "wrong shape": ("energy=", 'energy="1 2" was=', "frame 7 .*has the shape"),
    "no cell": ("Lattice=", "Lettuce=", "frame 7 .*without volume"),
    "no number": ("O  ", "O x", "frame 7 .*no number"),
    "no element": ("O  ", "Qo ", "frame 7 .*the element 'Qo'"),
    "position": ("0.10000000", "nan", "frame 7 .*position of atom 0"),
    "bad header": ("2\n", "two\n", "frame 7 .*expected the number of atoms"),
    "bad pbc": ('pbc="T T T"', 'pbc="T T X"', "frame 7 .*three of T and F"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_error_in_the_third_chunk(xyz, name):
    """Earlier chunks come first, and the words are those of the whole."""
    old, new, expected = FAULTS[name]
    edit_frames(xyz, [7], old, new)
    chunks, message = read_until_error(spec_of(xyz), 3)
    assert [chunk.frames[0] for chunk in chunks] == [0, 3]
    of_whole = error_of_whole(spec_of(xyz))
    assert message == of_whole.replace("of 10 frames", "of 3 frames from 6 to 8")
    assert re.search(expected, message)


def test_an_error_of_ase_in_the_third_chunk(tmp_path):
    """A file that is read by ASE and breaks off late."""
    path = tmp_path / "vec.xyz"
    write(path, make_frames())
    path.write_text("1\n\nH 0 0 0\nVEC1 3 0 0\nVEC2 0 3 0\nVEC3 0 0 3\n" + path.read_text())
    edit = path.read_text().replace("O  ", "Qo ")
    path.write_text(edit.replace("Qo ", "O  ", 2))
    spec = DatasetSpec(SystemsSpec(str(path), length_unit="angstrom"))
    chunks, message = read_until_error(spec, 1)
    assert "vec.xyz, frame 3 (the first is 0): ASE stops here" in message
    assert (len(chunks), message) == (3, error_of_whole(spec))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("num_labels", [3, 6, 9, 11, 12, 15])
def test_files_of_different_lengths(tmp_path, xyz, size, num_labels):
    """Both are counted to their ends, as in reading the whole."""
    other = write(tmp_path / "other.xyz", make_frames(num_labels))
    spec = spec_of(xyz, energy_spec(other))
    _, message = read_until_error(spec, size)
    assert f"'other.xyz' has {num_labels} frames and 'water.xyz' has 10" in message
    assert message == error_of_whole(spec)


@pytest.mark.parametrize("size", SIZES)
def test_labels_of_other_structures(tmp_path, xyz, size):
    frames = make_frames()
    other = write(tmp_path / "other.xyz", [*frames[:7], frames[8], frames[7], frames[9]])
    spec = spec_of(xyz, energy_spec(other))
    _, message = read_until_error(spec, size)
    assert "other.xyz, frame 7 (the first is 0): it has 3 atoms" in message
    assert message == error_of_whole(spec)


@pytest.mark.parametrize("size", SIZES)
def test_a_tensor_map_of_more_systems(tmp_path, xyz, size):
    path = save_map(tmp_path / "energy.mts", make_frames(12))
    spec = spec_of(xyz, energy_spec(path))
    _, message = read_until_error(spec, size)
    assert "labels of system 10, and there are 10 structures" in message
    assert message == error_of_whole(spec)


def test_a_tensor_map_that_lacks_a_system(tmp_path, xyz):
    path = save_map(tmp_path / "energy.mts", make_frames(8))
    chunks, message = read_until_error(spec_of(xyz, energy_spec(path)), 3)
    assert len(chunks) == 2
    assert "energy.mts, frame 8 (the first is 0): 'energy' of target 'energy' is missing" in message


def test_a_tensor_map_of_other_atoms(tmp_path, xyz):
    frames = make_frames()
    path = save_map(tmp_path / "energy.mts", [*frames[:6], frames[8], *frames[7:]])
    spec = spec_of(xyz, energy_spec(path))
    _, message = read_until_error(spec, 3)
    assert "labels of atom 1 of system 6, which has 1 atoms" in message
    assert message == error_of_whole(spec)


@pytest.mark.parametrize("text", ["", "\n\n", "hello\n", None])
def test_files_without_frames(tmp_path, text):
    path = tmp_path / "bad.xyz"
    if text is not None:
        path.write_text(text)
    assert read_until_error(spec_of(path), 3) == ([], error_of_whole(spec_of(path)))


# Memory


def peak_of_chunks(spec, size):
    tracemalloc.start()
    try:
        num_frames = sum(len(chunk) for chunk in read_chunks(spec, size))
        return num_frames, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def write_by_hand(path, num_frames, key="energy"):
    """Faster than ASE."""
    properties = "Properties=species:S:1:pos:R:3:forces:R:3"
    atoms = "O 0 0 0 1.0 2.0 3.0\nH 0 0 1 4.0 5.0 6.0\n"
    path.write_text("".join(f"2\n{properties} {key}={i}.5\n{atoms}" for i in range(num_frames)))
    return path


def peaks(spec_of_length, lengths, size):
    """Peaks of a short and a long file, after what the first use leaves in memory."""
    list(read_chunks(spec_of_length(lengths[0]), size))
    results = [peak_of_chunks(spec_of_length(length), size) for length in lengths]
    assert [num_frames for num_frames, _ in results] == list(lengths)
    return [peak for _, peak in results]


@pytest.mark.parametrize("chosen", ["all", "indices"])
def test_memory_does_not_grow_with_the_number_of_frames(tmp_path, chosen):
    """Two files in step; 10,000 structures need what 1,000 need."""

    def spec_of_length(length):
        systems = write_by_hand(tmp_path / f"{length}.xyz", length)
        labels = write_by_hand(tmp_path / f"labels{length}.xyz", length)
        forces = (GradientSpec("forces", "forces", str(systems)),)
        spec = spec_of(systems, energy_spec(labels, gradients=forces))
        return spec if chosen == "all" else replace(spec, indices=tuple(range(length)))

    short, long = peaks(spec_of_length, (1_000, 10_000), size=100)
    # The numbers of the chosen frames are in memory, as is a copy or two of them.
    numbers = 4 * 8 * 9_000 if chosen == "indices" else 0
    assert long - numbers < MEMORY_TOLERANCE * short


@pytest.mark.parametrize("suffix", [".traj", ".db"])
def test_memory_with_ase_does_not_grow(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("mt_shared.data.readers.ase_files.CHUNK_FRAMES", 50)
    frames = make_frames(50)

    def spec_of_length(length):
        path = tmp_path / f"{length}{suffix}"
        if not path.exists():
            write(path, frames * (length // 50))
        return spec_of(path)

    short, long = peaks(spec_of_length, (100, 1_000), size=50)
    assert long < MEMORY_TOLERANCE * short


def save_map(path, frames, shuffled=False):
    """Energies with gradients; samples may come in any order."""
    import metatensor
    from metatensor import Labels, TensorBlock, TensorMap

    order = np.random.default_rng(0).permutation(len(frames)) if shuffled else range(len(frames))
    systems = np.array(order, dtype=np.int32)[:, None]
    energies = np.array([[frames[s].get_potential_energy()] for s in order])
    properties = Labels(["energy"], np.array([[0]], dtype=np.int32))
    block = TensorBlock(energies, Labels(["system"], systems), [], properties)
    samples = [[row, s, a] for row, s in enumerate(order) for a in range(len(frames[s]))]
    labels = Labels(["sample", "system", "atom"], np.array(samples, dtype=np.int32))
    forces = np.concatenate([frames[s].get_forces() for s in order])
    axis = np.arange(3, dtype=np.int32)[:, None]
    block.add_gradient(
        "positions", TensorBlock(-forces[..., None], labels, [Labels("xyz", axis)], properties)
    )
    strain = [frames[s].get_stress(voigt=False) * frames[s].get_volume() for s in order]
    components = [Labels("xyz_1", axis), Labels("xyz_2", axis)]
    labels = Labels(["sample"], np.arange(len(frames), dtype=np.int32)[:, None])
    strain_block = TensorBlock(np.array(strain)[..., None], labels, components, properties)
    block.add_gradient("strain", strain_block)
    keys = Labels(["_"], np.array([[0]], dtype=np.int32))
    metatensor.save(str(path), TensorMap(keys, [block]))
    return path
