"""What the conformance suite promises of its own tests and data."""

import ast
import re
from pathlib import Path

import pytest

import mt_conformance
import mt_core

SUITE = Path(mt_conformance.__file__).parent
EXAMPLES = Path(mt_core.__file__).parent / "examples"
TESTS = [
    pytest.param(node, id=f"{file.stem}::{node.name}")
    for file in sorted(SUITE.glob("test_*.py"))
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
    text = (SUITE / "frames" / f"{name}.xyz").read_text(encoding="utf-8")
    whole = (EXAMPLES / name / f"{name}.xyz").read_text(encoding="utf-8")
    assert text and whole.startswith(text)


@pytest.mark.parametrize("test", TESTS)
def test_each_assertion_says_what_is_wrong_with_the_architecture(test):
    silent = [
        node.lineno for node in ast.walk(test) if isinstance(node, ast.Assert) and node.msg is None
    ]
    assert not silent, f"give the assertions in lines {silent} a message"
