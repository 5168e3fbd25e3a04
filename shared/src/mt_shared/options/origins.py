"""The origin of each option: the file, a flag of the command line, or a default."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from mt_shared.options.faults import KeyPath, dotted
from mt_shared.options.options_file import parse_flag
from mt_shared.options.trees import leaves
from mt_shared.options.yaml_loader import dump_inline
from mt_shared.tables import columns

Origin = Literal["default", "file", "flag"]


def origins(
    completed: Mapping[str, Any], file: Mapping[str, Any], flags: Iterable[str] = ()
) -> dict[KeyPath, Origin]:
    """For each leaf of the completed options where its value comes from.

    A shorthand of the user (``systems: a.xyz``) counts for the leaves that repeat its value.
    """
    # Paths are compared as text: a flag does not tell an index from a key that is a number, and
    # completed hypers have atomic numbers where the file has text.
    given: dict[tuple[str, ...], tuple[Origin, Any]] = {
        tuple(map(str, path)): ("file", value) for path, value in leaves(file)
    }
    for flag in flags:
        above, value = parse_flag(flag)
        for path, leaf in leaves(value, above):
            given[tuple(map(str, path))] = ("flag", leaf)
    return {path: _origin(tuple(map(str, path)), value, given) for path, value in leaves(completed)}


def _origin(
    path: tuple[str, ...], value: Any, given: Mapping[tuple[str, ...], tuple[Origin, Any]]
) -> Origin:
    # From the leaf upwards: what the user wrote nearest to it decides, be it the leaf itself or
    # a shorthand around it, whose other leaves are defaults.
    for length in range(len(path), 0, -1):
        if path[:length] in given:
            origin, written = given[path[:length]]
            return origin if length == len(path) or written == value else "default"
    return "default"


def describe_origins(completed: Mapping[str, Any], origin: Mapping[KeyPath, Origin]) -> str:
    """A table of the completed options, one leaf a line: name, value, origin."""
    rows = []
    for path, value in leaves(completed):
        text = dump_inline(value)
        # A text with line breaks keeps them in YAML, and would tear its line of the table apart.
        text = " ".join(text.split()) if "\n" in text else text
        rows.append((dotted(path), text, origin[path]))
    return columns(rows, widest={1: 40})
