"""Bad input: what a user gets wrong ends in one clear error, with nothing lost and no traceback.

Each error says what happened, where, what was expected and what to do.
"""

import ctypes
import os
import re
import resource
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

TRAIN = "train options.yaml"
FRAME = 7
ATOM = 3  # of the lines of a frame: the first atoms are in lines 2, 3, ...


def spoil_energy(frames, value):
    frames[FRAME][1] = re.sub(r"energy=\S+", f"energy={value}", frames[FRAME][1])


def spoil_atom(frames, change):
    columns = frames[FRAME][ATOM].split()
    frames[FRAME][ATOM] = " ".join(change(columns))


def two_atoms_in_one_place(frames):
    above = frames[FRAME][ATOM - 1].split()
    spoil_atom(frames, lambda columns: [columns[0], *above[1:4], *columns[4:]])


def without_atoms(frames):
    frames[FRAME] = ["0", frames[FRAME][1]]


def key_missing_in_one_frame(frames):
    frames[FRAME][1] = frames[FRAME][1].replace("energy=", "e_total=")


def forces_of_two_numbers(frames):
    frames[FRAME][1] = frames[FRAME][1].replace("forces:R:3", "forces:R:2")
    frames[FRAME][2:] = [line.rsplit(maxsplit=1)[0] for line in frames[FRAME][2:]]


BAD_FRAMES = {
    "key missing in one frame": (
        key_missing_in_one_frame,
        ["'energy' of target 'energy' is missing (1 of 40", "e_total", "allow_missing: true"],
    ),
    "energy of the wrong shape": (
        lambda frames: spoil_energy(frames, '"-309.1 2.0"'),
        ["'energy' of target 'energy' has the shape (2)", "expected one number", "num_subtargets"],
    ),
    "energy that is no number": (
        lambda frames: spoil_energy(frames, "low"),
        ["'energy' of target 'energy' is no number", "expected one number"],
    ),
    "forces of the wrong shape": (
        forces_of_two_numbers,
        ["has the shape (2)", "expected the shape (3)"],
    ),
    "NaN in the energy": (
        lambda frames: spoil_energy(frames, "nan"),
        ["'energy' of target 'energy' is NaN or infinite", "remove these frames"],
    ),
    "NaN in the forces": (
        lambda frames: spoil_atom(frames, lambda columns: [*columns[:-1], "nan"]),
        ["'forces' of target 'energy forces' is NaN or infinite at atom 1", "remove these frames"],
    ),
    "infinite position": (
        lambda frames: spoil_atom(frames, lambda columns: [columns[0], "inf", *columns[2:]]),
        ["the position of atom 1", "positions must be finite"],
    ),
    "two atoms in one place": (
        two_atoms_in_one_place,
        ["atoms 0 and 1 are in one place", "remove one"],
    ),
    "a frame without atoms": (without_atoms, ["it has no atoms", "remove this frame"]),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_is_named_with_its_number(workspace, frames, refuse, write_xyz, name):
    spoil, expected = BAD_FRAMES[name]
    spoil(frames)
    write_xyz(frames)
    error = refuse(TRAIN)
    assert f"ethanol.xyz, frame {FRAME} (the first is 0): " in error
    for words in expected:
        assert words in error


def test_missing_or_nan_labels_are_masked_where_the_options_allow_it(
    workspace, frames, mt, write_xyz
):
    spoil_energy(frames, "nan")
    frames[FRAME + 1][1] = frames[FRAME + 1][1].replace("energy=", "e_total=")
    write_xyz(frames)
    outcome = mt(*TRAIN.split(), "-r", "training_set.targets.energy.allow_missing=true")
    assert outcome.status == 0, outcome.err
    assert "nan" not in outcome.out.partition("epoch 1/2")[2].partition("The model is")[0]


def test_a_wrong_key_is_answered_with_the_keys_that_are_there(workspace, refuse):
    error = refuse(*TRAIN.split(), "-r", "training_set.targets.energy.key=enregy")
    assert "'enregy' of target 'energy' is missing (40 of 40 frames lack it)" in error
    assert "did you mean 'energy'?" in error
    assert "energy, dipole, forces" in error


# ---- files


def test_a_missing_file_is_said_with_the_nearest_name(workspace, refuse):
    Path("ethanol.xyz").rename("ethanols.xyz")
    assert "there is no file 'ethanol.xyz' (did you mean 'ethanols.xyz'?)" in refuse(TRAIN)


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (0, "'ethanol.xyz' is empty"),
        (4000, "frame 5 (the first is 0): line 56 announces 9 atoms, and the file ends after"),
        (3000, "cut off"),
    ],
)
def test_a_file_that_is_empty_or_cut_off_is_said(workspace, refuse, keep, expected):
    text = Path("ethanol.xyz").read_text()
    Path("ethanol.xyz").write_text(text[:keep])
    assert expected in refuse(TRAIN)


