"""Trainings that are stopped by a signal while they run."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mt_conformance.runs.commands import MT, TIMEOUT, environment
from mt_conformance.runs.runs import OPTIONS

POLL = 0.01
LOG = "stopped.log"
NOTES = "stopped.json"


def num_epochs(folder: Path) -> int:
    """Epochs that the newest ``train.csv`` under a folder reports; zero before there is one."""
    files = list(folder.glob("outputs/*/*/train.csv"))
    if not files:
        return 0
    newest = max(files, key=lambda file: file.stat().st_mtime_ns)
    return max(0, newest.read_text(encoding="utf-8").count("\n") - 1)


@dataclass(frozen=True)
class Stopped:
    """A training after it was stopped: its exit status, what it said, what it left."""

    status: int
    said: str
    num_epochs: int
    num_checkpoints: int


def read_stopped(folder: Path) -> Stopped:
    """What :func:`stop_within_an_epoch` noted."""
    return Stopped(**json.loads((folder / NOTES).read_text(encoding="utf-8")))


def stop_within_an_epoch(folder: Path, number: signal.Signals) -> None:
    """Run ``mt train`` in a folder, and send a signal in the middle of its third epoch."""
    with (folder / LOG).open("w") as file:
        process = subprocess.Popen(
            [*MT, "train", OPTIONS], cwd=folder, stdout=file, stderr=file, env=environment()
        )
        first = _wait_for_epoch(process, folder, 1)
        second = _wait_for_epoch(process, folder, 2)
        time.sleep((second - first) / 2)
        process.send_signal(number)
        status = process.wait(TIMEOUT)
    stopped = Stopped(
        status=status,
        said=(folder / LOG).read_text(encoding="utf-8"),
        num_epochs=num_epochs(folder),
        num_checkpoints=len(list(folder.glob("outputs/*/*/*.ckpt"))),
    )
    (folder / NOTES).write_text(json.dumps(asdict(stopped)), encoding="utf-8")


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
