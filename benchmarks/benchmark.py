"""Time and accuracy of mt against metatrain; README.md says how to run it and what is compared.

``benchmark.py table`` compares the architectures of mt with one another: see architectures.py.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import architectures
from figures import FIGURES, QUICK, Bench, Sizes
from profiling import profile
from report import HEADER, Row, machine, table, write_json
from sides import SHARED_PACKAGES, Side, run_benchmark

BUSY = 0.5  # load average from which on timings are not to be believed


def main() -> None:
    if sys.argv[1:2] == ["table"]:
        architectures.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", choices=[*FIGURES, "all", "profile", "table"])
    parser.add_argument("--ours", type=Path, required=True, help="interpreter with mt-soap-bpnn")
    parser.add_argument("--metatrain", type=Path, required=True, help="interpreter with metatrain")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values there")
    parser.add_argument("--repeats", type=int, help="of each side (default: 5)")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    run_benchmark(parser, measure)


def measure(arguments: argparse.Namespace, folder: Path) -> str:
    """One figure, all of them, or the profile."""
    sizes = QUICK if arguments.quick else Sizes()
    if arguments.repeats is not None:
        sizes = replace(sizes, repeats=arguments.repeats)
    ours = Side("ours", arguments.ours.absolute(), "mt", arguments.threads)
    metatrain = Side("metatrain", arguments.metatrain.absolute(), "mtt", arguments.threads)
    bench = Bench(ours, metatrain, sizes, folder)
    conditions = _conditions(bench)
    if arguments.figure == "profile":
        return profile(bench)
    names = list(FIGURES) if arguments.figure == "all" else [arguments.figure]
    rows: list[Row] = []
    for name in names:
        rows += FIGURES[name](bench)
        # after each, since all of them take an hour
        if arguments.json is not None:
            told = [{**asdict(row), "ratio": row.ratio, "reached": row.reached} for row in rows]
            write_json(arguments.json, conditions, figures=told)
    return table([HEADER, *(row.cells() for row in rows)])


def _conditions(bench: Bench) -> dict[str, Any]:
    """Versions, machine and sizes; says what makes the numbers worth less."""
    versions = {side.name: side.versions() for side in bench.sides}
    for package in SHARED_PACKAGES:
        ours, metatrain = (found.get(package) for found in versions.values())
        if ours != metatrain:
            print(f"note: {package} is {ours} here, {metatrain} there", file=sys.stderr)
    found = machine()
    load = found["load_at_start"]
    if load > BUSY:
        print(f"note: the machine is busy (load {load:.1f}): do not trust times", file=sys.stderr)
    sizes = asdict(bench.sizes)
    return {"versions": versions, "threads": bench.ours.threads, "sizes": sizes, **found}


if __name__ == "__main__":
    main()
