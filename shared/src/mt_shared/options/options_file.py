"""The options of a user: a file or a dictionary, with the flags of the command line on top.

They are trees of plain values, which are merged here, and each leaf of them has an origin: the
file, a flag, or a default.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mt_shared.errors import OptionsError, shortened
from mt_shared.options.faults import KeyPath, dotted, renamed_path, shown
from mt_shared.options.yaml_loader import dump_inline, load_yaml, read_with_lines
from mt_shared.tables import columns

Origin = Literal["default", "file", "flag"]


@dataclass(frozen=True)
class LoadedOptions:
    """Options as given: ``values`` is the content of the file with the flags applied.

    ``where`` tells how to find a value again, for errors: ``line 12`` or ``-r a.b=c``.
    """

    values: dict[str, Any]
    source: str
    file: dict[str, Any]
    flags: tuple[str, ...]
    where: Mapping[KeyPath, str]


def load_options(
    options: str | Path | Mapping[Any, Any],
    flags: Sequence[str] = (),
    expected: str = "a mapping of options, in YAML",
) -> LoadedOptions:
    """Read a file, or take a dictionary, and set each ``a.b.c=VALUE`` of the flags in order.

    :param expected: what a file should be, for one that is something else
    """
    where: dict[KeyPath, str] = {}
    if isinstance(options, Mapping):
        source, file = "options", _plain(options)
    else:
        source = str(options)
        file, where = read_with_lines(options, expected)
    if not isinstance(file, dict):
        raise OptionsError(f"{source}: found {shown(file)}, expected {expected}")
    values = deepcopy(file)
    for flag in flags:
        path = _override(values, flag)
        # Lines of what the flag replaced would mislead.
        where = {key: line for key, line in where.items() if key[: len(path)] != path}
        where[path] = f"-r {flag}"
    return LoadedOptions(values, source, file, tuple(flags), where)


def _plain(value: Any) -> Any:
    """The same values as a YAML file would give: text keys, lists, no paths or tuples."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise OptionsError(
        f"options: found {value!r} of type {type(value).__name__}, expected plain values "
        "(text, numbers, booleans, None, lists, dictionaries)"
    )


def _parse_flag(flag: str) -> tuple[KeyPath, Any]:
    """The path and the value, read as YAML, of ``a.b.c=VALUE``.

    A number in the path is an ``int``, whether it means an index (``training_set.0.systems``, or
    ``training_set[0].systems``) or a key (``atomic_baseline.energy.6``): the options tell.
    """
    name, equals, text = flag.partition("=")
    parts = re.sub(r"\[(\d+)\]", r".\1", name.strip()).split(".")
    if not equals or not all(parts):
        raise OptionsError(
            f"-r {shortened(flag)}: expected key=value with dots between keys, "
            "such as architecture.training.batch_size=16"
        )
    path = tuple(int(part) if part.isdigit() else part for part in parts)
    return path, load_yaml(text, f"-r {flag}")


def _override(options: dict[str, Any], flag: str) -> KeyPath:
    """Set one value; returns its path with the keys as the options have them.

    Missing mappings are made. A mapping is merged into a mapping, but replaces an item of a list.
    """
    (*above, last), value = _parse_flag(flag)
    path: KeyPath = ()
    container: Any = options
    for part in above:
        key = _key_in(container, part, path, flag)
        if isinstance(container, dict) and container.get(key) is None:
            container[key] = {}
        container = container[key]
        path = (*path, key)
    key = _key_in(container, last, path, flag)
    if isinstance(container, dict):
        value = deep_merge(container.get(key), value)
    container[key] = value
    return (*path, key)


def _key_in(container: Any, part: str | int, above: KeyPath, flag: str) -> Any:
    """A part of a path as its container takes it: mappings have keys of text, lists indices."""
    if isinstance(container, dict):
        return str(part)
    if not isinstance(container, list):
        raise OptionsError(
            f"-r {flag}: '{dotted(above)}' is {shown(container)}, "
            f"so it has no '{part}'; set it as a whole"
        )
    if isinstance(part, int) and part < len(container):
        return part
    raise OptionsError(
        f"-r {flag}: '{dotted(above)}' is a list of {len(container)}: "
        f"expected an index from 0 to {len(container) - 1}, found '{part}'"
    )


def deep_merge(base: Any, top: Any) -> Any:
    """``top`` over ``base``: mappings key by key, everything else replaced; both stay as they are.

    Lists are replaced as a whole: nothing says which of their items belong together.
    """
    if not (isinstance(base, Mapping) and isinstance(top, Mapping)):
        return deepcopy(top)
    return {
        key: deep_merge(base.get(key), top[key]) if key in top else deepcopy(base[key])
        for key in dict(base) | dict(top)
    }


def origins(
    completed: Mapping[str, Any],
    file: Mapping[str, Any],
    flags: Iterable[str] = (),
    renamed: Mapping[KeyPath, KeyPath] | None = None,
) -> dict[KeyPath, Origin]:
    """For each leaf of the completed options where its value comes from.

    A shorthand of the user (``systems: a.xyz``) counts for the leaves that repeat its value.

    :param renamed: what the user calls by another name, from where to where
    """

    def comparable(path: KeyPath) -> tuple[str, ...]:
        return tuple(map(str, renamed_path(path, renamed or {})))

    # Paths are compared as text: a flag does not tell an index from a key that is a number, and
    # completed hypers have atomic numbers where the file has text.
    given: dict[tuple[str, ...], tuple[Origin, Any]] = {
        comparable(path): ("file", value) for path, value in leaves(file)
    }
    for flag in flags:
        above, value = _parse_flag(flag)
        for path, leaf in leaves(value, above):
            given[comparable(path)] = ("flag", leaf)
    return {path: _origin(tuple(map(str, path)), leaf, given) for path, leaf in leaves(completed)}


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


def describe_origins(
    completed: Mapping[str, Any],
    origin: Mapping[KeyPath, Origin],
    units: Mapping[KeyPath, str] | None = None,
) -> str:
    """A table of the completed options, one leaf a line: name, value, origin.

    :param units: of values that have one
    """
    units = units or {}
    rows = []
    for path, value in leaves(completed):
        text = dump_inline(value)
        # A text with line breaks keeps them in YAML, and would tear its line of the table apart.
        text = " ".join(text.split()) if "\n" in text else text
        text = f"{text} {units[path]}" if path in units else text
        rows.append((dotted(path), text, origin[path]))
    return columns(rows, widest={1: 40})


def leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Everything that is no mapping and no list of mappings; empty ones are leaves too."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value
