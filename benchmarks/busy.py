"""Trainings on a busy machine: busy loops run beside each, and it is held against its fair share.

    python benchmarks/busy.py --python before=old/bin/python --python after=new/bin/python

README.md says what a fair share is. Each environment has mt-core and one or more architectures.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from inputs import read_frames, shipped, write_frames, write_options
from report import machine, table, write_json
from sides import Side, run_benchmark

LOADS = (0, 1, 3)
# half of the shipped ones, since the time of a fit grows with their number
STRUCTURES, QUICK_STRUCTURES = 80, 16
EPOCHS, QUICK_EPOCHS = 30, 2
GOAL = 2.0


@dataclass(frozen=True)
class Timed:
    """One training: seconds on the clock, and seconds of all its CPUs together."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """The trainings of one architecture beside a number of busy loops."""

    environment: str
    architecture: str
    load: int
    trainings: list[Timed]

    @property
    def wall(self) -> float:
        return median(each.wall for each in self.trainings)

    def ratio(self, quiet: Row) -> float:
        """By the time in a fair share: the CPU time of the quiet training, on the CPUs that it used
        there, or on as many as are left if each loop and the training have equally many."""
        cpu = median(each.cpu for each in quiet.trainings)
        used = min(cpu / quiet.wall, num_cpus() / (1 + self.load))
        return self.wall / (cpu / used)

    def cells(self, quiet: Row) -> tuple[str, ...]:
        seconds = [each.wall for each in self.trainings]
        spread = f"{self.wall:.2f} ({min(seconds):.2f}-{max(seconds):.2f})"
        cpu = f"{median(each.cpu for each in self.trainings):.2f}"
        ratio = self.ratio(quiet)
        names = self.architecture, self.environment, str(self.load)
        return *names, spread, cpu, f"{ratio:.2f}", "yes" if ratio <= GOAL else "no"


HEADER = ("architecture", "environment", "loops", "s", "CPU s", "of its fair share", "reached")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--python", action="append", required=True, metavar="NAME=FILE", help="an interpreter"
    )
    parser.add_argument("--architectures", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--loads", type=int, nargs="+", default=list(LOADS), metavar="LOOPS")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    run_benchmark(parser, measure, threads=None)


def measure(arguments: argparse.Namespace, folder: Path) -> str:
    """Each architecture beside each number of loops, all environments in turn."""
    conditions = {"threads": arguments.threads, "cpus": num_cpus(), **machine()}
    if arguments.quick:
        arguments.repeats = 1
    sides = []
    for word in arguments.python:
        name, _, file = word.partition("=")
        sides.append(Side(name, Path(file).absolute(), "mt", arguments.threads))
    rows: list[Row] = []
    cells = [HEADER]
    for name, with_it in _architectures(sides, arguments.architectures, folder).items():
        quiet: dict[str, Row] = {}
        # what the ratios rest on comes first
        for load in sorted({0, *arguments.loads}):
            for row in _beside(load, name, with_it, arguments, folder):
                quiet.setdefault(row.environment, row)
                rows.append(row)
                cells.append(row.cells(quiet[row.environment]))
        if arguments.json is not None:
            write_json(arguments.json, conditions, rows=[asdict(row) for row in rows])
    return table(cells)


def _architectures(
    sides: Sequence[Side], wanted: list[str] | None, folder: Path
) -> dict[str, list[tuple[Side, bool]]]:
    """By name, the environments that have it, and whether it is trained in epochs."""
    found: dict[str, list[tuple[Side, bool]]] = {}
    for side in sides:
        for entry in side.architectures(folder):
            able = entry["capabilities"]
            has_epochs = able is None or able["fit"] == "gradient"
            if entry["error"] is None and (wanted is None or entry["name"] in wanted):
                found.setdefault(entry["name"], []).append((side, has_epochs))
    missing = set(wanted or []) - set(found)
    if missing or not found:
        names = ", ".join(sorted(missing)) or "any architecture"
        raise SystemExit(f"no interpreter that was given has {names}")
    return found


def _beside(
    load: int,
    name: str,
    sides: list[tuple[Side, bool]],
    arguments: argparse.Namespace,
    folder: Path,
) -> Iterator[Row]:
    """One architecture in all environments, A B A B, beside so many loops."""
    rows = [Row(side.name, name, load, []) for side, _ in sides]
    for repeat in range(arguments.repeats):
        for row, (side, has_epochs) in zip(rows, sides, strict=True):
            place = folder / name / f"{row.environment}-{load}-{repeat}"
            options = _options(side, name, has_epochs, arguments.quick, place)
            with busy_loops(load):
                row.trainings.append(_timed(side, options, place))
            seconds = row.trainings[-1].wall
            print(f"  {name}, {row.environment}, {load} loops: {seconds:.2f} s", file=sys.stderr)
    yield from rows


def _options(side: Side, name: str, has_epochs: bool, quick: bool, place: Path) -> Path:
    data = shipped(side, "ethanol", place / "data")
    frames = read_frames(data.train)[: QUICK_STRUCTURES if quick else STRUCTURES]
    write_frames(data.train, frames)
    training = {"num_epochs": QUICK_EPOCHS if quick else EPOCHS} if has_epochs else {}
    architecture = {"name": name, "training": training}
    precision = 32 if has_epochs else 64
    return write_options(place / "options.yaml", data, architecture, precision=precision)


def _timed(side: Side, options: Path, place: Path) -> Timed:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = side.train(options, place).seconds
    # the loops are counted when they have ended, which is later
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return Timed(seconds, used)


@contextmanager
def busy_loops(number: int) -> Iterator[None]:
    """So many processes that do nothing but use a CPU each."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def num_cpus() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
