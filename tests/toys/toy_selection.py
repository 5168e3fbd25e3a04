"""A pytest plugin: of the suite, exactly the tests that are wanted of each toy.

The environment variable TOY_RUN names a JSON file: ``{"selected": {architecture: [test, ...]},
"paths": {architecture: PYTHONPATH}, "results": file}``. A test is ``file.py::function[parameter]``,
the brackets left out for all parameters; ``null`` selects the whole suite. What came of each test
is written to the file of results.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mt_shared import registry
from mt_shared.registry import entries

VARIABLE = "TOY_RUN"
RESULTS: dict[str, dict[str, Any]] = {}


@cache
def plan() -> dict[str, Any]:
    """What is wanted."""
    found: dict[str, Any] = json.loads(Path(os.environ[VARIABLE]).read_text(encoding="utf-8"))
    return found


def subject_name(item: pytest.Function) -> str:
    """The architecture that a test is about."""
    return str(item.callspec.params.get("subject", ""))


def test_name(item: pytest.Function) -> str:
    """Such as ``test_outputs.py::test_selected_atoms[module]``."""
    # the fixture `subject` gives one of the parts of the id, and its place is not ours to choose
    parts = f"-{item.callspec.id}-".replace(f"-{subject_name(item)}-", "-").strip("-")
    name = f"{item.path.name}::{item.originalname}"
    return f"{name}[{parts}]" if parts else name


def is_wanted(item: pytest.Function) -> bool:
    if not hasattr(item, "callspec"):
        return False
    name = test_name(item)
    wanted = plan()["selected"].get(subject_name(item), [])
    return wanted is None or name in wanted or name.split("[")[0] in wanted


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    items[:] = [item for item in items if is_wanted(item)]
    for item in items:
        # models are made once for each worker: keep the tests of one toy together
        item.add_marker(pytest.mark.xdist_group(subject_name(item)))
        item.user_properties.append(("toy", [subject_name(item), test_name(item)]))


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Look once for what is installed: for each of a hundred toys again would take minutes."""
    # under both names: `look_up` calls that of its module, everybody else imports that of the door
    registry.installed = entries.installed = cache(entries.installed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Function) -> Iterator[None]:
    """The commands of a toy see no other toy, and may be changed ones."""
    before = os.environ["PYTHONPATH"]
    os.environ["PYTHONPATH"] = plan()["paths"][subject_name(item)]
    try:
        return (yield)
    finally:
        os.environ["PYTHONPATH"] = before


def _names(report: pytest.TestReport) -> list[str]:
    found: dict[str, Any] = dict(report.user_properties)
    return list(found["toy"])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    toy, test = _names(report)
    result = RESULTS.setdefault(toy, {}).setdefault(test, {"outcome": "passed", "said": ""})
    result["seconds"] = result.get("seconds", 0.0) + report.duration
    if report.outcome != "passed":
        result["outcome"] = report.outcome
        crash = getattr(report.longrepr, "reprcrash", None)
        result["said"] += crash.message if crash else str(report.longrepr)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        Path(plan()["results"]).write_text(json.dumps(RESULTS, indent=1), encoding="utf-8")
