"""Folders of runs: each run its own, the newest found again, files kept."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from mt_core.evaluation import copy_result, result_files
from mt_core.training import run_folder as runs
from mt_core.training.option_changes import Change, changes, is_fixed, is_free
from mt_core.training.run_folder import (
    create_run_folder,
    past_runs,
    run_checkpoints,
    write_options,
)
from mt_shared.errors import CheckpointError, UserError


@pytest.fixture
def noon(monkeypatch, tmp_path):
    """A working folder in which the clock stands still."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2030, 1, 2, 12, 0, 0)

    monkeypatch.setattr(runs, "datetime", Clock)
    monkeypatch.chdir(tmp_path)


def test_runs_of_one_second_get_folders_of_their_own(noon):
    assert create_run_folder() == Path("outputs/2030-01-02/12-00-00")
    assert create_run_folder() == Path("outputs/2030-01-02/12-00-00-2")
    assert create_run_folder() == Path("outputs/2030-01-02/12-00-00-3")


def test_jobs_that_start_together_never_share_a_folder(noon):
    with ThreadPoolExecutor(16) as pool:
        folders = list(pool.map(lambda _: create_run_folder(), range(64)))
    assert len(set(folders)) == 64


def test_a_file_where_the_outputs_should_be_is_said(noon):
    Path("outputs").write_text("not a folder")
    with pytest.raises(UserError, match="cannot make the folder of the run"):
        create_run_folder()


def make_run(name, *checkpoints):
    folder = Path("outputs") / name
    folder.mkdir(parents=True)
    write_options(folder, {"seed": 1})
    for checkpoint in checkpoints:
        (folder / checkpoint).touch()
    return folder


def test_the_newest_run_comes_first_by_its_name_and_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["2030-01-02/12-00-00", "2030-01-02/12-00-00-2", "2030-01-02/12-00-00-10"]
    names += ["2030-01-02/12-00-01", "2030-01-10/09-00-00"]
    made = [make_run(name, "latest.ckpt") for name in reversed(names)]
    os.utime(made[-1])  # the date of the file does not count: a copy has a new one
    assert past_runs() == made


def test_a_run_without_a_checkpoint_is_nothing_to_go_on_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_run("2030-01-02/12-00-00")
    assert past_runs() == []


def test_the_final_checkpoint_is_preferred_then_the_latest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make_run("2030-01-02/12-00-00", "previous.ckpt", "model.ckpt", "latest.ckpt")
    names = [path.name for path in run_checkpoints(run)]
    assert names == ["model.ckpt", "latest.ckpt", "previous.ckpt"]


def test_a_copy_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    source, destination = tmp_path / "run.pt", tmp_path / "model.pt"
    source.write_text("new")
    destination.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(result_files.shutil, "copyfile", full)
    with pytest.raises(CheckpointError, match=r"run\.pt.*No space left.*whole, copy it by hand"):
        copy_result(source, destination)
    assert destination.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt", "run.pt"]


def test_changes_name_the_path_of_every_difference():
    before = {"a": {"b": 1, "c": [1, 2]}, "sets": [{"x": 1}]}
    now = {"a": {"b": 2, "c": [1, 2]}, "sets": [{"x": 1}, {"x": 2}]}
    assert [str(change) for change in changes(before, now)] == [
        "a.b: 1 -> 2",
        "sets.1.x: '(not given)' -> 2",
    ]


@pytest.mark.parametrize(
    ("path", "free", "fixed"),
    [
        ("architecture.training.num_epochs", True, False),
        ("architecture.training.checkpoint_interval", True, False),
        ("training_set.systems.read_from", True, False),
        ("training_set.targets.energy.key", False, False),
        ("architecture.training.learning_rate", False, False),
        ("architecture.model.soap.max_radial", False, True),
        ("architecture.training.scale_targets", False, True),
        ("seed", False, True),
    ],
)
def test_what_may_change_at_a_restart(path, free, fixed):
    change = Change(path, 1, 2)
    assert (is_free(change), is_fixed(change)) == (free, fixed)


def test_the_checkpoint_to_finetune_may_move_but_not_appear():
    path = "architecture.training.finetune.read_from"
    assert is_free(Change(path, "a.ckpt", "b.ckpt"))
    assert not is_free(Change(path, None, "b.ckpt"))
    assert is_fixed(Change(path, None, "b.ckpt"))
