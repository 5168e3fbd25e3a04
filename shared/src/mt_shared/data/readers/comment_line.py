"""The comment line of extended xyz: ``key=value`` pairs, with the meaning that ASE gives them."""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A word without quotes; a value is one, or anything in quotes, braces or brackets that neither
# nests nor has escapes; a key without a value is a flag.
_BARE = r"[^\s=\"'{}\[\]\\]+"
_VALUE = rf"{_BARE}|\"[^\"\\]*\"|'[^'\\]*'|{{[^}}\\]*}}|\[[^\]\\]*\]"
_PAIR = re.compile(rf"({_BARE})(?:=({_VALUE}))?(?:\s+|$)")
_QUOTES = frozenset("\"'{[")
_NUMBER_SEPARATOR = re.compile(r"[\s,]+")

_PBC_FLAGS = dict.fromkeys(("T", "True", "true", "TRUE"), True)
_PBC_FLAGS |= dict.fromkeys(("F", "False", "false", "FALSE"), False)

# What describes a structure, by what it may be called in vain: ASE's objects call a Lattice cell.
_DESCRIBES = {"lattice": "Lattice", "cell": "Lattice", "pbc": "pbc", "properties": "Properties"}
_PROPERTIES = re.compile(r"\w+:[RISL]:\d+(:\w+:[RISL]:\d+)*")


def parse_comment(line: str) -> dict[str, Any]:
    """Keys with their values: mostly text, see :func:`numbers_of`.

    Escapes, nested brackets and spaces about ``=`` are rare; lines with these go to ASE, whose
    reading of them is the definition.

    :raises ValueError: if ASE cannot make sense of the line
    """
    line = line.strip()
    pairs = {}
    position = 0
    for match in _PAIR.finditer(line):
        # A gap between two pairs is what this pattern does not know.
        if match.start() != position:
            break
        position = match.end()
        key, value = match.groups("T")
        pairs[key] = value[1:-1] if value[0] in _QUOTES else value
    if position == len(line):
        return pairs
    from ase.io.extxyz import key_val_str_to_dict

    return key_val_str_to_dict(line)


def numbers_of(value: Any) -> NDArray[np.float64] | None:
    """The numbers that a value of the comment line is: () one, (n,) a list; None: no number."""
    if not isinstance(value, str):
        return numbers_of_object(value)
    if value.startswith("_JSON "):  # how ASE writes nested lists and dictionaries
        try:
            return numbers_of_object(json.loads(value.removeprefix("_JSON ")))
        except json.JSONDecodeError:
            return None
    try:
        numbers = np.array([float(word) for word in _NUMBER_SEPARATOR.split(value) if word])
    except ValueError:
        return None
    return numbers[0:1].reshape(()) if len(numbers) == 1 else numbers


def numbers_of_object(value: Any) -> NDArray[np.float64] | None:
    """The numbers that an object of Python is, None if it is something else."""
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None


def looks_like_label(value: Any) -> bool:
    """Whether the value holds real numbers: whole ones are mostly counters and settings."""
    numbers = numbers_of(value)
    if numbers is None or numbers.size == 0:
        return False
    if isinstance(value, str):
        return "." in value or "e" in value.lower()
    return np.asarray(value).dtype.kind == "f"


def misnamed_pair(pairs: Mapping[str, Any], needs_cell: bool) -> tuple[str, str] | None:
    """A key that is meant to describe the structure and does not, and what it should be called.

    What only has such a name, and no value that fits, is a label or a remark of the user's.

    :param pairs: of a comment line, without ``Properties``
    :param needs_cell: whether a cell that is not there would mean anything
    """
    for key, value in pairs.items():
        meant = _DESCRIBES.get(key.casefold())
        if meant is None or meant in pairs:
            continue
        numbers = numbers_of(value)
        # a cell as three lengths, six parameters or three vectors
        is_cell = numbers is not None and numbers.size in (3, 6, 9)
        fits = {
            "Lattice": is_cell and needs_cell,
            "pbc": numbers is None or numbers.size == 3,
            "Properties": _PROPERTIES.fullmatch(str(value)) is not None,
        }
        if fits[meant]:
            return key, meant
    return None


def lattice_of(value: Any) -> NDArray[np.float64]:
    """(3, 3) cell, one vector a row; a ValueError if these are not nine numbers."""
    numbers = numbers_of(value)
    if numbers is None or numbers.size != 9:
        raise ValueError(f"expected nine numbers in Lattice, found '{value}'")
    # ASE, which parsed the line if this is no text, keeps the transposed matrix.
    return numbers.reshape(3, 3) if isinstance(value, str) else numbers.reshape(3, 3).T


def pbc_of(value: Any) -> tuple[bool, bool, bool]:
    """One flag a direction; a ValueError if these are not one or three flags."""
    words = value.replace(",", " ").split() if isinstance(value, str) else np.ravel(value).tolist()
    flags = [_PBC_FLAGS.get(str(word)) for word in words]
    flags = flags * 3 if len(flags) == 1 else flags
    if len(flags) != 3 or None in flags:
        # ASE takes 1 and 0 as well.
        flags = [{"1": True, "0": False}.get(str(word)) for word in words]
    if len(flags) != 3 or None in flags:
        raise ValueError(f"expected three of T and F in pbc, found '{value}'")
    return bool(flags[0]), bool(flags[1]), bool(flags[2])
