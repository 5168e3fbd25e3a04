"""A disk that is full: the training stops with an error, and what was saved before is whole."""

import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mt_shared.contract import read_checkpoint

EPOCHS = ("-r", "architecture.training.num_epochs=4")


@contextmanager
def small_files(size):
    """No file of this process may be larger: the kernel refuses the rest, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def mount(disk, size):
    """A disk of so many bytes in memory, if this process may have one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not permitted; the other tests here need no right")


@pytest.fixture
def small_disk(finished_once, tmp_path, monkeypatch):
    """A working folder on a disk that holds all of a run, but two checkpoints and not three."""
    size = next(finished_once.glob("outputs/*/*/latest.ckpt")).stat().st_size
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, int(2.5 * size) + 9 * 4096)
    text = (finished_once / "options.yaml").read_text()
    data = finished_once / "ethanol.xyz"
    (disk / "options.yaml").write_text(text.replace("ethanol.xyz", str(data)))
    monkeypatch.chdir(disk)
    yield disk
    os.chdir("/")
    subprocess.run(["umount", str(disk)], check=True)


def fill_up(disk):
    """Leave no room on a disk."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def test_the_earlier_checkpoints_survive_a_full_disk(small_disk, refuse, run_folder, succeed):
    error = refuse("train", "options.yaml", *EPOCHS)
    assert "the disk is full" in error
    kept = read_checkpoint(run_folder() / "latest.ckpt")
    assert kept["trainer"]["epoch"] >= 1
    assert not [path for path in run_folder().iterdir() if "partial" in path.name]

    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    shown = succeed("train", "options.yaml", "--restart", "auto", *EPOCHS)
    assert f"epoch {kept['trainer']['epoch'] + 1}/4" in shown


def test_a_full_disk_at_the_export_leaves_the_earlier_model(
    small_disk, finished, refuse, monkeypatch
):
    (small_disk / "model.pt").write_text("an older model")
    shutil.copy("model.ckpt", small_disk)
    fill_up(small_disk)
    monkeypatch.chdir(small_disk)
    assert "cannot write the model 'model.pt': No space left" in refuse("export model.ckpt")
    assert Path("model.pt").read_text() == "an older model"
    assert not list(Path().glob("model.1.*"))


@pytest.mark.parametrize("name", ["out.xyz", "out.mts"])
def test_a_full_disk_at_the_evaluation_is_said(small_disk, finished, refuse, name):
    fill_up(small_disk)
    error = refuse("eval", "model.pt", "eval.yaml", "-o", str(small_disk / name))
    assert "cannot write" in error
    assert "No space left" in error


def test_a_checkpoint_that_cannot_be_written_whole_leaves_the_earlier_ones(
    finished, refuse, run_folder
):
    before = {path: path.read_bytes() for path in run_folder().iterdir() if path.is_file()}
    with small_files(20_000):
        error = refuse("train", "options.yaml", "--restart", "auto", *EPOCHS)
    assert "cannot write" in error
    assert {path: path.read_bytes() for path in before} == before
    assert (finished / "model.pt").is_file()


@pytest.mark.parametrize("name", ["out.xyz", "out.mts"])
def test_predictions_that_cannot_be_written_are_said(finished, refuse, name):
    Path("out.xyz").write_text("older predictions")
    with small_files(10_000):
        assert f"cannot write '{name}'" in refuse(f"eval model.pt eval.yaml -o {name}")
    assert Path("out.xyz").read_text() == "older predictions"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device that is always full")
def test_a_terminal_or_log_that_takes_no_more_lines_costs_no_training(workspace):
    code = "from mt_core.cli import main; import sys; sys.exit(main(['train', 'options.yaml']))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "Traceback" not in done.stderr
    assert Path("model.pt").is_file()
