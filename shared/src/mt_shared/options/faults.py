"""Faults found in options: collected first, shown together in one error."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from mt_shared.errors import OptionsError

KeyPath = tuple[str | int, ...]
"""Where a value is in a tree of options: keys of mappings and indices of lists."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, where it is, and what was expected."""

    path: KeyPath
    message: str


def dotted(path: Iterable[str | int]) -> str:
    """The path as users write it: ``training_set.0.systems``."""
    return ".".join(str(part) for part in path)


def shown(value: Any) -> str:
    """A value as an error quotes it: text in quotes, containers by their kind."""
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "nothing (null)"
    return repr(value)


def raise_faults(
    faults: Iterable[Fault], source: str, where: Mapping[KeyPath, str] | None = None
) -> None:
    """Raise one OptionsError that lists every fault, or do nothing if there is none.

    ``where`` says for each path of the file how to find it (``line 12``).
    """
    found = list(dict.fromkeys(faults))
    if found:
        _raise(found, source, where or {})


def _raise(faults: list[Fault], source: str, where: Mapping[KeyPath, str]) -> NoReturn:
    if where:
        faults = sorted(faults, key=lambda fault: _position(fault.path, where))
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = [f"{source}: {count} in the options"]
    for fault in faults:
        place = _place(fault.path, where)
        name = dotted(fault.path)
        head = " ".join(part for part in (name, place) if part)
        lines.append(f"  {head}: {fault.message}" if head else f"  {fault.message}")
    raise OptionsError("\n".join(lines))


def _place(path: KeyPath, where: Mapping[KeyPath, str]) -> str:
    known = _known_part(path, where)
    return f"({where[known]})" if known else ""


def _position(path: KeyPath, where: Mapping[KeyPath, str]) -> int:
    """The order of the file; what the file does not have comes first."""
    known = _known_part(path, where)
    return list(where).index(known) if known else -1


def _known_part(path: KeyPath, where: Mapping[KeyPath, str]) -> KeyPath:
    """The path, or that of the nearest mapping around it that the file has."""
    return next((path[:end] for end in range(len(path), 0, -1) if path[:end] in where), ())
