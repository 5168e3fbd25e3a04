"""Hypers that are lengths: ``"unit": "length"`` in the schema of an architecture.

Their defaults are in angstrom, and are converted to the unit of length of the data; what a user
writes is in that unit already.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from mt_shared.options.faults import KeyPath
from mt_shared.options.schemas import Schema, SchemaSet

# As metatomic has them, which would bring torch along; a test compares. In lower case: capitals do
# not matter.
LENGTH_UNITS = {
    "a": 1.0,
    "angstrom": 1.0,
    "bohr": 0.5291772105448199,
    "nm": 10.0,
    "nanometer": 10.0,
    "um": 1e4,
    "\N{MICRO SIGN}m": 1e4,
    "micrometer": 1e4,
    "mm": 1e7,
    "millimeter": 1e7,
    "cm": 1e8,
    "centimeter": 1e8,
    "m": 1e10,
    "meter": 1e10,
}
"""Every unit of length that data may be in, in angstrom."""


def find_lengths(
    hypers: Mapping[str, Any], schema: Schema, referenced: Mapping[str, Schema]
) -> list[KeyPath]:
    """The hypers that are lengths, among those that have a number or a list of numbers."""
    schemas = SchemaSet(schema, referenced)
    return list(_lengths(hypers, schemas.root, schemas))


def _lengths(value: Any, schema: Schema, schemas: SchemaSet) -> Iterator[KeyPath]:
    """Below a value, and it itself as the empty path."""
    if isinstance(value, Mapping):
        whole = schemas.whole(schema)
        for key, below in value.items():
            for path in _lengths(below, schemas.below(whole, key), schemas):
                yield (key, *path)
    elif (_is_number(value) or isinstance(value, list)) and any(
        case.get("unit") == "length" for case in schemas.cases(schema)
    ):
        yield ()


def in_length_unit(
    hypers: Mapping[str, Any], lengths: list[KeyPath], length_unit: str
) -> dict[str, Any]:
    """The hypers with these lengths, which are in angstrom, in another unit."""
    converted = deepcopy(dict(hypers))
    factor = 1 / LENGTH_UNITS[length_unit.lower()]
    if factor == 1:
        return converted
    for *above, last in lengths:
        section: Any = converted
        for part in above:
            section = section[part]
        value = section[last]
        numbers = [
            _rounded(each * factor) for each in (value if isinstance(value, list) else [value])
        ]
        section[last] = numbers if isinstance(value, list) else numbers[0]
    return converted


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rounded(length: float) -> float:
    """To be read by people, and closer than any model can feel."""
    return float(f"{length:.10g}")
