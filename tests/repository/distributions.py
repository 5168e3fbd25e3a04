"""The distributions of this repository, as their files describe them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "shared", ROOT / "tests", *sorted((ROOT / "packages").iterdir())]


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
        (package,) = (path for path in (self.folder / "src").iterdir() if path.is_dir())
        return package

    @property
    def module(self) -> str:
        return self.source.name

    @property
    def version(self) -> str:
        scope: dict[str, str] = {}
        exec((self.source / "__about__.py").read_text(encoding="utf-8"), scope)
        return scope["__version__"]

    @property
    def requirements(self) -> list[Requirement]:
        return [Requirement(line) for line in self.project["dependencies"]]

    @property
    def architectures(self) -> dict[str, str]:
        """Name and module of the architectures that it provides."""
        return self.project.get("entry-points", {}).get("mt.architectures", {})

    def files(self) -> list[Path]:
        return sorted(self.source.rglob("*.py"))


def read_distribution(folder: Path) -> Distribution:
    file = folder / "pyproject.toml"
    return Distribution(folder, tomllib.loads(file.read_text(encoding="utf-8"))["project"])


DISTRIBUTIONS = [read_distribution(folder) for folder in FOLDERS]


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file but those for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from _imports(tree, path.relative_to(ROOT).as_posix(), at_import=True)


def _imports(node: ast.AST, where: str, *, at_import: bool) -> Iterator[Import]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    line = f"{where}:{getattr(node, 'lineno', 0)}"
    if isinstance(node, ast.Import):
        yield from (Import(line, alias.name, at_import) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        # a name imported from a package may be a module of it
        yield Import(line, node.module or "", at_import)
        yield from (Import(line, f"{node.module}.{each.name}", at_import) for each in node.names)
    inside = at_import and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, where, at_import=inside)
