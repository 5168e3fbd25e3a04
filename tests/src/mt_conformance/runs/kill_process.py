"""A training that is killed again and again, each time at another moment of its life.

Run as a module by the suite: ``python -m mt_conformance.runs.kill_process ARCHITECTURE NUMBER``. It
trains by ``options.yaml``, in the folder ``undisturbed`` without, and in ``killed`` with so many
kills, each followed by a restart, and prints a report as JSON.
Every training is a process of its own, forked from this one, whose imports are done: they take
most of the time of a start, and all moments but those of imports are tried twenty times in half a
minute.
Moments are counted in seconds that the training itself computes, so that they are the same moments
of its life on a busy machine and on a quiet one.
"""

import json
import os
import random
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mt_conformance.runs.stopped_training import KILLED, UNDISTURBED
from mt_conformance.runs.trainings import OPTIONS
from mt_shared.contract import read_checkpoint
from mt_shared.errors import CheckpointError
from mt_shared.registry import load

POLL = 0.005
LOG, FIRST_SAVE = "said.log", "first-save.txt"
LONGEST = 20
"""A kill comes after at most this part of the training, so that it outlives all of them."""
KILLS = (-signal.SIGKILL, -signal.SIGPROF)


def main() -> None:
    name, number = sys.argv[1], int(sys.argv[2])
    load(name)
    start, training = _undisturbed()
    chance = random.Random(0)
    report = []
    for attempt in range(number):
        # every other kill is aimed at steps and saves, the others at what comes before them; there
        # must be a checkpoint to begin with
        if attempt % 2 == 1 or not _checkpoints(Path(KILLED)):
            die = _dying_after_first_save(chance.uniform(0.0, training / LONGEST))
        else:
            die = _dying_before_first_save(chance.uniform(0.0, start))
        report.append(_attempt(attempt, die))
        if report[-1]["status"] is not None:
            break
    report.append(_attempt(number, lambda: None))
    print(json.dumps(report))


def _undisturbed() -> tuple[float, float]:
    """Seconds of computing up to the first checkpoint and from there on, where nobody kills."""
    folder = Path(UNDISTURBED)

    def note() -> None:
        Path(FIRST_SAVE).write_text(repr(time.process_time()), encoding="utf-8")

    process = _start(folder, ["train", OPTIONS], lambda: _at_first_save(note))
    _, status, used = os.wait4(process, 0)
    if status:
        sys.exit(f"a training that nobody kills fails:\n{(folder / LOG).read_text()}")
    if not (folder / FIRST_SAVE).exists():
        sys.exit(
            "no checkpoint got its name by a rename, as mt_shared.contract.write_checkpoint does"
        )
    first = float((folder / FIRST_SAVE).read_text(encoding="utf-8"))
    return first, used.ru_utime + used.ru_stime - first


def _attempt(number: int, prepare: Callable[[], None]) -> dict[str, Any]:
    """One process, which may be prepared to be killed.

    ``status`` is how it ended by itself, None where it was killed.
    """
    folder = Path(KILLED)
    before = _checkpoints(folder)
    process = _start(
        folder, ["train", OPTIONS, *(["--restart", "auto"] if before else [])], prepare
    )
    had_saved, ended, status = False, 0, 0
    while not ended:
        had_saved = had_saved or bool(_checkpoints(folder) - before)
        time.sleep(POLL)
        ended, status = os.waitpid(process, os.WNOHANG)
    code = os.waitstatus_to_exitcode(status)
    left = _checkpoints(folder) - before
    return {
        "number": number,
        "status": None if code in KILLS else code,
        "restarted": bool(before),
        "had_saved": had_saved,
        "has_saved": bool(left),
        "broken": [str(file) for file in sorted(left) if not _is_whole(file)],
        "said": (folder / LOG).read_text(encoding="utf-8"),
    }


def _dying_before_first_save(moment: float) -> Callable[[], None]:
    """Be killed after so many seconds of computing, before there is a checkpoint at any rate."""

    def prepare() -> None:
        _die_in(moment)
        _at_first_save(lambda: os.kill(os.getpid(), signal.SIGKILL))

    return prepare


def _dying_after_first_save(moment: float) -> Callable[[], None]:
    """Be killed after so many seconds of computing, once there is a checkpoint."""
    return lambda: _at_first_save(lambda: _die_in(moment))


def _die_in(seconds: float) -> None:
    # what the system does by default at this signal is to end the process, as it does by SIGKILL;
    # zero would stop the clock
    signal.setitimer(signal.ITIMER_PROF, max(seconds, 1e-3))


def _at_first_save(act: Callable[[], None]) -> None:
    """Act when the first checkpoint is about to get its name, by the audit of ``os.replace``."""
    seen: list[object] = []

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename" and str(arguments[1]).endswith(".ckpt") and not seen:
            seen.append(arguments)
            act()

    sys.addaudithook(hear)


def _checkpoints(folder: Path) -> set[Path]:
    # a file that is being written has a name with a dot in front
    return set(folder.glob("outputs/*/*/[!.]*.ckpt"))


def _is_whole(file: Path) -> bool:
    try:
        read_checkpoint(file)
    except CheckpointError:
        return False
    return True


def _start(folder: Path, arguments: list[str], prepare: Callable[[], None]) -> int:
    """Fork, and be ``mt`` in the child, which is prepared before."""
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
        prepare()
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
