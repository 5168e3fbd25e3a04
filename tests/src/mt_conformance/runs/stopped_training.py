"""Trainings that are stopped by a signal, or killed, while they run."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mt_conformance.runs.mt_command import MT, TIMEOUT, run_python
from mt_conformance.runs.trainings import NUM_EPOCHS, OPTIONS, newest_table

# folders of a training that is killed and of one that is not
UNDISTURBED, KILLED = "undisturbed", "killed"
POLL = 0.01
NUM_TRIES = 5
LOG = "stopped.log"
NOTES = "stopped.json"


def num_epochs(folder: Path) -> int:
    """Epochs that the newest ``train.csv`` under a folder reports; zero before there is one."""
    table = newest_table(folder)
    # a line that is not ended is still being written, and the first one has the names
    return 0 if table is None else max(0, table.read_text(encoding="utf-8").count("\n") - 1)


@dataclass(frozen=True)
class StoppedTraining:
    """A training after it was stopped: its exit status, what it said, what it left."""

    status: int
    said: str
    num_epochs: int
    num_checkpoints: int


def read_stopped(folder: Path) -> StoppedTraining:
    """What :func:`stop_within_an_epoch` noted."""
    return StoppedTraining(**json.loads((folder / NOTES).read_text(encoding="utf-8")))


def stop_within_an_epoch(folder: Path, number: signal.Signals) -> None:
    """Run ``mt train`` in a folder, and send a signal in the middle of its third epoch.

    On a busy machine we may see that moment too late: then all is done again.
    """
    for _ in range(NUM_TRIES):
        shutil.rmtree(folder / "outputs", ignore_errors=True)
        if _stop(folder, number):
            return


def _stop(folder: Path, number: signal.Signals) -> bool:
    """Whether the signal came in time: there was at least one more whole epoch to come."""
    with (folder / LOG).open("w") as file:
        command = [sys.executable, *MT, "train", OPTIONS]
        process = subprocess.Popen(command, cwd=folder, stdout=file, stderr=file)
        first = _wait_for_epoch(process, folder, 1)
        second = _wait_for_epoch(process, folder, 2)
        # half an epoch later: neither a save nor the end of an epoch is near
        time.sleep((second - first) / 2)
        in_time = num_epochs(folder) <= NUM_EPOCHS - 2
        process.send_signal(number)
        status = process.wait(TIMEOUT)
    stopped = StoppedTraining(
        status=status,
        said=(folder / LOG).read_text(encoding="utf-8"),
        num_epochs=num_epochs(folder),
        num_checkpoints=len(list(folder.glob("outputs/*/*/*.ckpt"))),
    )
    (folder / NOTES).write_text(json.dumps(asdict(stopped)), encoding="utf-8")
    return in_time


def _wait_for_epoch(process: subprocess.Popen[bytes], folder: Path, epoch: int) -> float:
    """The moment at which the training has ended this epoch."""
    deadline = time.monotonic() + TIMEOUT
    while num_epochs(folder) < epoch:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            said = (folder / LOG).read_text(encoding="utf-8")
            raise AssertionError(f"the training did not get to epoch {epoch}:\n{said}")
        time.sleep(POLL)
    return time.monotonic()


def kill_again_and_again(folder: Path, architecture: str, number: int) -> list[dict[str, Any]]:
    """Train by the options in the folder ``killed``, killed so many times, and not in the other.

    :return: what became of each attempt, and of the last one, which nobody kills
    """
    script = ("-m", "mt_conformance.runs.kill_process", architecture, str(number))
    # as long as it takes: the number of kills is given, not the time between them
    done = run_python(*script, folder=folder, timeout=None)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    report: list[dict[str, Any]] = json.loads(done.stdout)
    return report
