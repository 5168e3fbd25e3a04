"""Options: from a file or a dictionary, with flags on top, and the origin of each value.

No torch here, and jsonschema only once something is checked.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mt_shared.errors import OptionsError
from mt_shared.options.faults import KeyPath, dotted, shown
from mt_shared.options.yaml_loader import (
    dump_yaml,
    line_numbers,
    load_yaml,
    plain,
    read_text,
)

Origin = Literal["default", "file", "flag"]

_BRACKETS = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class LoadedOptions:
    """Options as given: ``values`` is the file's content with the flags applied."""

    values: dict[str, Any]
    source: str
    file: dict[str, Any]
    flags: tuple[str, ...]
    where: Mapping[KeyPath, str]
    """How to find a value again, for errors: ``line 12`` or ``-r a.b=c``."""


def load_options(
    options: str | Path | Mapping[Any, Any], flags: Sequence[str] = ()
) -> LoadedOptions:
    """Read a file, or take a dictionary, and apply ``a.b.c=VALUE`` flags.

    :raises OptionsError: the file or a flag cannot be read
    """
    if isinstance(options, Mapping):
        source, file, where = "options", plain(options), {}
    else:
        source, text = str(options), read_text(options)
        file, where = load_yaml(text, source), line_numbers(text, source)
    if not isinstance(file, dict):
        raise OptionsError(f"{source}: found {shown(file)}, expected a mapping of options")
    values = apply_overrides(file, flags)
    for flag in flags:
        path = _as_in(values, _parse_flag(flag)[0])
        # Lines of what the flag replaced would mislead.
        where = {key: line for key, line in where.items() if key[: len(path)] != path}
        where[path] = f"-r {flag}"
    return LoadedOptions(values, source, file, tuple(flags), where)


def apply_overrides(options: Mapping[str, Any], flags: Sequence[str]) -> dict[str, Any]:
    """A copy of the options with each ``a.b.c=VALUE`` set, the last one winning.

    Values are read as YAML. A part of the path is the key of a mapping or the index of a list
    (``training_set.0.systems``); missing mappings are made; a mapping is merged into a mapping.

    :raises OptionsError: a flag without ``=``, or a path through something that has no keys
    """
    result = deepcopy(dict(options))
    for flag in flags:
        path, value = _parse_flag(flag)
        container, key = _container(result, path, flag)
        if isinstance(container, dict) and isinstance(container.get(str(key)), dict):
            value = deep_merge(container[str(key)], value)
        container[key] = value
    return result


def _parse_flag(flag: str) -> tuple[KeyPath, Any]:
    name, equals, text = flag.partition("=")
    parts = _BRACKETS.sub(r".\1", name.strip()).split(".")
    if not equals or not all(parts):
        raise OptionsError(
            f"-r {flag}: expected key=value with dots between keys, "
            "such as architecture.training.batch_size=16"
        )
    path = tuple(int(part) if part.isdigit() else part for part in parts)
    return path, load_yaml(text, f"-r {flag}")


def _container(options: dict[str, Any], path: KeyPath, flag: str) -> tuple[Any, str | int]:
    """The mapping or list that holds the last part of the path, and that part for it."""
    container: Any = options
    for depth, part in enumerate(path):
        if not isinstance(container, dict | list):
            raise OptionsError(
                f"-r {flag}: '{dotted(path[:depth])}' is {shown(container)}, "
                f"so it has no '{part}'; set it as a whole"
            )
        key = _key_in(container, part, path[:depth], flag)
        if depth == len(path) - 1:
            return container, key
        if isinstance(container, dict) and container.get(str(key)) is None:
            container[str(key)] = {}
        container = container[key]
    raise AssertionError("a path has at least one part")


def _key_in(container: Any, part: str | int, above: KeyPath, flag: str) -> str | int:
    if isinstance(container, dict):
        return str(part)
    if isinstance(part, int) and part < len(container):
        return part
    raise OptionsError(
        f"-r {flag}: '{dotted(above)}' is a list of {len(container)}: "
        f"expected an index from 0 to {len(container) - 1}, found '{part}'"
    )


def _as_in(options: Any, path: KeyPath) -> KeyPath:
    """The path with the keys as the options have them: numbers index lists, text mappings."""
    parts: list[str | int] = []
    for part in path:
        parts.append(part if isinstance(options, list) else str(part))
        options = options[parts[-1]]
    return tuple(parts)


def deep_merge(base: Any, top: Any) -> Any:
    """``top`` over ``base``: mappings key by key, everything else replaced."""
    if not (isinstance(base, Mapping) and isinstance(top, Mapping)):
        return deepcopy(top)
    merged = deepcopy(dict(base))
    for key, value in top.items():
        merged[key] = deep_merge(base[key], value) if key in base else deepcopy(value)
    return merged


def origins(
    resolved: Mapping[str, Any], file: Mapping[str, Any], flags: Iterable[str] = ()
) -> dict[KeyPath, Origin]:
    """For each leaf of the resolved options where its value comes from.

    A shorthand of the user (``systems: a.xyz``) counts for the leaves that repeat its value.
    """
    # By text, since a flag does not tell an index from a key that is a number.
    given: dict[tuple[str, ...], tuple[Origin, Any]] = {
        _text(path): ("file", value) for path, value in _leaves(file)
    }
    for flag in flags:
        above, value = _parse_flag(flag)
        for path, leaf in _leaves(value, above):
            given[_text(path)] = ("flag", leaf)
    return {path: _origin(_text(path), value, given) for path, value in _leaves(resolved)}


def _text(path: KeyPath) -> tuple[str, ...]:
    return tuple(str(part) for part in path)


def _origin(
    path: tuple[str, ...], value: Any, given: Mapping[tuple[str, ...], tuple[Origin, Any]]
) -> Origin:
    if path in given:
        return given[path][0]
    for length in range(len(path) - 1, 0, -1):
        origin, shorthand = given.get(path[:length], ("default", None))
        if origin != "default":
            return origin if shorthand == value else "default"
    return "default"


def describe_origins(resolved: Mapping[str, Any], origin: Mapping[KeyPath, Origin]) -> str:
    """A table of the resolved options, one leaf a line: name, value, origin."""
    rows = [(dotted(path), _one_line(value), origin[path]) for path, value in _leaves(resolved)]
    name_width = max((len(row[0]) for row in rows), default=0)
    value_width = min(40, max((len(row[1]) for row in rows), default=0))
    return "\n".join(
        f"{name:<{name_width}}  {value:<{value_width}}  {by}" for name, value, by in rows
    )


def _one_line(value: Any) -> str:
    text = dump_yaml(value).removesuffix("\n").removesuffix("\n...")
    return " ".join(text.split()) if "\n" in text else text


def _leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Everything that is no mapping and no list of mappings; empty ones are leaves too."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value
