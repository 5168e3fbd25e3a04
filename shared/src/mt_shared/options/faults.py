"""Faults found in options: collected first, shown together in one error."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mt_shared.errors import OptionsError, shortened

KeyPath = tuple[str | int, ...]
"""Where a value is in a tree of options: keys of mappings and indices of lists."""

# With the line above and a line for what is left, they fit on a screen.
_MOST_SHOWN = 15
_LONG = 80


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, where it is, and what was expected."""

    path: KeyPath
    message: str


def dotted(path: Iterable[str | int]) -> str:
    """The path as users write it: ``training_set.0.systems``."""
    return ".".join(str(part) for part in path)


def renamed_path(path: KeyPath, renamed: Mapping[KeyPath, KeyPath]) -> KeyPath:
    """The path with its beginning renamed, if it begins with one of those that are."""
    for old, new in renamed.items():
        if path[: len(old)] == old:
            return (*new, *path[len(old) :])
    return path


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
    return repr(shortened(value) if isinstance(value, str) else value)


def raise_faults(
    faults: Iterable[Fault], source: str, where: Mapping[KeyPath, str] | None = None
) -> None:
    """Raise one OptionsError that lists the faults, or do nothing if there is none.

    Of very many the first are listed: the others often have the same cause.

    :param where: for each path of the file how to find it (``line 12``), in the file's order
    """
    # Several rules of a schema can find the same fault.
    found = list(dict.fromkeys(faults))
    if not found:
        return
    where = where or {}
    position = {path: number for number, path in enumerate(where)}

    def known_part(fault: Fault) -> KeyPath:
        """The path, or that of the nearest mapping around it that the file has."""
        path = fault.path
        return next((path[:end] for end in range(len(path), 0, -1) if path[:end] in where), ())

    # In the order of the file; what the file has no part of comes first.
    found.sort(key=lambda fault: position.get(known_part(fault), -1))
    count = "1 fault" if len(found) == 1 else f"{len(found)} faults"
    lines = [f"{source}: {count} in the options"]
    told: set[tuple[KeyPath, str]] = set()
    for fault in found[:_MOST_SHOWN]:
        known = known_part(fault)
        place = f"({shortened(where[known], 120)})" if known else ""
        head = " ".join(part for part in (shortened(dotted(fault.path), 120), place) if part)
        # long are those that list the keys which are known there
        is_long, here = len(fault.message) > _LONG, (fault.path[:-1], fault.message)
        message = "the same" if is_long and here in told else fault.message
        told.add(here)
        lines.append(f"  {head}: {message}" if head else f"  {message}")
    if len(found) > _MOST_SHOWN:
        lines.append(f"  and {len(found) - _MOST_SHOWN} more: mend these first")
    raise OptionsError("\n".join(lines))
