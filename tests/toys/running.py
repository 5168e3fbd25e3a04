"""One run of the suite over many toys, and what it says of each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mt_conformance.inputs import SharedFolders, shared_root
from toys.breakage import Breakage, Toy
from toys.building import build
from toys.toy_selection import VARIABLE

Results = dict[str, dict[str, dict[str, Any]]]
"""Outcome, message and seconds, by architecture and test."""

PLAN, RESULTS = "plan.json", "results.json"
TIMEOUT = 3 * 3600


def run(
    breakages: Sequence[Breakage], folder: Path, workers: int = 2, whole_suite: bool = False
) -> None:
    """Build the toys and run the suite on them, leaving what it says in a folder.

    :param folder: an empty or new one
    :param whole_suite: every test on every toy, rather than those that a breakage names
    """
    toys = build(breakages, folder)
    plan = {
        "selected": {each.architecture: None if whole_suite else named(each) for each in breakages},
        "paths": {name: _path(toy.changed_command, toy.folder) for name, toy in toys.items()},
        "results": str(folder / RESULTS),
    }
    (folder / PLAN).write_text(json.dumps(plan, indent=1), encoding="utf-8")
    said = _pytest(toys, folder, workers)
    (folder / "pytest.log").write_text(said, encoding="utf-8")
    if not (folder / RESULTS).exists():
        raise AssertionError(f"the run of the suite has broken down:\n{said}")


def read_results(folder: Path) -> Results:
    """What :func:`run` has left there."""
    return dict(json.loads((folder / RESULTS).read_text(encoding="utf-8")))


def shared_results(
    name: str, breakages: Sequence[Breakage], factory: pytest.TempPathFactory
) -> Results:
    """What the suite says of these toys, in one run for all workers of pytest.

    :param name: of the run
    """
    shared = SharedFolders(shared_root(factory.getbasetemp()))
    return read_results(shared.get(name, lambda folder: run(breakages, folder)))


def _pytest(toys: dict[str, Toy], folder: Path, workers: int) -> str:
    names = [f"--architecture={name}" for name in toys]
    arguments = ["-p", "toys.toy_selection", "-p", "no:cacheprovider", "-q", "--tb=line", "-n"]
    arguments += [str(workers), "--dist=loadgroup", f"--basetemp={folder / 'tmp'}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "--pyargs", "mt_conformance", *names],
        # away from the settings of this repository, as a stranger runs it
        cwd=folder,
        env=_environment(toys) | {VARIABLE: str(folder / PLAN)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return done.stdout + done.stderr


def _environment(toys: dict[str, Toy]) -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    path = _path(Path(__file__).parents[1], *(toy.folder for toy in toys.values()))
    return found | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def _path(*folders: Path) -> str:
    """A PYTHONPATH with these folders first."""
    return os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])


def named(each: Breakage) -> list[str]:
    """The tests that a breakage is about."""
    return [*each.fails, *each.passes]


def faults(each: Breakage, results: Results) -> list[str]:
    """Where the suite does not say of a toy what it should; empty where it does."""
    found = results.get(each.architecture, {})
    wrong = [fault for test, says in each.fails.items() for fault in _not_failed(test, says, found)]
    return [*wrong, *_not_passed(each, found)]


def _matching(found: dict[str, dict[str, Any]], test: str) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in found.items() if test in (name, name.split("[")[0])}


def _not_failed(test: str, says: str, results: dict[str, dict[str, Any]]) -> list[str]:
    found = _matching(results, test)
    if not found:
        return [f"{test} did not run: is it selected for this architecture?"]
    wrong = []
    for name, one in found.items():
        if one["outcome"] != "failed":
            wrong.append(f"{name} must fail, and {one['outcome']}: {one['said']}")
        elif says not in one["said"]:
            wrong.append(f"{name} must say '{says}', and says:\n{one['said']}")
    return wrong


def _not_passed(each: Breakage, results: dict[str, dict[str, Any]]) -> list[str]:
    wrong = [
        f"the neighbour {test} did not run" for test in each.passes if not _matching(results, test)
    ]
    neighbours = {name for test in each.passes for name in _matching(results, test)}
    for name, one in results.items():
        # on a sound toy nothing may fail, whatever was run
        has_failed = not each.fails and one["outcome"] == "failed"
        if has_failed or (name in neighbours and one["outcome"] != "passed"):
            wrong.append(f"{name} must pass, and {one['outcome']}:\n{one['said']}")
    return wrong
