"""``mt conformance NAME``: the suite of mt-conformance, run in a process of its own."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from mt_core.architectures.installed import find_entry
from mt_shared.errors import ArchitectureError
from mt_shared.threads import allowed_threads

SUITE = "mt_conformance"
NUM_WORKERS = 2
# options of pytest that settle by how many workers the tests are run
_CHOICE_OF_WORKERS = ("-n", "--numprocesses", "--pdb", "--collect-only", "--co")


def run_suite(name: str, pytest_options: list[str], quick: bool = False) -> int:
    """Run the suite against an installed architecture; 0, pytest's status, if all have passed.

    :param quick: only the tests that find most faults soonest, in one process
    """
    find_entry(name)
    # found without importing it: its tests, and torch with them, belong into the other process
    spec = find_spec(SUITE)
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise ArchitectureError(
            "the conformance suite is not installed; install it with: pip install mt-conformance"
        )
    return run_pytest(pytest_command(name, pytest_options, Path(next(iter(locations))), quick))


def pytest_command(
    name: str, pytest_options: list[str], suite: Path, quick: bool = False
) -> list[str]:
    """The command that runs the suite, with its own settings and none of the current folder's."""
    how = ["-n", str(NUM_WORKERS)]
    if quick:
        # what two workers would save is what they take to start
        how = ["--conformance-quick"]
    # an option of the user comes last and would win, but --pdb and -n exclude one another
    elif allowed_threads() == 1 or any(
        each.startswith(_CHOICE_OF_WORKERS) for each in pytest_options
    ):
        how = []
    return [
        # by its path: with --pyargs pytest would read a conftest.py of the current folder
        *(sys.executable, "-m", "pytest", str(suite), "--architecture", name),
        *("-c", str(suite / "pytest.ini"), "--rootdir", str(suite)),
        # what --lf and the like read: neither in the user's folder, nor where the suite lies
        *("-o", f"cache_dir={_cache_folder()}"),
        *how,
        *pytest_options,
    ]


def _cache_folder() -> Path:
    """Where programs keep what they can do without."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "mt-conformance"


def run_pytest(arguments: list[str]) -> int:
    """The exit status of a process that shares our terminal, one thread for each worker."""
    process: subprocess.Popen[bytes] | None = None
    received: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        received.append(number)
        if process is not None:
            # the suite's plugin takes it as Ctrl-C, so that the workers end too
            process.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    # workers with as many threads as there are CPUs would wait for one another
    process = subprocess.Popen(arguments, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        # while it was started there was nothing to pass it on to
        if received:
            process.send_signal(signal.SIGTERM)
        status = process.wait()
    except KeyboardInterrupt:
        # pytest got it too, and ends with a summary
        status = process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    return 128 + received[0] if received else status
