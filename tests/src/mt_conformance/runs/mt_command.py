"""The command ``mt`` as a user runs it: a process of its own, from its folder."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# of what hangs: on a busy machine all takes many times as long as on a quiet one
TIMEOUT = 3600
MT = ("-m", "mt_core")


@dataclass(frozen=True)
class CompletedCommand:
    """A command that has ended, and what it said."""

    arguments: tuple[str, ...]
    status: int
    output: str
    errors: str

    @property
    def said(self) -> str:
        return self.output + self.errors

    def check(self) -> "CompletedCommand":
        """Fail unless the command succeeded."""
        __tracebackhide__ = True
        if self.status != 0:
            raise AssertionError(
                f"`mt {' '.join(self.arguments)}` ended with status {self.status}:\n{self.said}"
            )
        return self

    def check_refused(self, *words: str) -> None:
        """Fail unless the command was refused by an error that holds all of these words."""
        __tracebackhide__ = True
        shown = f"`mt {' '.join(self.arguments)}`, which said:\n{self.said}"
        if self.status == 0:
            raise AssertionError(f"expected an error from {shown}")
        if "Traceback" in self.errors or not self.errors.startswith("error: "):
            raise AssertionError(f"expected `error: ...` and no traceback from {shown}")
        missing = [word for word in words if word not in self.errors]
        if missing:
            raise AssertionError(f"expected the words {missing} in the error of {shown}")


def run_python(
    *arguments: str | Path, folder: Path, timeout: float | None = TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, until it ends."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def mt(*arguments: str | Path, folder: Path) -> CompletedCommand:
    """Run ``mt`` in a folder, until it ends."""
    done = run_python(*MT, *arguments, folder=folder)
    given = tuple(map(str, arguments))
    return CompletedCommand(given, done.returncode, done.stdout, done.stderr)
