"""``mt conformance NAME``: the suite of mt-conformance, run in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from mt_core.architectures.lifecycle import find_entry
from mt_shared.errors import ArchitectureError

SUITE = "mt_conformance"
SETTINGS = "pytest.ini"
NUM_WORKERS = 2
CHOICE_OF_WORKERS = ("-n", "--numprocesses", "--pdb", "--collect-only", "--co")


def prove(name: str, pytest_options: list[str]) -> None:
    """Run the suite against an installed architecture, and leave with the status of pytest.

    :param pytest_options: what the user gives to pytest besides
    :raises ArchitectureError: the architecture or the suite is not installed
    :raises SystemExit: with pytest's status; 0 where every test has passed
    """
    find_entry(name)
    raise SystemExit(_run(command(name, pytest_options, _suite())))


def command(name: str, pytest_options: list[str], suite: Path) -> list[str]:
    """The command that runs the suite, with its own settings and none of the current folder's."""
    return [
        # by its path: with --pyargs pytest would read a conftest.py of the current folder
        *(sys.executable, "-m", "pytest", str(suite), "--architecture", name),
        *("-c", str(suite / SETTINGS), "--rootdir", str(suite)),
        # in the current folder: the suite may be installed where nobody can write
        *("-o", f"cache_dir={Path.cwd() / '.pytest_cache'}"),
        *_workers(pytest_options),
        *pytest_options,
    ]


def _suite() -> Path:
    """The folder of the suite, found without importing it."""
    spec = find_spec(SUITE)
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise ArchitectureError(
            "the conformance suite is not installed; install it with: pip install mt-conformance"
        )
    return Path(next(iter(locations)))


def _workers(pytest_options: list[str]) -> list[str]:
    """Two workers, unless the options say how many or the machine has one core."""
    chosen = any(option.startswith(CHOICE_OF_WORKERS) for option in pytest_options)
    return [] if chosen or os.cpu_count() == 1 else ["-n", str(NUM_WORKERS)]


def _run(arguments: list[str]) -> int:
    """The exit status of a process that shares our terminal, one thread for each worker."""
    process = subprocess.Popen(arguments, env=os.environ | {"OMP_NUM_THREADS": "1"})
    with _passing_on_sigterm(process) as received:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            # pytest got it too, and ends with a summary
            status = process.wait()
    return 128 + received[0] if received else status


@contextmanager
def _passing_on_sigterm(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Tell the process to end when we are told to; yields the signals that have come."""
    received: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        received.append(number)
        # the suite's plugin takes it as Ctrl-C, so that the workers end too
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)
