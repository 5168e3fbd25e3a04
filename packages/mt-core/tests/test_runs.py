"""Folders of runs: each run its own, the newest found again, files kept."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from mt_core.evaluation import copy_result, result_files
from mt_core.options import options_schema
from mt_core.training import run_folder as runs
from mt_core.training.option_changes import Change, changes
from mt_core.training.run_folder import (
    create_run_folder,
    past_runs,
    run_checkpoints,
    write_options,
)
from mt_shared.errors import CheckpointError, UserError
from mt_shared.registry import find


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
    write_options(folder, {"seed": 1}, {})
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


def state_of(path, before=1, now=2):
    """Whether an option of SOAP-BPNN may change; numbers in the path are indices of lists."""
    parts = tuple(int(part) if part.isdigit() else part for part in path.split("."))
    return Change(parts, before, now).at_restart(find("soap_bpnn"))


@pytest.mark.parametrize(
    ("state", "paths"),
    [
        (
            "free",
            "final_eval print_stats training_set.systems.read_from training_set.indices "
            "training_set.0.systems.read_from validation_set.indices test_set.1.indices "
            "validation_set.targets.energy.read_from test_set.targets.energy.forces.read_from "
            "training_set.extra_data.charge.read_from architecture.training.num_epochs "
            "architecture.training.checkpoint_interval architecture.training.log_mae",
        ),
        (
            "on_request",
            "device base_precision training_set validation_set test_set "
            "training_set.targets.energy.key training_set.0.systems.length_unit "
            "validation_set.targets.energy.forces.key architecture.atomic_types "
            "architecture.training.learning_rate architecture.training.loss.energy.weight",
        ),
        (
            "fixed",
            "seed architecture.name architecture.model architecture.model.soap.max_radial "
            "architecture.training.scale_targets architecture.training.finetune.method "
            "architecture.training.atomic_baseline.energy.6",
        ),
    ],
)
def test_what_may_change_at_a_restart(state, paths):
    assert {path: state_of(path) for path in paths.split()} == dict.fromkeys(paths.split(), state)


def test_of_a_new_option_it_is_decided_whether_it_may_change():
    """Without a word in the schema it is fixed, as these are."""
    fixed = {"architecture", "seed", "wandb", "model", "training"}
    properties = options_schema()["properties"]
    assert {name for name, schema in properties.items() if "atRestart" not in schema} == fixed


def test_the_checkpoint_to_finetune_may_move_but_not_appear():
    path = "architecture.training.finetune.read_from"
    assert state_of(path, "a.ckpt", "b.ckpt") == "free"
    assert state_of(path, None, "b.ckpt") == "fixed"
    assert state_of(path, "(not given)", "b.ckpt") == "fixed"