def test_a_file_that_is_no_text_is_said(workspace, refuse):
    Path("ethanol.xyz").write_bytes(bytes(range(256)) * 20)
    assert "ethanol.xyz" in refuse(TRAIN)


def test_a_folder_instead_of_a_file_is_said(workspace, refuse):
    Path("ethanol.xyz").unlink()
    Path("ethanol.xyz").mkdir()
    assert "'ethanol.xyz' is a folder" in refuse(TRAIN)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "found nothing"),
        ("seed: 0\nseed: 1\n", "seed"),
        ("a: [1\n", "options.yaml:2:1"),
        ("- 1\n", "found a list, expected an options file"),
    ],
)
def test_an_options_file_that_is_none_is_said(workspace, refuse, content, expected):
    Path("options.yaml").write_text(content)
    error = refuse(TRAIN)
    assert "options.yaml" in error
    assert expected in error


def test_an_options_file_that_is_missing_is_said(workspace, refuse):
    said = refuse("train optoins.yaml")
    assert "there is no file 'optoins.yaml' (did you mean 'options.yaml'?)" in said


# ---- options


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("architecture.training.num_epochs=0", "found 0, expected a whole number of at least 1"),
        ("architecture.training.batch_size=0", "found 0, expected a whole number of at least 1"),
        ("architecture.training.learning_rate=-1e-3", "expected a number"),
        ("architecture.training.batch_sze=4", "did you mean 'batch_size'"),
        ("architecture.model.soap.cutof=4", "did you mean 'cutoff'"),
        ("trainig_set=a.xyz", "did you mean 'training_set'"),
        ("architecture.name=soap_bpn", "did you mean 'soap_bpnn'?"),
        ("architecture.name=nonesuch", "the architecture 'nonesuch' is not installed"),
        ("training_set.targets.energy.unit=evv", "unknown unit 'evv'"),
        ("training_set.targets.energy.unit=angstrom", "dimension"),
        ("training_set.systems.length_unit=angstrem", "did you mean 'angstrom'"),
        ("validation_set=1.5", "validation_set"),
        ("base_precision=16", "base_precision"),
        ("device=cuda:0", "device is 'cuda:0'"),
        ("architecture.atomic_types=[H, C]", "atomic type 8"),
        ("architecture.training.atomic_baseline={energy: {Xe: 1.0}}", "[54]"),
    ],
)
def test_an_option_that_cannot_be_is_refused(workspace, refuse, monkeypatch, flag, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert expected in refuse(*TRAIN.split(), "-r", flag)
    assert not list(Path().rglob("*.ckpt"))


def test_one_error_lists_every_fault_of_the_options(workspace, refuse):
    flags = ["architecture.training.batch_sze=4", "architecture.training.num_epochs=0", "sed=1"]
    error = refuse(*TRAIN.split(), *(word for flag in flags for word in ("-r", flag)))
    assert "3 faults" in error


@pytest.mark.parametrize("number", [1, 2, 4])
def test_fewer_structures_than_a_split_needs_are_refused(
    workspace, frames, refuse, write_xyz, number
):
    write_xyz(frames[:number])
    error = refuse(TRAIN)
    assert "the validation set (0.2 of them) would be empty" in error
    assert f"there are {number} structures in all" in error


@pytest.mark.parametrize(
    ("test_set", "expected"),
    [
        ("{indices: [40]}", "the index 40 is out of range; there are 40 frames"),
        ("{indices: [1, 1]}", "twice"),
        ("{indices: no.txt}", "no.txt"),
        ("{indices: words.txt}", "'words.txt', line 1: expected the number of a frame"),
    ],
)
def test_indices_that_cannot_be_are_refused(workspace, refuse, test_set, expected):
    Path("words.txt").write_text("one\n")
    assert expected in refuse(*TRAIN.split(), "-r", f"test_set={test_set}")


def test_a_structure_in_two_sets_is_refused(workspace, refuse):
    flags = ("-r", "validation_set={indices: [1, 2]}", "-r", "test_set={indices: [2, 3]}")
    assert "frame 2" in refuse(*TRAIN.split(), *flags)


def test_a_batch_larger_than_the_data_is_one_batch(workspace, mt):
    outcome = mt(*TRAIN.split(), "--dry-run", "-r", "architecture.training.batch_size=1000")
    assert outcome.status == 0, outcome.err
    assert "1 steps an epoch, the largest batch has 216 atoms" in outcome.out


def test_a_structure_larger_than_a_batch_may_be_is_a_batch_of_its_own(workspace, mt):
    outcome = mt(*TRAIN.split(), "--dry-run", "-r", "architecture.training.max_atoms_per_batch=5")
    assert outcome.status == 0, outcome.err
    assert "24 steps an epoch, the largest batch has 9 atoms" in outcome.out


def test_a_loss_that_explodes_says_what_to_lower_and_keeps_the_checkpoints(workspace, refuse):
    error = refuse(*TRAIN.split(), "-r", "architecture.training.learning_rate=1.0e+30")
    assert "lower architecture.training.learning_rate" in error
    assert "Traceback" not in error
    assert list(Path("outputs").rglob("latest.ckpt"))


# ---- rights and memory


@contextmanager
def no_privileges():
    """Root may read and write anything: for the time of the test its rights are those of the files.

    Another user, whom rights bind as well, may not be able to read the environment.
    """
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    # version 3 of the kernel's structure, this thread; effective, permitted, inheritable, twice
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    capabilities = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, capabilities) == 0
    effective = capabilities[0]
    capabilities[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, capabilities) == 0
    try:
        yield
    finally:
        capabilities[0] = effective
        assert libc.capset(header, capabilities) == 0


