"""What engines can give to a model beside positions and types, as metatomic defines it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StandardInput:
    """An input that engines know: one number, or one vector, of each structure or atom.

    :param sample_kinds: ``system`` and ``atom``, of which it may be; the usual one first
    :param unit: in which ASE has it; models may ask for another one of the same dimension
    :param type: as in the options, ``scalar`` or a Cartesian tensor
    """

    sample_kinds: tuple[str, ...]
    unit: str
    type: str | dict[str, Any] = "scalar"


_VECTOR = {"cartesian": {"rank": 1}}

# a test asks ASE's calculator for them; https://docs.metatensor.org/metatomic/latest/outputs/
STANDARD_INPUTS = {
    "charge": StandardInput(("system", "atom"), "e"),
    "mass": StandardInput(("atom",), "u"),
    "momentum": StandardInput(("atom",), "(eV*u)^(1/2)", _VECTOR),
    "spin_multiplicity": StandardInput(("system",), ""),
    "velocity": StandardInput(("atom",), "(eV/u)^(1/2)", _VECTOR),
}
"""Every one, by the name that metatomic has for it."""


def input_name_schema() -> dict[str, Any]:
    """The JSON schema of the name of an input: one that engines know, or ``mtt::`` and any word."""
    known = ", ".join(STANDARD_INPUTS)
    return {
        "type": "string",
        "if": {"pattern": "^(?!::).+::."},
        "else": {
            "title": f"an input of engines ({known}) or a name of your own, such as 'mtt::x'",
            "enum": list(STANDARD_INPUTS),
        },
    }
