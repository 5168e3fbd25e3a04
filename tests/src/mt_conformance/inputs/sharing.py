"""Expensive things, made once for all workers of pytest-xdist."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

FAILURE = "failure.txt"


class SharedFolders:
    """Folders that are made once in a test session, by whichever worker needs them first."""

    def __init__(self, root: Path):
        self.root = root

    def get(self, name: str, make: Callable[[Path], object]) -> Path:
        """The folder of that name, filled by ``make``; what failed once is not tried again."""
        folder = self.root / name
        with (self.root / f"{name}.lock").open("w") as lock:
            # released by the system when a worker dies, unlike a file that is there or not
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                self._make(folder, make)
        failure = folder / FAILURE
        if failure.exists():
            pytest.fail(failure.read_text(encoding="utf-8"), pytrace=False)
        return folder

    def _make(self, folder: Path, make: Callable[[Path], object]) -> None:
        folder.mkdir()
        try:
            make(folder)
        except Exception as error:
            (folder / FAILURE).write_text(f"{type(error).__name__}: {error}", encoding="utf-8")


def shared_root(own: Path) -> Path:
    """The folder of the session that all workers see.

    :param own: the base of this worker's temporary folders
    """
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    shared = root / "mt-conformance"
    shared.mkdir(exist_ok=True)
    return shared
