"""A training that is stopped and continued is a training that was not stopped."""

import signal
from pathlib import Path

import pytest

from mt_conformance.inputs import abilities, needs
from mt_conformance.runs import NUM_EPOCHS, OPTIONS, Run, Runs, mt, stopped_training, write_options
from mt_conformance.tests.comparing import differences

SIGTERM_STATUS = 128 + signal.SIGTERM
NUM_KILLS = 20


def check_same(found: Run, expected: Run) -> None:
    """Fail unless two trainings had the same numbers throughout, to the last bit."""
    __tracebackhide__ = True
    pairs = list(zip(found.rows(), expected.rows()))
    wrong = [number for number, (left, right) in enumerate(pairs, 1) if left != right]
    assert not wrong, (
        f"the numbers in train.csv differ from epoch {wrong[0]} on:\n{pairs[wrong[0] - 1][0]}\n"
        f"undisturbed:\n{pairs[wrong[0] - 1][1]}"
    )
    assert len(found.rows()) == len(expected.rows()), (
        f"{len(found.rows())} epochs instead of {len(expected.rows())}"
    )
    different = differences(found.contents(), expected.contents())
    assert not different, f"same losses, but the checkpoints differ in {different[:5]}"


def stopped_and_continued(runs: Runs, number: signal.Signals) -> Run:
    """A run of the options of the reference that got a signal and was restarted."""

    def make(folder: Path) -> None:
        write_options(folder / OPTIONS, runs.reference_options(folder))
        stopped_training.stop_within_an_epoch(folder, number)
        mt("train", OPTIONS, "--restart", "auto", folder=folder).check()

    return runs.get(number.name, make)


@needs(abilities.epochs)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_restart_equals_no_restart(runs: Runs, number: signal.Signals) -> None:
    """Stopped within an epoch and continued in a new process: the same numbers, bit for bit.

    IF IT FAILS: what changes during training must be in the checkpoint: weights, optimizer,
    schedule, random state, averages, the place in the epoch, the best model.
    """
    run = stopped_and_continued(runs, number)
    stopped = stopped_training.read_stopped(run.folder)
    assert stopped.num_epochs < NUM_EPOCHS, f"it was not stopped in time:\n{stopped.said}"
    check_same(run, runs.reference())


@needs(abilities.epochs)
def test_sigterm_saves_and_leaves(runs: Runs) -> None:
    """SIGTERM ends a training with status 143, a checkpoint, and a line that says how to go on.

    IF IT FAILS: raise `mt_shared.contract.Interrupted` once all is saved, and do not catch it.
    """
    stopped = stopped_training.read_stopped(stopped_and_continued(runs, signal.SIGTERM).folder)
    said = stopped.said
    assert "Traceback" not in said, f"a traceback is shown:\n{said}"
    assert stopped.status == SIGTERM_STATUS, f"the status is {stopped.status}, not 143:\n{said}"
    assert "--restart auto" in said, f"no line says how to go on:\n{said}"
    assert stopped.num_checkpoints, "no checkpoint was left"


@pytest.mark.slow
@needs(abilities.epochs)
def test_killed_at_any_moment(runs: Runs, tmp_path: Path) -> None:
    """Killed at 20 random moments, `--restart auto` finds a whole checkpoint each time.

    The moments are counted in what the training computes: no machine is too busy for it.

    IF IT FAILS: write checkpoints with `mt_shared.contract.write_checkpoint`, which leaves the old
    file or the new one, and keep the one before until the new one is whole.
    """
    for name in (stopped_training.UNDISTURBED, stopped_training.KILLED):
        (tmp_path / name).mkdir()
        hypers = {"num_epochs": 80, "batch_size": 4, "checkpoint_interval": 1}
        options = runs.small_options(slice(20), tmp_path / name, **hypers)
        # a training whose every moment counts ends with its last checkpoint
        options["final_eval"] = False
        write_options(tmp_path / name / OPTIONS, options)
    *kills, last = stopped_training.kill_again_and_again(tmp_path, runs.subject.name, NUM_KILLS)
    failed = [f"attempt {kill['number']}:\n{kill['said']}" for kill in kills if kill["status"]]
    assert not failed, f"a training that was to be killed failed by itself, {failed[0]}"
    assert len(kills) == NUM_KILLS, f"attempt {len(kills) - 1} ended before it was killed"
    broken = [name for kill in kills for name in kill["broken"]]
    assert not broken, f"a kill left a checkpoint that cannot be read: {broken}"
    lost = [kill["number"] for kill in kills if kill["had_saved"] and not kill["has_saved"]]
    assert not lost, f"checkpoints were there before a kill and not after it (attempts {lost})"
    going = [kill["said"] for kill in kills if kill["restarted"] and kill["has_saved"]]
    fresh = [said for said in going if "Going on from" not in said]
    assert not fresh, f"it began anew instead of going on:\n{fresh[0]}"
    assert last["status"] == 0, f"the restart after the last kill failed:\n{last['said']}"
    check_same(
        Run(tmp_path / stopped_training.KILLED), Run(tmp_path / stopped_training.UNDISTURBED)
    )
