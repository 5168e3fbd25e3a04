"""Check that the floors of siblings are true: what is imported was there in the lowest version.

    python scripts/releases/check_floors.py

A name that mt-shared has only since its last release is not in the version of that release, which
``mt-shared>=0.1`` admits. The floors are read off the tags (``git fetch --tags``). Names are
checked, not what stands behind them: the suite at the lowest versions does that.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache

from packaging.version import Version

from distributions import BY_NAME, DISTRIBUTIONS, Distribution, command_line, imports
from floors import floor
from history import files_at, released_versions, tag, text_at


def main() -> None:
    command_line(__doc__).parse_args()
    wrong = [message for each in DISTRIBUTIONS for message in faults(each)]
    print("\n".join(wrong) or "every floor of a sibling is true")
    sys.exit(bool(wrong))


def faults(distribution: Distribution) -> Iterator[str]:
    """What the lowest admitted versions of its siblings lack."""
    for requirement in distribution.requirements:
        if requirement.name not in BY_NAME:
            continue
        sibling, lowest = BY_NAME[requirement.name], floor(requirement)
        where = f"{distribution.path}/pyproject.toml requires {sibling.name}>={lowest}"
        # with the digits of its tag: a floor of 0.1 is the version 0.1.0
        released = {each: tag(sibling.name, each) for each in released_versions(sibling.name)}
        if lowest in released:
            yield from lacking(distribution, sibling, released[lowest], where)
        # of the version beside, which is not released, every name is there by definition
        elif lowest != Version(sibling.version):
            yield (
                f"{where}, which is neither released (no tag {tag(sibling.name, lowest)} here; git "
                f"fetch --tags?) nor the version beside, {sibling.version}"
            )


def lacking(
    distribution: Distribution, sibling: Distribution, revision: str, where: str
) -> Iterator[str]:
    """The imports of what the sibling did not have then."""
    for each in (each for file in distribution.files() for each in imports(file)):
        if each.module.split(".")[0] == sibling.module and not had(sibling, revision, each.module):
            yield (
                f"{each.where} imports {each.module}, and {where}, which has no such name; raise "
                f"__version__ in {sibling.path} to the next version, and the floor to it"
            )


def had(distribution: Distribution, revision: str, dotted: str) -> bool:
    """Whether a revision of the distribution has this module, or this name in its module."""
    parent, _, name = dotted.rpartition(".")
    file = module_file(distribution, revision, parent)
    return module_file(distribution, revision, dotted) is not None or (
        file is not None and (name == "*" or name in defined(revision, file))
    )


def module_file(distribution: Distribution, revision: str, dotted: str) -> str | None:
    base = f"{distribution.path}/src/{dotted.replace('.', '/')}"
    known = files_at(revision, f"{distribution.path}/src")
    return next((path for path in (f"{base}.py", f"{base}/__init__.py") if path in known), None)


@cache
def defined(revision: str, file: str) -> frozenset[str]:
    """The names that a module binds when it is imported."""
    return frozenset(_bound(ast.parse(text_at(revision, file))))


def _bound(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield child.name
        elif isinstance(child, ast.alias):
            yield child.asname or child.name.split(".")[0]
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        else:
            yield from _bound(child)


if __name__ == "__main__":
    main()
