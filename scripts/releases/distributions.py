"""The distributions of this repository, as their files describe them.

Read by the rules in ``tests/repository``, by the scripts of releases and workflows beside this
file, and by ``hatch_plugins.py``.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "packages"
# what another branch has left there, ignored by git, is no package
FOLDERS = [
    *(ROOT / "shared", ROOT / "tests"),
    *sorted(file.parent for file in PACKAGES.glob("*/pyproject.toml")),
]
# an architecture of the documentation, tested as the others are, and never released
EXAMPLES = ROOT / "docs/examples"
# what stands under every architecture in its tests
BASE = ("mt-shared", "mt-core", "mt-conformance")


@dataclass(frozen=True)
class Import:
    """One imported module, and whether it is imported when its file is."""

    where: str
    module: str
    at_import: bool


@dataclass(frozen=True)
class Distribution:
    """A folder with a ``pyproject.toml``."""

    folder: Path
    project: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return self.project["name"]

    @property
    def source(self) -> Path:
        """The one package under ``src``."""
        packages = [file.parent for file in (self.folder / "src").glob("*/__about__.py")]
        if len(packages) != 1:
            raise SystemExit(
                f"{self.path}/src has {len(packages)} packages with a file __about__.py (it holds "
                "the version); expected one"
            )
        return packages[0]

    @property
    def module(self) -> str:
        return self.source.name

    @property
    def about(self) -> Path:
        """The file that holds the version."""
        return self.source / "__about__.py"

    @property
    def version(self) -> str:
        # run, not imported: packages that are not installed have a version too
        scope: dict[str, str] = {}
        exec(self.about.read_text(encoding="utf-8"), scope)
        return scope["__version__"]

    @property
    def fragments(self) -> list[Path]:
        """What its next changelog is made of."""
        return [file for file in self._changes if is_fragment(file)]

    @property
    def strays(self) -> list[Path]:
        """What stands among its fragments and would not be in the changelog."""
        return [file for file in self._changes if not is_fragment(file)]

    @property
    def _changes(self) -> list[Path]:
        return sorted((self.folder / "changes").glob("[!.]*"))

    @property
    def path(self) -> str:
        """Its folder, as git writes it."""
        return self.folder.relative_to(ROOT).as_posix()

    @property
    def description(self) -> str:
        """What it is, in a line."""
        return self.project["description"]

    @property
    def requirements(self) -> list[Requirement]:
        return [Requirement(line) for line in self.project.get("dependencies", [])]

    @property
    def architectures(self) -> dict[str, str]:
        """Name and module of the architectures that it provides."""
        return self.project.get("entry-points", {}).get("mt.architectures", {})

    def files(self) -> list[Path]:
        """Its source, without the templates of other packages."""
        files = self.source.rglob("*.py")
        return sorted(file for file in files if "templates" not in file.parts)


def is_fragment(file: Path) -> bool:
    """Whether towncrier makes a line of it: a name such as ``+some-word.added.md``, and text."""
    name = rf"(\+[a-z0-9.-]+|\d+)\.({'|'.join(fragment_types())})\.md"
    return bool(re.fullmatch(name, file.name) and file.is_file() and file.read_bytes().strip())


@cache
def fragment_types() -> list[str]:
    """The kinds of change that the ``pyproject.toml`` of the root knows."""
    table = read_toml(ROOT / "pyproject.toml")["tool"]["towncrier"]["type"]
    return [each["directory"] for each in table]


def no_fragment(file: Path) -> str:
    """What is wrong with a stray, and what to do."""
    return (
        f"{file.relative_to(ROOT).as_posix()} is no fragment: expected a name such as "
        f"12.fixed.md or +some-word.fixed.md ({', '.join(fragment_types())}), and text in it; "
        "rename or remove it"
    )


def read_distribution(folder: Path) -> Distribution:
    file = folder / "pyproject.toml"
    project = read_toml(file).get("project", {})
    if "name" not in project:
        raise SystemExit(f"{file.relative_to(ROOT).as_posix()} has no name in a table [project]")
    return Distribution(folder, project)


def read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    # of the syntax, or of the encoding
    except ValueError as error:
        name = file.relative_to(ROOT).as_posix()
        raise SystemExit(f"{name} is no TOML: {error}; mend the file") from None


def parse_project(text: str) -> dict[str, Any]:
    """The table ``project`` of a ``pyproject.toml``."""
    return tomllib.loads(text)["project"]


DISTRIBUTIONS = [read_distribution(folder) for folder in FOLDERS]
BY_NAME = {each.name: each for each in DISTRIBUTIONS}


def examples() -> list[Distribution]:
    return [read_distribution(file.parent) for file in sorted(EXAMPLES.glob("*/pyproject.toml"))]


def all_architectures() -> dict[str, Distribution]:
    """Every architecture with tests of its own, by its name in options files; examples too."""
    return {name: each for each in [*DISTRIBUTIONS, *examples()] for name in each.architectures}


def named(name: str) -> Distribution:
    """The distribution of that name, or of the architecture of that name."""
    of_architectures = {
        key: each for key, each in all_architectures().items() if each in DISTRIBUTIONS
    }
    known = {**of_architectures, **BY_NAME}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        advice = f" (did you mean '{near[0]}'?)" if near else ""
        raise SystemExit(f"there is no distribution '{name}'{advice}; known: {', '.join(BY_NAME)}")
    return known[name]


def command_line(about: str | None, **more: Any) -> argparse.ArgumentParser:
    """The parser of a script, described by the first line of its docstring."""
    return argparse.ArgumentParser(description=(about or "").splitlines()[0], **more)


def print_matrix(jobs: list[dict[str, Any]], key: str | None) -> None:
    """The jobs of a workflow's matrix as JSON, after ``KEY=`` where it is one of its outputs."""
    print((f"{key}=" if key else "") + json.dumps(jobs))


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file but those for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from _imports(tree, path.relative_to(ROOT).as_posix(), at_import=True)


def _imports(node: ast.AST, where: str, *, at_import: bool) -> Iterator[Import]:
    # never run, so that it may look anywhere
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    line = f"{where}:{getattr(node, 'lineno', 0)}"
    if isinstance(node, ast.Import):
        yield from (Import(line, alias.name, at_import) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        # a name imported from a package may be a module of it
        yield Import(line, node.module or "", at_import)
        yield from (Import(line, f"{node.module}.{each.name}", at_import) for each in node.names)
    # what stands in a function is imported when that is called; a class runs with its module
    inside = at_import and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, where, at_import=inside)
