"""All breakages, by subject: one module for each file of the suite, named after it."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

from toys.breakage import Breakage

MODULES = sorted(file.stem for file in Path(__file__).parent.glob("[!_]*.py"))


def all_breakages() -> list[Breakage]:
    """In the order of the files."""
    found: list[Breakage] = []
    for name in MODULES:
        breakages = import_module(f"toys.breakages.{name}").BREAKAGES
        found += [_with_files(each, f"test_{name}.py") for each in breakages]
    return found


def _with_files(each: Breakage, file: str) -> Breakage:
    """Tests that are named without their file are of the one that the module is named after."""

    def whole(test: str) -> str:
        return test if "::" in test else f"{file}::{test}"

    fails = {whole(test): says for test, says in each.fails.items()}
    return replace(each, fails=fails, passes=tuple(map(whole, each.passes)))
