"""What the options file says of a data set, parsed: plain values, no torch.

The options parser makes these, the readers consume them; every default is already resolved.

A gradient is named by a word of users, and models know it by another name:

=========== ============ =================================================
word        name         the label, by the derivative
=========== ============ =================================================
``forces``  positions    -dE/dr, (A, 3)
``stress``  strain       dE/d(strain) / volume, (S, 3, 3), in ASE's sign
``virial``  strain       -dE/d(strain), (S, 3, 3)
=========== ============ =================================================

A strain takes a position ``r`` to ``r + r strain``. Labels have the unit of :func:`gradient_unit`,
unless the options name another one, which readers convert.
"""

from dataclasses import dataclass
from typing import Any

GRADIENT_OF = {"forces": "positions", "stress": "strain", "virial": "strain"}
"""The derivative that a word stands for."""

WORD_OF = {"positions": "forces", "strain": "stress"}
"""The usual word for a derivative."""


def gradient_unit(word: str, unit: str, length_unit: str) -> str:
    """The unit of forces, stress or virial of an energy in ``unit``."""
    return unit + {"forces": f"/{length_unit}", "stress": f"/{length_unit}^3", "virial": ""}[word]


@dataclass(frozen=True)
class SystemsSpec:
    """Where the structures come from: a file, its reader (None: guessed) and its unit of length."""

    read_from: str
    reader: str | None = None
    length_unit: str | None = None


@dataclass(frozen=True)
class GradientSpec:
    """Where the gradient of a target comes from.

    ``kind`` is ``forces``, ``stress`` or ``virial``. With ``required=False`` the options do not
    ask for it: it is read where the file has it, since an energy usually comes with forces.
    ``unit`` is that of the numbers in the file, where it is another one than the energy and the
    lengths of the data set make.
    """

    kind: str
    key: str
    read_from: str
    reader: str | None = None
    required: bool = True
    unit: str = ""


@dataclass(frozen=True)
class TargetSpec:
    """One target of a data set, in the words of the options file."""

    name: str
    key: str
    read_from: str
    reader: str | None = None
    quantity: str = ""
    unit: str = ""
    sample_kind: str = "system"
    type: str | dict[str, Any] = "scalar"
    num_subtargets: int = 1
    description: str = ""
    gradients: tuple[GradientSpec, ...] = ()
    allow_missing: bool = False
    extensive: bool = True


@dataclass(frozen=True)
class DatasetSpec:
    """One data set: its structures, its targets, and which of its frames are meant (None: all)."""

    systems: SystemsSpec
    targets: tuple[TargetSpec, ...] = ()
    extra_data: tuple[TargetSpec, ...] = ()
    indices: tuple[int, ...] | str | None = None
