"""The command ``mt`` as a user runs it: a process of its own, from its folder."""

import atexit
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

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
    given = tuple(map(str, arguments))
    with TemporaryDirectory() as scratch:
        output, errors = (Path(scratch, name) for name in ("output", "errors"))
        for file in (output, errors):
            file.touch()
        command = {
            "arguments": given,
            "folder": str(folder.absolute()),
            "environment": dict(os.environ),
            "files": [os.devnull, str(output), str(errors)],
            "seconds": TIMEOUT,
        }
        status = _ask(command)
        said = (file.read_text(encoding="utf-8") for file in (output, errors))
        return CompletedCommand(given, status, *said)


def _ask(command: dict[str, object]) -> int:
    """The status of a command, from the server of this process."""
    server = _server(os.getpid())
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write(json.dumps(command) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


@cache
def _server(process: int) -> "subprocess.Popen[str]":
    """The one that this process has started; a fork has to have one of its own."""
    # each command has a path of its own
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    # which closes its input, the sign for it to end
    atexit.register(server.communicate)
    return server
