"""Time and accuracy of mt against metatrain; README.md says how to run it and what is compared.

``benchmark.py table`` compares the architectures of mt with one another: see architectures.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import architectures
from figures import FIGURES, QUICK, Bench, Sizes
from profiling import profile
from report import HEADER, Row, machine, table, write_json
from sides import SHARED_PACKAGES, BenchmarkError, Side

BUSY = 0.5  # load average from which on timings are not to be believed


def main() -> int:
    """Measure what was asked for, and print the table."""
    if sys.argv[1:2] == ["table"]:
        return architectures.main(sys.argv[2:])
    arguments = make_parser().parse_args()
    sides = (
        Side("ours", arguments.ours.absolute(), "mt", arguments.threads),
        Side("metatrain", arguments.metatrain.absolute(), "mtt", arguments.threads),
    )
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.folder or Path(temporary)
            run(arguments, Bench(*sides, sizes=_sizes(arguments), folder=folder.absolute()))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The options; all figures have the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", choices=[*FIGURES, "all", "profile", "table"])
    parser.add_argument("--ours", type=Path, required=True, help="interpreter with mt-soap-bpnn")
    parser.add_argument("--metatrain", type=Path, required=True, help="interpreter with metatrain")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    parser.add_argument("--repeats", type=int, help="of each side (default: 5)")
    parser.add_argument("--threads", type=int, default=2, help="of OpenMP (default: 2)")
    parser.add_argument("--folder", type=Path, help="a new folder to keep all files of the runs in")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    return parser


def _sizes(arguments: argparse.Namespace) -> Sizes:
    sizes = QUICK if arguments.quick else Sizes()
    if arguments.repeats is not None:
        sizes = dataclasses.replace(sizes, repeats=arguments.repeats)
    return sizes


def run(arguments: argparse.Namespace, bench: Bench) -> None:
    """One figure, all of them, or the profile."""
    conditions = _conditions(bench)
    if arguments.figure == "profile":
        print(profile(bench))
        return
    names = list(FIGURES) if arguments.figure == "all" else [arguments.figure]
    rows: list[Row] = []
    for name in names:
        rows += FIGURES[name](bench)
        if arguments.json is not None:  # after each, since all of them take an hour
            write_json(arguments.json, rows, conditions)
    print(table([HEADER, *(row.cells() for row in rows)]))


def _conditions(bench: Bench) -> dict[str, Any]:
    """Versions, machine and sizes; says what makes the numbers worth less."""
    versions = {side.name: side.versions() for side in (bench.ours, bench.metatrain)}
    for package in SHARED_PACKAGES:
        ours, metatrain = (versions[name].get(package) for name in ("ours", "metatrain"))
        if ours != metatrain:
            print(f"note: {package} is {ours} here, {metatrain} there", file=sys.stderr)
    found = machine()
    if found["load_at_start"] > BUSY:
        load = found["load_at_start"]
        print(f"note: the machine is busy (load {load:.1f}): do not trust times", file=sys.stderr)
    return {
        "versions": versions,
        "threads": bench.ours.threads,
        "sizes": dataclasses.asdict(bench.sizes),
        **found,
    }


if __name__ == "__main__":
    sys.exit(main())
