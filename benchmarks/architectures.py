"""The table of architectures: accuracy, size, time and memory of each, at its default hypers.

    python benchmarks/benchmark.py table --ours soap/bin/python --ours gap/bin/python

Each interpreter has mt-core and one or more architectures. README.md says what the columns are.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inputs import Data, shipped, write_options
from report import machine, table, write_json
from sides import Output, Side, run_benchmark

SETS = ("ethanol", "ice")
# by the number of atoms: structures, repeated in their directions, and steps
MD_SIZES = {
    "9": ("ethanol", (1, 1, 1), 1000),
    "96": ("ice", (1, 2, 2), 200),
    "960": ("ice", (2, 4, 5), 50),
}
TIMED_EPOCHS, LOG_INTERVAL = 21, 5
OFF_BUDGET = 0.1
# to see that everything runs; the numbers mean nothing
QUICK_BUDGETS, QUICK_EPOCHS, QUICK_STEPS = [2.0], 3, 10


@dataclass
class Column:
    """One architecture; a fit in closed form has one result and the time it took, no epochs."""

    name: str
    parameters: str = ""
    force_errors: dict[str, list[str]] = field(default_factory=dict)
    epoch_seconds: dict[str, float] = field(default_factory=dict)
    training_seconds: dict[str, list[float]] = field(default_factory=dict)
    md_milliseconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """An architecture in an environment, the data, and how much is done."""

    side: Side
    name: str
    has_epochs: bool
    folder: Path
    data: dict[str, Data]
    arguments: argparse.Namespace

    def options(self, name: str, num_epochs: int, log_interval: int = LOG_INTERVAL) -> Path:
        """All hypers at their defaults, but for the number of epochs and of lines."""
        training = {"num_epochs": num_epochs, "log_interval": log_interval}
        return write_options(
            self.folder / f"{name}-{num_epochs}.yaml",
            self.data[name],
            seed=self.arguments.seed,
            architecture={"name": self.name, "training": training if self.has_epochs else {}},
            precision=32 if self.has_epochs else 64,
        )

    def train(self, options: Path, place: str) -> tuple[dict[str, Any], Output]:
        """In a process that watches its memory; leaves ``model.pt`` in the place."""
        flags = ["-o", "model.pt", "-e", "extensions"]
        return self.side.inside("train.py", [str(options), *flags], self.folder / place)

    def force_error(self, place: str, name: str) -> float:
        return self.side.force_error(self.data[name].valid, self.folder / place)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser("table", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ours", type=Path, action="append", required=True, help="interpreter")
    parser.add_argument(
        "--architectures", nargs="+", metavar="NAME", help="of the installed ones, these"
    )
    parser.add_argument("--budgets", type=float, nargs="+", default=[60.0, 300.0], metavar="S")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    run_benchmark(parser, measure_all, argv)


def measure_all(arguments: argparse.Namespace, folder: Path) -> str:
    """One architecture after the other; the file is written after each, for they take an hour."""
    conditions = {"threads": arguments.threads, "seed": arguments.seed, **machine()}
    if arguments.quick:
        arguments.budgets = QUICK_BUDGETS
    columns: list[Column] = []
    for subject in subjects(arguments, folder):
        columns.append(measure(subject))
        if arguments.json is not None:
            values = [asdict(column) for column in columns]
            write_json(arguments.json, conditions, architectures=values)
    return table(rows(columns, arguments.budgets))


def subjects(arguments: argparse.Namespace, folder: Path) -> list[Subject]:
    """The architectures that the interpreters have."""
    found = []
    for python in arguments.ours:
        side = Side("ours", python.absolute(), "mt", arguments.threads)
        data = {name: shipped(side, name, folder / name) for name in SETS}
        for entry in side.architectures(folder):
            name = entry["name"]
            if entry["error"]:
                print(f"note: {name} is broken: {entry['error']}", file=sys.stderr)
            elif arguments.architectures is None or name in arguments.architectures:
                able = entry["capabilities"]
                has_epochs = able is None or able["fit"] == "gradient"
                found.append(Subject(side, name, has_epochs, folder / name, data, arguments))
    missing = set(arguments.architectures or []) - {subject.name for subject in found}
    if missing or not found:
        names = ", ".join(sorted(missing)) or "any architecture"
        raise SystemExit(f"no interpreter that was given has {names}")
    return found


def measure(subject: Subject) -> Column:
    print(subject.name, file=sys.stderr)
    column = Column(subject.name)
    for name in SETS:
        if subject.has_epochs:
            _by_epochs(subject, name, column)
        else:
            result, _ = subject.train(subject.options(name, 1), f"{name}-fit")
            error = subject.force_error(f"{name}-fit", name)
            column.peak_bytes[name] = result["peak_bytes"]
            column.force_errors[name] = [f"{error:.1f} ({result['seconds']:.0f} s)"]
    # the weights of a fit in closed form are not parameters of torch
    if subject.has_epochs:
        arguments = ["train", str(subject.options("ethanol", 1)), "--dry-run"]
        text = subject.side.call(arguments, subject.folder).text
        (found,) = re.findall(r"(\d+) parameters", text)
        column.parameters = f"{int(found):,}"
    for size, (name, cells, steps) in MD_SIZES.items():
        # with the model that was trained first on that set
        place = f"{subject.arguments.budgets[0]:.0f}" if subject.has_epochs else "fit"
        model = subject.folder / f"{name}-{place}" / "model.pt"
        if subject.arguments.quick:
            steps = QUICK_STEPS
        test = subject.data[name].test
        column.md_milliseconds[size] = subject.side.md_milliseconds(model, test, cells, steps)
    return column


def _by_epochs(subject: Subject, name: str, column: Column) -> None:
    """As many epochs as fill each time, so that the schedule ends with it."""
    # how long an epoch takes says how many fill the time
    timed = subject.options(name, QUICK_EPOCHS if subject.arguments.quick else TIMED_EPOCHS, 1)
    result, output = subject.train(timed, f"{name}-timed")
    column.epoch_seconds[name] = output.epoch_seconds()
    column.peak_bytes[name] = result["peak_bytes"]
    column.force_errors[name], column.training_seconds[name] = [], []
    for budget in subject.arguments.budgets:
        # three, since the time of an epoch is between the second and the last line
        number = max(3, round(budget / column.epoch_seconds[name]))
        place = f"{name}-{budget:.0f}"
        _, output = subject.train(subject.options(name, number, max(1, number // 20)), place)
        column.force_errors[name].append(f"{subject.force_error(place, name):.1f}")
        seconds = number * output.epoch_seconds()
        column.training_seconds[name].append(seconds)
        print(f"  {seconds:.4g} s of training, {budget:g} were meant", file=sys.stderr)
        if abs(seconds / budget - 1.0) > OFF_BUDGET:
            print("  note: the machine was busy, now or before: measure again", file=sys.stderr)


def rows(columns: list[Column], budgets: list[float]) -> list[tuple[str, ...]]:
    after = "/".join(f"{budget:.0f}" for budget in budgets)
    header = ["architecture", "parameters"]
    for name in SETS:
        header += [f"{name}: force RMSE after {after} s, meV/A", "epoch, s", "memory, MB"]
    found = [(*header, *(f"MD step, {size} atoms, ms" for size in MD_SIZES))]
    for column in columns:
        cells = [column.name, column.parameters]
        for name in SETS:
            seconds = column.epoch_seconds.get(name)
            cells += [
                " / ".join(column.force_errors[name]),
                "" if seconds is None else f"{seconds:.3f}",
                f"{column.peak_bytes[name] / 1e6:.0f}",
            ]
        found.append((*cells, *(f"{value:.2f}" for value in column.md_milliseconds.values())))
    return found
