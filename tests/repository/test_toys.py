"""The suite is itself tested: on toys that are broken on purpose; ``tests/toys/README.md``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from toys.breakage import Breakage, Toy, breakage, edited, package_folder
from toys.breakages import all_breakages
from toys.running import Results, faults, named, shared_results
from toys.sound import sound

BREAKAGES = all_breakages()

# a test of the suite: why there is no toy on which it fails
UNPROVEN = {
    "test_precision.py::test_devices_agree": "skipped where there is no accelerator",
}


def suite() -> Iterator[str]:
    """Each test of the suite, as ``file.py::test_function``."""
    for file in package_folder("mt_conformance").rglob("test_*.py"):
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M):
            yield f"{file.name}::{name}"


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return shared_results("toys", BREAKAGES, tmp_path_factory)


@pytest.mark.parametrize("each", BREAKAGES, ids=lambda each: each.name)
def test_the_suite_sees_what_is_broken(each: Breakage, results: Results) -> None:
    wrong = faults(each, results)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("test", sorted(suite()))
def test_each_test_of_the_suite_can_fail(test: str) -> None:
    seen = {name.split("[")[0] for each in BREAKAGES for name in each.fails}
    if test in UNPROVEN:
        assert test not in seen, f"{test} is proven: strike it off the exceptions"
    else:
        assert test in seen, f"there is no toy on which {test} fails; add one to tests/toys"


@pytest.mark.parametrize("each", BREAKAGES, ids=lambda each: each.name)
def test_a_breakage_names_tests_that_exist(each: Breakage) -> None:
    unknown = {name.split("[")[0] for name in named(each)} - set(suite())
    assert not unknown, f"no such test in the suite: {sorted(unknown)}"
    assert each.passes, "a breakage names neighbours that pass"


def test_each_toy_has_a_name_of_its_own() -> None:
    names = [each.name for each in BREAKAGES]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)


def test_the_exceptions_are_tests() -> None:
    assert set(UNPROVEN) <= set(suite())


def test_text_to_be_replaced_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "mt_toy").mkdir()
    (tmp_path / "mt_toy" / "model.py").write_text("a = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not there: 'b = 1'"):
        edited("model.py", "b = 1", "b = 2")(Toy(tmp_path, "mt_toy"))


def test_a_breakage_that_is_not_seen_is_reported() -> None:
    passed = {"outcome": "passed", "said": ""}
    failed = {"outcome": "failed", "said": "another message"}
    one = breakage(
        "toy", fails="test_a.py::test_a", says="words", passes="test_a.py::test_b test_a.py::test_c"
    )
    results = {"toy_toy": {"test_a.py::test_a": passed, "test_a.py::test_b[x]": failed}}
    found = "\n".join(faults(one, results))
    assert "test_a.py::test_a must fail, and passed" in found
    assert "test_a.py::test_b[x] must pass, and failed" in found
    assert "the neighbour test_a.py::test_c did not run" in found
    results["toy_toy"]["test_a.py::test_a"] = failed
    assert "must say 'words', and says:\nanother message" in "\n".join(faults(one, results))


def test_whatever_fails_on_a_sound_toy_is_reported() -> None:
    failed = {"outcome": "failed", "said": "a message"}
    results = {"toy_toy": {"test_a.py::test_a": failed, "test_a.py::test_b": failed}}
    found = faults(sound("toy", tests="test_a.py::test_a"), results)
    assert [each.partition(" must")[0] for each in found] == list(results["toy_toy"])
