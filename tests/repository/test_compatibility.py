"""The table of compatibility: made from runs of the suite, and up to date."""

import json
import platform
import subprocess
import sys

import pytest

from compatibility_table import merge, page
from distributions import ROOT

SCRIPT = ROOT / "scripts/releases/compatibility_table.py"
RESULT = {
    "architecture": "painn",
    "version": "0.1.0",
    "mt-shared": "0.1.0",
    "torch": "2.13.0",
    "metatomic": "0.1.19",
    "python": "3.11.7",
    "passed": 10,
    "failed": 0,
    "skipped": 2,
    "date": "2026-11-23",
}
JUNIT = """<testsuites><testsuite tests="{tests}" failures="1" errors="2" skipped="3"
    timestamp="2026-11-23T21:00:00.0+00:00" /></testsuites>"""


def run(*arguments):
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_table_is_up_to_date():
    done = run("write", "--check")
    assert done.returncode == 0, done.stderr


def test_a_run_is_recorded_with_its_versions(tmp_path):
    (tmp_path / "junit.xml").write_text(JUNIT.format(tests=20), encoding="utf-8")
    done = run("record", "soap_bpnn", tmp_path / "junit.xml", tmp_path / "result.json")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["python"] == platform.python_version()
    assert (result["passed"], result["failed"], result["skipped"]) == (14, 3, 3)
    assert result["date"] == "2026-11-23"
    assert set(result) == set(RESULT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "expected what pytest --junitxml writes"),
        ("no XML", "expected what pytest --junitxml writes"),
        (JUNIT.format(tests=0), "no test was run"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, text, message):
    if text:
        (tmp_path / "junit.xml").write_text(text, encoding="utf-8")
    done = run("record", "soap_bpnn", tmp_path / "junit.xml", tmp_path / "result.json")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_of_two_runs_with_the_same_versions_the_later_counts():
    later = RESULT | {"passed": 11, "date": "2026-11-24"}
    assert merge([RESULT, later]) == [later]


def test_rows_are_in_the_order_of_versions():
    old = RESULT | {"torch": "2.6.0"}
    assert merge([RESULT, old]) == [old, RESULT]


def test_a_row_says_what_passed_with_what_and_when():
    row = "| `painn` | 0.1.0 | 0.1.0 | 2.13.0 | 0.1.19 | 3.11.7 | 10 passed | 2026-11-23 |"
    assert row in page([RESULT])
    assert "| 3 failed, 10 passed |" in page([RESULT | {"failed": 3}])


def test_the_page_says_first_that_it_is_made():
    assert page([]).startswith("<!-- made by scripts/releases/compatibility_table.py")


def test_results_are_added_in_a_copy_of_the_repository(repository, tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(RESULT), encoding="utf-8")
    done = repository.run("compatibility_table", "write", str(tmp_path / "result.json"))
    assert done.returncode == 0, done.stderr
    assert "| `painn` | 0.1.0 |" in repository.read("docs/compatibility.md")
    assert repository.run("compatibility_table", "write", "--check").returncode == 0
    repository.write("docs/compatibility.md", "edited by hand")
    done = repository.run("compatibility_table", "write", "--check")
    assert done.returncode == 1
    assert (
        "compatibility.md not up to date; run python scripts/releases/compatibility_table.py"
        in done.stderr
    )


def test_a_result_that_is_not_there_is_refused():
    done = run("write", "--check", "nowhere.json")
    assert done.returncode == 1
    assert "nowhere.json: there is no such file" in done.stderr
