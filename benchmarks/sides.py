"""The two that are compared: how their commands are started, watched and timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSIDE = Path(__file__).resolve().parent / "inside"
PACKAGES = (
    "metatrain",
    "torch",
    "metatensor-torch",
    "metatomic-torch",
    "metatomic-ase",
    "vesin",
    "ase",
    "numpy",
)
# these decide speed for both; a difference would be measured as ours or theirs
SHARED_PACKAGES = ("torch", "metatensor-torch", "metatomic-torch", "metatomic-ase", "vesin")
_PRINT_VERSIONS = """
import importlib.metadata as m, json, platform, sys
found = {d.metadata["Name"]: d.version for d in m.distributions()}
names = {n: v for n, v in found.items() if n in sys.argv[1:] or n.startswith("mt-")}
print(json.dumps({"python": platform.python_version(), **names}))
"""


class BenchmarkError(Exception):
    """A command failed, or did not say what it should have said."""


@dataclass(frozen=True)
class Output:
    """What a command printed, each line with the seconds since its start, and how long it took."""

    lines: list[tuple[float, str]]
    seconds: float
    started: float  # time.monotonic(), one clock for all processes of the machine


@dataclass(frozen=True)
class Side:
    """An environment, given by its interpreter, and the command that it provides.

    :param command: the installed script, which lies beside the interpreter
    :param threads: of OpenMP, in all processes that are started here
    """

    name: str
    python: Path
    command: str
    threads: int

    def call(self, arguments: Sequence[str], folder: Path) -> Output:
        """Run the command as a user does."""
        script = self.python.parent / self.command
        if not script.is_file():
            raise BenchmarkError(
                f"there is no '{self.command}' beside the interpreter of {self.name}; "
                "see README.md for how to make the environment"
            )
        return self._run([str(script), *arguments], folder)

    def inside(
        self, script: str, arguments: Sequence[str], folder: Path, *flags: str
    ) -> tuple[dict[str, Any], Output]:
        """Run a script of the folder ``inside``; its last line is its result, in JSON."""
        output = self._run([str(self.python), *flags, str(INSIDE / script), *arguments], folder)
        return _result(output), output

    def run_code(self, code: str, *arguments: str) -> dict[str, Any]:
        """Run a program given as text; its last line is its result, in JSON."""
        return _result(self._run([str(self.python), "-c", code, *arguments], Path.cwd()))

    def versions(self) -> dict[str, str]:
        """Of Python and of the packages that matter here."""
        return self.run_code(_PRINT_VERSIONS, *PACKAGES)

    def _run(self, command: list[str], folder: Path) -> Output:
        folder.mkdir(parents=True, exist_ok=True)
        lines: list[tuple[float, str]] = []
        started = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append((time.monotonic() - started, line.rstrip()))
        seconds = time.monotonic() - started
        if process.returncode != 0:
            end = "\n".join(f"  {line}" for _, line in lines[-20:])
            raise BenchmarkError(f"{self.name}: {' '.join(command)} failed:\n{end}")
        return Output(lines, seconds, started)

    def _environment(self) -> dict[str, str]:
        """Ours, with the number of threads; nothing of another Python."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        threads = str(self.threads)
        return kept | {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "PYTHONUNBUFFERED": "1",
        }


def alternate(
    sides: Sequence[Side], measure: Callable[[Side, int], float], repeats: int
) -> dict[str, list[float]]:
    """A B A B: what slows the machine for a while slows both.

    :param measure: of a side and the number of the repetition
    """
    values: dict[str, list[float]] = {side.name: [] for side in sides}
    for repeat in range(repeats):
        for side in sides:
            value = measure(side, repeat)
            values[side.name].append(value)
            print(f"  {side.name} {repeat + 1}/{repeats}: {value:.4g}", file=sys.stderr)
    return values


def _result(output: Output) -> dict[str, Any]:
    """The last line that is a JSON object: libraries may print at exit."""
    for _, line in reversed(output.lines):
        if line.startswith("{"):
            result: dict[str, Any] = json.loads(line)
            return result
    raise BenchmarkError("a script inside an environment printed no result")
