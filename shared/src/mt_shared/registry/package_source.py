"""What can be read off the source of an architecture without importing it: people, references."""

import ast
from pathlib import Path
from typing import Any

from mt_shared.errors import ArchitectureError

People = tuple[tuple[str, str], ...]


def read_people(folder: Path, attribute: str) -> People:
    """The people that ``__init__.py`` names in ``__authors__`` or ``__maintainers__``.

    Empty where the list is not written out there: only an import would tell.
    """
    names = _assignments(_parse(folder / "__init__.py").body)
    value = names.pop(attribute, None)
    # `__maintainers__ = __authors__`; each name is taken out, so that a circle of them ends.
    while isinstance(value, ast.Name):
        value = names.pop(value.id, None)
    people: Any = None if value is None else _value(value)
    return tuple(map(tuple, people)) if is_people(people) else ()


def read_references(folder: Path) -> dict[str, list[str]]:
    """The references of ``__default_metadata__`` of the class that is ``__model__``.

    Empty where they are not written out in one of the package's files.
    """
    model = _model_class(_parse(folder / "__init__.py"))
    for path in sorted(folder.rglob("*.py")) if model else ():
        for node in _parse(path).body:
            if isinstance(node, ast.ClassDef) and node.name == model:
                return _references(node)
    return {}


def _parse(path: Path) -> ast.Module:
    """A file of Python; an ArchitectureError says if it is missing or something else."""
    try:
        return ast.parse(path.read_bytes())
    except FileNotFoundError as error:
        raise ArchitectureError(f"the package has no {path.name}") from error
    # ValueError is for null bytes, in older versions of Python
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ArchitectureError(f"{path}{line} is not Python: {error}") from error


def is_people(value: object) -> bool:
    """Whether a value is a list of ``("Name <mail>", "@handle")``."""
    return isinstance(value, (list, tuple)) and all(
        isinstance(person, (list, tuple))
        and len(person) == 2
        and all(isinstance(part, str) for part in person)
        for person in value
    )


def _assignments(body: list[ast.stmt]) -> dict[str, ast.expr]:
    """The last value that is assigned to each name in a module or a class."""
    found: dict[str, ast.expr] = {}
    for node in body:
        if isinstance(node, ast.Assign):
            found |= {name.id: node.value for name in node.targets if isinstance(name, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def _value(node: ast.expr) -> Any:
    """What is written out; None for what only running the code would tell."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _model_class(init: ast.Module) -> str | None:
    """The name under which the class ``__model__`` is defined."""
    # Three ways to expose it: `from .model import Network as __model__`, `class __model__`, and
    # `__model__ = Network`.
    for node in init.body:
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if (alias.asname or alias.name) == "__model__":
                return alias.name
        if isinstance(node, ast.ClassDef) and node.name == "__model__":
            return node.name
    value = _assignments(init.body).get("__model__")
    return value.id if isinstance(value, ast.Name) else None


def _references(model: ast.ClassDef) -> dict[str, list[str]]:
    """The argument ``references`` of the call that ``__default_metadata__`` is assigned."""
    metadata = _assignments(model.body).get("__default_metadata__")
    keywords = metadata.keywords if isinstance(metadata, ast.Call) else []
    value: Any = next((_value(each.value) for each in keywords if each.arg == "references"), None)
    well_formed = isinstance(value, dict) and all(
        isinstance(section, str)
        and isinstance(items, list)
        and all(isinstance(item, str) for item in items)
        for section, items in value.items()
    )
    return value if well_formed else {}