@pytest.fixture
def forbidden(finished_once, tmp_path, monkeypatch):
    """A working folder that may be read and not written to."""
    folder = tmp_path / "forbidden"
    shutil.copytree(finished_once, folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.chdir(folder)
    yield folder
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        path.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="other rights")
def test_no_right_to_write_in_the_working_folder_is_said(forbidden, refuse):
    with no_privileges():
        assert "you may write to" in refuse(TRAIN)
        assert "cannot write 'out.xyz'" in refuse("eval model.pt eval.yaml -o out.xyz")
        assert "'again.pt'" in refuse("export model.ckpt -o again.pt")


def test_no_right_to_write_where_o_says_leaves_the_results_in_the_run(
    forbidden, refuse, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(forbidden / "ethanol.xyz", "ethanol.xyz")
    shutil.copyfile(forbidden / "options.yaml", "options.yaml")
    with no_privileges():
        error = refuse(*TRAIN.split(), "-o", str(forbidden / "new.pt"))
    assert "copy it by hand" in error
    assert list(Path("outputs").rglob("model.pt"))


def test_no_right_to_read_the_data_is_said(forbidden, refuse):
    (forbidden / "ethanol.xyz").chmod(0o000)
    with no_privileges():
        assert "no right to read" in refuse("eval model.pt eval.yaml")


@contextmanager
def little_memory(megabytes):
    """This process may grow by no more than this."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + megabytes * 2**20, hard)
    )
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_memory_that_runs_out_says_what_to_lower(finished, refuse):
    flags = ("-r", "architecture.model.bpnn.num_neurons_per_layer=30000")
    with little_memory(1000):
        error = refuse(*TRAIN.split(), *flags)
    assert "the memory ran out" in error
    assert "Lower architecture.training.batch_size" in error
