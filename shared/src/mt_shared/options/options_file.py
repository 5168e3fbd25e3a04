"""The options of a user: a file or a dictionary, with the flags of the command line on top."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_shared.errors import OptionsError
from mt_shared.options.faults import KeyPath, dotted, shown
from mt_shared.options.trees import deep_merge, plain
from mt_shared.options.yaml_loader import load_with_lines, load_yaml, read_text


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
    options: str | Path | Mapping[Any, Any], flags: Sequence[str] = ()
) -> LoadedOptions:
    """Read a file, or take a dictionary, and set each ``a.b.c=VALUE`` of the flags in order.

    :raises OptionsError: the file or a flag cannot be read, or the path of a flag leads through
        something that has no keys
    """
    where: dict[KeyPath, str] = {}
    if isinstance(options, Mapping):
        source, file = "options", plain(options)
    else:
        source = str(options)
        file, where = load_with_lines(read_text(options), source)
    if not isinstance(file, dict):
        raise OptionsError(f"{source}: found {shown(file)}, expected a mapping of options")
    values = deepcopy(file)
    for flag in flags:
        path = _override(values, flag)
        # Lines of what the flag replaced would mislead.
        where = {key: line for key, line in where.items() if key[: len(path)] != path}
        where[path] = f"-r {flag}"
    return LoadedOptions(values, source, file, tuple(flags), where)


def parse_flag(flag: str) -> tuple[KeyPath, Any]:
    """The path and the value, read as YAML, of ``a.b.c=VALUE``.

    A number in the path is an ``int``, whether it means an index (``training_set.0.systems``, or
    ``training_set[0].systems``) or a key (``atomic_baseline.energy.6``): the options tell.
    """
    name, equals, text = flag.partition("=")
    parts = re.sub(r"\[(\d+)\]", r".\1", name.strip()).split(".")
    if not equals or not all(parts):
        raise OptionsError(
            f"-r {flag}: expected key=value with dots between keys, "
            "such as architecture.training.batch_size=16"
        )
    path = tuple(int(part) if part.isdigit() else part for part in parts)
    return path, load_yaml(text, f"-r {flag}")


def _override(options: dict[str, Any], flag: str) -> KeyPath:
    """Set one value; returns its path with the keys as the options have them.

    Missing mappings are made. A mapping is merged into a mapping, but replaces an item of a list.
    """
    (*above, last), value = parse_flag(flag)
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
