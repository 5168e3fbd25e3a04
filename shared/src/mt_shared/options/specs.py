"""What the options file says of a data set, parsed: plain values, no torch.

The options parser makes these, the readers consume them; every default is already resolved.
"""

from dataclasses import dataclass, field
from typing import Any


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
    """

    kind: str
    key: str
    read_from: str
    reader: str | None = None
    required: bool = True


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


@dataclass(frozen=True)
class DatasetSpec:
    """One data set: its structures, its targets, and which of its frames are meant (None: all)."""

    systems: SystemsSpec
    targets: tuple[TargetSpec, ...] = ()
    extra_data: tuple[TargetSpec, ...] = ()
    indices: tuple[int, ...] | str | None = field(default=None)
