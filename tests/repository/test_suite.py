"""What the conformance suite promises of its own tests and data."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mt_conformance
import mt_core
from mt_conformance.quick import QUICK

SUITE = Path(mt_conformance.__file__).parent
EXAMPLES = Path(mt_core.__file__).parent / "examples"
TESTS = [
    pytest.param(node, id=f"{file.stem}::{node.name}")
    for file in sorted(SUITE.rglob("test_*.py"))
    for node in ast.parse(file.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
]


@pytest.mark.parametrize("test", TESTS)
def test_a_test_says_what_is_promised_and_what_to_do_if_it_fails(test):
    promise, what_to_do, remedy = (ast.get_docstring(test) or "").partition("\n\nIF IT FAILS: ")
    assert promise.strip(), "the docstring begins with what is promised of an architecture"
    assert what_to_do and re.search(r"[.?]$", remedy.strip()), (
        "the docstring ends with a paragraph 'IF IT FAILS: ...': where to look, what to change"
    )


@pytest.mark.parametrize("name", ["ethanol", "ice"])
def test_structures_of_the_suite_are_the_first_ones_of_the_examples(name):
    text = (SUITE / "inputs/frames" / f"{name}.xyz").read_text(encoding="utf-8")
    whole = (EXAMPLES / name / f"{name}.xyz").read_text(encoding="utf-8")
    assert text and whole.startswith(text)


@pytest.mark.parametrize("test", TESTS)
def test_each_assertion_says_what_is_wrong_with_the_architecture(test):
    silent = [
        node.lineno for node in ast.walk(test) if isinstance(node, ast.Assert) and node.msg is None
    ]
    assert not silent, f"give the assertions in lines {silent} a message"


FAULTS = {
    "syntax": ("def", "SyntaxError"),
    "dependency": ("import package_of_nobody", "'package_of_nobody', which is not installed"),
}


@pytest.fixture(params=FAULTS)
def broken(request, tmp_path) -> tuple[Path, str]:
    """A folder with the architecture ``broken``, which cannot be imported, and words of why."""
    source, says = FAULTS[request.param]
    files = {
        "mt_broken/__init__.py": "from mt_broken import model",
        "mt_broken/model.py": source,
        "mt_broken/default-hypers.yaml": "name: broken",
        "mt_broken-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: mt-broken\nVersion: 1.0",
        "mt_broken-1.0.dist-info/entry_points.txt": "[mt.architectures]\nbroken = mt_broken",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return tmp_path, says


def run_suite(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    settings = ["-c", str(SUITE / "pytest.ini"), "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", str(SUITE), *settings, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_architecture_that_cannot_be_imported_is_one_error(broken):
    folder, says = broken
    done = run_suite(folder, "--architecture", "broken")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout
    assert says in done.stderr and "mt-broken 1.0" in done.stderr
    assert "passed" not in done.stdout and "failed" not in done.stdout


def test_among_several_architectures_the_tests_say_which_cannot_be_imported(broken):
    folder, says = broken
    names = ["--architecture", "broken", "--architecture", "soap_bpnn"]
    done = run_suite(folder, *names, "-k", "test_package_loads_by_the_contract")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stderr
    assert says in done.stdout and "1 failed, 1 passed" in done.stdout


def test_the_quick_tier_names_tests_that_exist():
    known = {
        file.name: set(re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M))
        for file in SUITE.rglob("test_*.py")
    }
    assert set(QUICK) <= set(known), "no such files in the suite"
    unknown = {name for file, names in QUICK.items() if names for name in set(names) - known[file]}
    assert not unknown, f"no such tests in the suite: {unknown}"


def test_the_quick_tier_says_that_it_is_not_the_whole(tmp_path):
    options = ["--architecture", "soap_bpnn", "--conformance-quick", "-k", "hypers or interruption"]
    done = run_suite(tmp_path, *options)
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "test_hypers" in done.stdout and "test_interruption" not in done.stdout
    assert "mt conformance soap_bpnn" in done.stdout


def test_sigterm_ends_the_suite_as_ctrl_c_does(tmp_path):
    plugin = (
        "import os, signal\ndef pytest_collection_finish(): os.kill(os.getpid(), signal.SIGTERM)"
    )
    (tmp_path / "told_to_end.py").write_text(plugin + "\n", encoding="utf-8")
    done = run_suite(tmp_path, "-p", "told_to_end", "--architecture", "soap_bpnn")
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stderr
    assert "KeyboardInterrupt" in done.stdout
