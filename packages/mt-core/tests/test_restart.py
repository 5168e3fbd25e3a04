"""``mt train --restart``: where it goes on from, and what it refuses.

That it gives the same numbers is a promise of every architecture, and tested in mt-conformance.
"""

import csv
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mt_core.training.restart import Restart
from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.errors import CheckpointError
from mt_shared.options import dump_yaml, load_yaml

AUTO = "train options.yaml --restart auto"


def epochs(folder):
    with (folder / "train.csv").open() as file:
        return [row["epoch"] for row in csv.DictReader(file)]


def more(*flags):
    """A restart for one more epoch than there were, and with these options."""
    words = ["-r", "architecture.training.num_epochs=3"]
    for flag in flags:
        words += ["-r", flag]
    return [*AUTO.split(), *words]


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_nothing_to_restart_from_is_said(workspace, refuse):
    assert "nothing to restart from" in refuse(AUTO)
    assert not Path("outputs").exists()


def test_it_goes_on_with_the_newest_run_in_a_folder_of_its_own(
    finished, succeed, run_folder, newest_run
):
    first = run_folder()
    shown = succeed(*more())
    assert f"Going on from {first / 'model.ckpt'}" in shown
    assert "changed: architecture.training.num_epochs: 2 -> 3" in shown
    assert newest_run() != first
    assert epochs(first) == ["1", "2"]
    assert epochs(newest_run()) == ["1", "2", "3"]


def test_a_finished_run_trains_nothing_and_exports_again(finished, succeed, run_folder, newest_run):
    first = run_folder()
    shown = succeed(AUTO)
    assert "epoch 3" not in shown
    assert epochs(newest_run()) == epochs(first)
    assert (newest_run() / "model.pt").is_file()


def test_paths_and_what_is_logged_may_change(finished, succeed):
    Path("ethanol.xyz").rename("moved.xyz")
    flags = [
        "training_set.systems.read_from=moved.xyz",
        "architecture.training.log_interval=2",
        "architecture.training.log_mae=true",
    ]
    shown = succeed(*more(*flags))
    assert "MAE" in shown
    assert "changed: training_set.systems.read_from: 'ethanol.xyz' -> 'moved.xyz'" in shown


def test_other_options_are_listed_and_refused_unless_asked_for(finished, refuse, succeed):
    change = more("architecture.training.learning_rate=0.01", "architecture.training.batch_size=4")
    error = refuse(*change)
    assert "  architecture.training.batch_size: 8 -> 4\n" in error
    assert "  architecture.training.learning_rate: 0.001 -> 0.01\n" in error
    assert "num_epochs" not in error
    assert "--allow-changes" in error
    shown = succeed(*change, "--allow-changes")
    assert "changed: architecture.training.learning_rate: 0.001 -> 0.01" in shown


@pytest.mark.parametrize(
    "flag",
    [
        "seed=1",
        "architecture.model.bpnn.num_neurons_per_layer=9",
        "architecture.training.scale_targets=false",
        "architecture.training.finetune.read_from=model.ckpt",
    ],
)
def test_an_option_that_a_restart_would_ignore_is_refused_even_if_asked_for(finished, refuse, flag):
    error = refuse(*more(flag, "architecture.training.batch_size=4"), "--allow-changes")
    (line,) = [line for line in error.splitlines() if line.startswith("  ")]
    assert line.startswith(f"  {flag.partition('=')[0]}: ")
    assert line.endswith(" (cannot change)")


def test_an_option_that_the_run_did_not_know_had_its_default(finished, succeed, run_folder):
    file = run_folder() / "options_restart.yaml"
    options = load_yaml(file.read_text(), "")
    del options["architecture"]["training"]["finetune"]
    file.write_text(dump_yaml(options))
    shown = succeed(*more())
    assert shown.count("changed:") == 1
    assert "changed: architecture.training.num_epochs" in shown


def test_of_several_runs_that_of_the_same_options_is_taken(finished, succeed, run_folder):
    first = run_folder()
    succeed(
        "train",
        "options.yaml",
        "-r",
        "architecture.training.learning_rate=0.01",
        "-r",
        "final_eval=false",
    )
    assert f"Going on from {first / 'model.ckpt'}" in succeed(*more())


