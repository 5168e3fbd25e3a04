"""What the options ask of a file with labels, for which structures, and what it answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from mt_shared.contract import TargetInfo
from mt_shared.data.dataset import VALUES, target_info
from mt_shared.data.structures import Structures
from mt_shared.data.units import gradient_factor
from mt_shared.options import GRADIENT_OF, GradientSpec, TargetSpec

Shape = tuple[int, ...]


@dataclass(frozen=True)
class StructurePiece:
    """Consecutive structures of a file, of which ``indices`` of the options may choose some."""

    source: str  # name of the file
    structures: Structures  # all of the piece
    rows: NDArray[np.int64]  # (S,) the chosen ones, counted within the piece
    first_frame: int  # number in the file of the piece's first structure
    is_whole: bool  # whether the piece is the whole file

    @property
    def frames(self) -> NDArray[np.int64]:
        """(S,) numbers of the chosen structures in the file, the first is 0."""
        return self.rows + self.first_frame

    @cached_property
    def chosen(self) -> Structures:
        return self.structures.subset(self.rows)

    def share(self, count: int) -> str:
        """``count`` of the chosen frames, in words; a piece says which frames were counted."""
        frames = self.frames
        piece = "" if self.is_whole else f" from {frames.min()} to {frames.max()}"
        return f"{count} of {len(frames)} frames{piece}"


@dataclass(frozen=True)
class ColumnSpec:
    """A key that some label needs; the numbers of all other keys are not even parsed."""

    key: str
    per_atom: bool
    shape: Shape  # of the numbers of one row, as the label has them
    accepted: tuple[Shape, ...]  # in a file, the usual one first


@dataclass(frozen=True)
class LabelRequest:
    """The values of a target, or one of its gradients.

    :param length_unit: of the data set
    """

    target: TargetSpec
    kind: str  # "values", or what the file has of a gradient: forces, stress or virial
    spec: TargetSpec | GradientSpec
    required: bool = True  # False for what is read only where the file has it
    is_input: bool = False  # what models read, of which no structure may lack one
    length_unit: str | None = None

    @property
    def name(self) -> str:
        """What errors call the label: the target, and the word of the gradient."""
        return self.target.name if self.kind == VALUES else f"{self.target.name} {self.kind}"

    @property
    def role(self) -> str:
        """What errors call the target: one, or an input."""
        return "input" if self.is_input else "target"

    @property
    def part(self) -> str:
        """``values``, ``positions`` or ``strain``."""
        return GRADIENT_OF.get(self.kind, VALUES)

    @property
    def per_atom(self) -> bool:
        return self.info.per_atom if self.kind == VALUES else self.part == "positions"

    @cached_property
    def factor(self) -> float:
        """What turns the numbers of the file into the units of the data set."""
        if isinstance(self.spec, TargetSpec):
            return 1.0
        return gradient_factor(self.spec, self.target.unit, self.length_unit)

    @cached_property
    def info(self) -> TargetInfo:
        return target_info(self.target)

    @cached_property
    def column(self) -> ColumnSpec:
        """What to look for in a file that has its labels by key."""
        key = self.spec.key
        if self.part == "strain":
            return ColumnSpec(key, False, (3, 3), ((3, 3), (9,), (6,)))
        if self.part == "positions":
            return ColumnSpec(key, True, (3,), ((3,),))
        shape = (*self.info.type.components, self.info.num_subtargets)
        # One sub-target needs no dimension of its own, any tensor may be a plain list, and a list
        # of one number is that number.
        without_subtargets = (shape[:-1],) if shape[-1] == 1 else ()
        number = ((),) if prod(shape) == 1 else ()
        accepted = tuple(dict.fromkeys((*without_subtargets, shape, (prod(shape),), *number)))
        return ColumnSpec(key, self.per_atom, shape, accepted)


def requests_of(
    target: TargetSpec, is_input: bool = False, length_unit: str | None = None
) -> Iterator[LabelRequest]:
    """The values of a target or an input, then its gradients, which an input has none of."""
    yield LabelRequest(target, VALUES, target, is_input=is_input)
    for gradient in target.gradients:
        yield LabelRequest(
            target, gradient.kind, gradient, gradient.required, length_unit=length_unit
        )


@dataclass(frozen=True)
class LabelBlock:
    """Labels in the order of the structures, NaN where the file has none.

    Gradients are derivatives of the target, whatever the file has: dE/dr, dE/dstrain.
    """

    values: NDArray[np.float64]
    found: NDArray[np.bool_]  # (S,) whether the file has any label of the structure
