"""A training that is killed again and again, each time at another moment of its life.

Run as a module by the suite: ``python -m mt_conformance.runs.kill_process ARCHITECTURE NUMBER``. It
trains by ``options.yaml``, in the folder ``undisturbed`` without, and in ``killed`` with so many
kills, each followed by a restart, and prints a report as JSON.
Every training is a process of its own, forked from this one, whose imports are done: they take
most of the time of a start, and all moments but those of imports are tried twenty times in half a
minute.
"""

import json
import os
import random
import runpy
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from mt_conformance.runs.stopped_training import KILLED, UNDISTURBED
from mt_conformance.runs.trainings import OPTIONS
from mt_shared.contract import read_checkpoint
from mt_shared.errors import CheckpointError
from mt_shared.registry import load

POLL = 0.005
LOG = "said.log"
LONGEST = 30
"""A kill comes after at most this part of the training, so that it outlives many of them."""


def main() -> None:
    name, number = sys.argv[1], int(sys.argv[2])
    load(name)
    start, training = _undisturbed()
    chance = random.Random(0)
    report = []
    for attempt in range(number):
        # every other kill is aimed at steps and saves, the others at what comes before them; there
        # must be a checkpoint to begin with
        trains = attempt % 2 == 1 or not _checkpoints(Path(KILLED))
        moment = chance.uniform(0.0, training / LONGEST if trains else start)
        report.append(_attempt(attempt, trains, moment))
        if report[-1]["status"] is not None:
            break
    report.append(_attempt(number, False, None))
    print(json.dumps(report))


def _undisturbed() -> tuple[float, float]:
    """Seconds to the first checkpoint and from there to the end, where nobody kills."""
    started = time.monotonic()
    folder = Path(UNDISTURBED)
    process = _start(folder, ["train", OPTIONS])
    _wait(folder, process, set())
    first = time.monotonic()
    _, status = os.waitpid(process, 0)
    if status:
        sys.exit(f"a training that nobody kills fails:\n{(folder / LOG).read_text()}")
    return first - started, time.monotonic() - first


def _attempt(number: int, trains: bool, moment: float | None) -> dict[str, Any]:
    """One process: killed at a moment after its start or its first checkpoint, or never (None).

    ``status`` is how it ended by itself, None where it was killed.
    """
    folder = Path(KILLED)
    before = _checkpoints(folder)
    restart = ["--restart", "auto"] if before else []
    process = _start(folder, ["train", OPTIONS, *restart])
    status = _wait(folder, process, before) if trains else None
    if status is None:
        status = _kill_at(process, moment)
    left = _checkpoints(folder) - before
    return {
        "number": number,
        "status": status,
        "restarted": bool(before),
        # it was waited for
        "had_saved": trains,
        "has_saved": bool(left),
        "broken": [str(file) for file in sorted(left) if not _is_whole(file)],
        "said": (folder / LOG).read_text(encoding="utf-8"),
    }


def _kill_at(process: int, moment: float | None) -> int | None:
    """Wait for a moment, or for ever, and kill what still runs; the status of what has ended."""
    if moment is not None:
        time.sleep(moment)
    ended, status = os.waitpid(process, 0 if moment is None else os.WNOHANG)
    if ended:
        return os.waitstatus_to_exitcode(status)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def _wait(folder: Path, process: int, before: set[Path]) -> int | None:
    """Wait for a checkpoint that was not there before; the status of a process that has ended."""
    while not _checkpoints(folder) - before:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL)
    return None


def _checkpoints(folder: Path) -> set[Path]:
    # a file that is being written has a name with a dot in front
    return set(folder.glob("outputs/*/*/[!.]*.ckpt"))


def _is_whole(file: Path) -> bool:
    try:
        read_checkpoint(file)
    except CheckpointError:
        return False
    return True


def _start(folder: Path, arguments: list[str]) -> int:
    """Fork, and be ``mt`` in the child."""
    process = os.fork()
    if process:
        return process
    os.chdir(folder)
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = ["mt", *arguments]
    code = 1
    try:
        runpy.run_module("mt_core", run_name="__main__")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # nothing of the parent's may run in the child: no clean-up, no code after the fork
        os._exit(code)


if __name__ == "__main__":
    main()
