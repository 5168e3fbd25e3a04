"""The two that are compared: how their commands are started, watched and timed."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSIDE = Path(__file__).resolve().parent / "inside"
# these decide speed for both; a difference would be measured as ours or theirs
SHARED_PACKAGES = ("torch", "metatensor-torch", "metatomic-torch", "metatomic-ase", "vesin")
PACKAGES = ("metatrain", *SHARED_PACKAGES, "ase", "numpy")
_PRINT_VERSIONS = """
import importlib.metadata as m, json, platform, sys
found = {d.metadata["Name"]: d.version for d in m.distributions()}
names = {n: v for n, v in found.items() if n in sys.argv[1:] or n.startswith("mt-")}
print(json.dumps({"python": platform.python_version(), **names}))
"""
# "epoch 5/40 | ..." of ours, "... Epoch:    5 | ..." of metatrain
EPOCH_LINE = re.compile(r"\bepoch:?\s+(\d+)\b.*\|", re.IGNORECASE)


@dataclass(frozen=True)
class Output:
    """What a command printed, each line with the seconds since its start, and how long it took."""

    lines: list[tuple[float, str]]
    seconds: float
    started: float  # time.monotonic(), one clock for all processes of the machine

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)

    def result(self) -> dict[str, Any]:
        """The last line that is a JSON object: libraries may print at exit."""
        for _, line in reversed(self.lines):
            if line.startswith("{"):
                return dict(json.loads(line))
        raise SystemExit("a script inside an environment printed no result")

    def epoch_seconds(self, pattern: re.Pattern[str] = EPOCH_LINE) -> float:
        """Between the second and the last line about an epoch, validation included."""
        matches = [(seconds, pattern.search(line)) for seconds, line in self.lines]
        stamps = [(seconds, int(match[1])) for seconds, match in matches if match]
        if len(stamps) < 3:
            raise SystemExit(f"only {len(stamps)} lines about epochs in a training's output")
        # before the second line the process warms up: caches, compilation, the first batches
        (started, first), (stopped, last) = stamps[1], stamps[-1]
        return (stopped - started) / (last - first)


@dataclass(frozen=True)
class Side:
    """An environment, given by its interpreter, and the command that it provides.

    :param command: the installed script, which lies beside the interpreter
    :param threads: of OpenMP, in all processes that are started here; None: the environment asks
        for none
    """

    name: str
    python: Path
    command: str
    threads: int | None

    def call(self, arguments: Sequence[str], folder: Path) -> Output:
        """Run the command as a user does."""
        script = self.python.parent / self.command
        if not script.is_file():
            raise SystemExit(
                f"there is no '{self.command}' beside the interpreter of {self.name}; "
                "see README.md for how to make the environment"
            )
        return self._run([str(script), *arguments], folder)

    def train(self, options: Path, folder: Path) -> Output:
        """Train by an options file, and leave ``model.pt`` in the folder, with its extensions."""
        return self.call(["train", str(options), "-o", "model.pt", "-e", "extensions"], folder)

    def inside(
        self, script: str, arguments: Sequence[str], folder: Path, *flags: str
    ) -> tuple[dict[str, Any], Output]:
        """Run a script of the folder ``inside``; its last line is its result, in JSON."""
        output = self._run([str(self.python), *flags, str(INSIDE / script), *arguments], folder)
        return output.result(), output

    def force_error(self, structures: Path, folder: Path, model: str = "model.pt") -> float:
        """Root mean square error, in meV/A, of the model that a training has left in a folder."""
        result, _ = self.inside("force_error.py", [model, str(structures)], folder)
        return float(result["rmse"])

    def md_milliseconds(
        self, model: Path, structures: Path, cells: tuple[int, int, int], steps: int
    ) -> float:
        """A step of molecular dynamics of the first structure, repeated in its directions."""
        arguments = [str(model), str(structures), *map(str, cells)]
        # TorchScript compiles in the first calls, and again when sizes turn out to vary
        arguments += ["--steps", str(steps), "--warm-up", str(max(10, steps // 4))]
        result, _ = self.inside("molecular_dynamics.py", arguments, model.parent)
        return float(result["milliseconds"])

    def run_code(self, code: str, *arguments: str) -> dict[str, Any]:
        """Run a program given as text; its last line is its result, in JSON."""
        return self._run([str(self.python), "-c", code, *arguments], Path.cwd()).result()

    def architectures(self, folder: Path) -> list[dict[str, Any]]:
        """Those that ``mt list`` finds in the environment, whether they work or not."""
        entries = json.loads(self.call(["list", "--json"], folder).text)
        return [entry for entry in entries if entry["installed"]]

    def versions(self) -> dict[str, str]:
        return self.run_code(_PRINT_VERSIONS, *PACKAGES)

    def _run(self, command: list[str], folder: Path) -> Output:
        folder.mkdir(parents=True, exist_ok=True)
        # nothing of another Python, and threads as they are wanted here
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("PYTHON") and key not in names
        }
        threads = {} if self.threads is None else dict.fromkeys(names, str(self.threads))
        lines: list[tuple[float, str]] = []
        started = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=folder,
            env={**kept, **threads, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            # read line by line while it runs: the moment of a line is what is measured
            for line in process.stdout:
                lines.append((time.monotonic() - started, line.rstrip()))
        seconds = time.monotonic() - started
        if process.returncode != 0:
            end = "\n".join(f"  {line}" for _, line in lines[-20:])
            raise SystemExit(f"{self.name}: {' '.join(command)} failed:\n{end}")
        return Output(lines, seconds, started)


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


def run_benchmark(
    parser: argparse.ArgumentParser,
    measure: Callable[[argparse.Namespace, Path], str],
    argv: list[str] | None = None,
    threads: int | None = 2,
) -> None:
    """Parse a command line, measure, and print what comes of it.

    :param measure: given the arguments and a folder for all files, returns text for the terminal
    :param threads: by default; None: as each program chooses by itself
    """
    told = "as each chooses" if threads is None else "%(default)s"
    parser.add_argument("--threads", type=int, default=threads, help=f"of OpenMP (default: {told})")
    parser.add_argument("--folder", type=Path, help="a new folder to keep all files of the runs in")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        print(measure(arguments, (arguments.folder or Path(temporary)).absolute()))
