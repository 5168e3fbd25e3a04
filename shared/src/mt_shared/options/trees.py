"""Trees of plain values, as YAML files hold them: made plain, merged, and taken apart."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from mt_shared.errors import OptionsError
from mt_shared.options.faults import KeyPath


def plain(value: Any) -> Any:
    """The same values as a YAML file would give: text keys, lists, no paths or tuples.

    :raises OptionsError: a value that a YAML file cannot hold
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise OptionsError(
        f"options: found {value!r} of type {type(value).__name__}, expected plain values "
        "(text, numbers, booleans, None, lists, dictionaries)"
    )


def deep_merge(base: Any, top: Any) -> Any:
    """``top`` over ``base``: mappings key by key, everything else replaced; both stay as they are.

    Lists are replaced as a whole: nothing says which of their items belong together.
    """
    if not (isinstance(base, Mapping) and isinstance(top, Mapping)):
        return deepcopy(top)
    merged = deepcopy(dict(base))
    for key, value in top.items():
        merged[key] = deep_merge(base[key], value) if key in base else deepcopy(value)
    return merged


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