def test_changed_data_are_refused_unless_asked_for(finished, refuse, succeed, frames, write_xyz):
    write_xyz(frames[::-1])
    error = refuse(*more())
    assert "the training and validation data are not those" in error
    assert "--allow-changes" in error
    succeed(*more(), "--allow-changes")


def test_a_file_is_taken_as_it_is_named(finished, succeed, run_folder):
    previous = run_folder() / "previous.ckpt"
    shown = succeed("train", "options.yaml", "--restart", str(previous))
    assert f"Going on from {previous}" in shown


def test_a_checkpoint_away_from_its_run_keeps_its_seed_and_its_options(
    workspace, succeed, refuse, newest_run
):
    drawn = ("-r", "seed=null")
    baseline = ("-r", "architecture.training.atomic_baseline={energy: {H: -10.0}}")
    succeed("train", "options.yaml", *drawn, *baseline)
    indices = [
        (newest_run() / "indices" / f"{name}.txt").read_text() for name in ("training", "test")
    ]
    Path("away").mkdir()
    shutil.copy("model.ckpt", "away/model.ckpt")
    restart = ("train", "options.yaml", "--restart", "away/model.ckpt")
    shown = succeed(*restart, *drawn, *baseline, "-r", "architecture.training.num_epochs=3")
    assert shown.count("changed:") == 1
    assert [
        (newest_run() / "indices" / f"{name}.txt").read_text() for name in ("training", "test")
    ] == indices
    assert "seed: " in refuse(*restart, "-r", "seed=1", *baseline)


def test_an_exported_model_is_no_checkpoint(finished, refuse):
    error = refuse("train options.yaml --restart model.pt")
    assert "'model.pt' is an exported model, not a checkpoint" in error


def test_a_checkpoint_without_its_training_is_refused(finished, refuse):
    checkpoint = torch.load("model.ckpt", weights_only=True)
    torch.save(
        {name: value for name, value in checkpoint.items() if name != "trainer"}, "bare.ckpt"
    )
    assert "finetune.read_from" in refuse("train options.yaml --restart bare.ckpt")


def test_a_checkpoint_of_another_architecture_is_refused(finished, refuse):
    checkpoint = torch.load("model.ckpt", weights_only=True)
    torch.save(checkpoint | {"architecture": "pet"}, "pet.ckpt")
    assert "'pet'" in refuse("train options.yaml --restart pet.ckpt")


def test_a_truncated_checkpoint_is_named_and_the_one_before_it_used(finished, succeed, run_folder):
    run = run_folder()
    (run / "model.ckpt").unlink()
    cut(run / "latest.ckpt")
    shown = succeed(AUTO)
    assert f"'{run / 'latest.ckpt'}' is truncated" in shown
    assert f"Going on from {run / 'previous.ckpt'}" in shown


def test_where_every_checkpoint_is_damaged_each_is_named(finished, mt, run_folder):
    run = run_folder()
    for path in run.glob("*.ckpt"):
        cut(path)
    outcome = mt(AUTO)
    assert outcome.status == 1
    assert outcome.err.count("is truncated") == 3
    assert "to go on from that can be read" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_run_whose_options_are_damaged_is_passed_over(finished, succeed, run_folder, refuse):
    first = run_folder()
    later = first.with_name("23-59-59")
    shutil.copytree(first, later)
    (later / "options_restart.yaml").write_text("seed: [1\n")
    assert f"Going on from {first}" in succeed(AUTO)


@pytest.mark.parametrize(
    ("new", "expected", "unsaid"),
    [
        (
            {"atomic_types": (1, 7)},
            r"the new atomic types \[7\].*finetune\.read_from",
            "Train anew",
        ),
        (
            {"inputs": {"charge": TargetInfo("charge", "e")}},
            r"inputs \['charge'\].*Train anew",
            "finetune",
        ),
    ],
)
def test_what_new_data_need_is_said(new, expected, unsaid):
    known = {"length_unit": "angstrom", "atomic_types": (1,), "targets": {}}
    checkpoint = {"dataset_info": DatasetInfo(**known).to_dict()}
    same = SimpleNamespace(model_class=SimpleNamespace(upgrade_checkpoint=lambda found: found))
    restart = Restart(Path("model.ckpt"), checkpoint, seed=0)
    with pytest.raises(CheckpointError, match=expected) as error:
        restart.make(None, same, DatasetInfo(**{**known, **new}))
    assert unsaid not in str(error.value)
