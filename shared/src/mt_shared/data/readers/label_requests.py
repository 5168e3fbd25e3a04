"""What the options ask of a file with labels, for which structures, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mt_shared.contract import TargetInfo
from mt_shared.data.dataset import VALUES
from mt_shared.data.readers.columns import ColumnSpec
from mt_shared.data.structures import Structures
from mt_shared.data.targets import target_info
from mt_shared.options import GRADIENT_OF, GradientSpec, TargetSpec


@dataclass(frozen=True)
class StructurePiece:
    """Consecutive structures of a file, of which ``indices`` of the options may choose some.

    :param source: name of the file
    :param structures: all structures of the piece
    :param rows: (S,) the chosen ones, counted within the piece
    :param first_frame: number in the file of the piece's first structure
    :param is_whole: whether the piece is the whole file
    """

    source: str
    structures: Structures
    rows: NDArray[np.int64]
    first_frame: int
    is_whole: bool

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
class LabelRequest:
    """The values of a target, or one of its gradients.

    :param kind: ``values``, or what the file has of a gradient: forces, stress or virial
    :param required: False for what is read only where the file has it
    """

    target: TargetSpec
    kind: str
    key: str
    spec: TargetSpec | GradientSpec
    required: bool = True

    @property
    def name(self) -> str:
        """What errors call the label: the target, and the word of the gradient."""
        return self.target.name if self.kind == VALUES else f"{self.target.name} {self.kind}"

    @property
    def part(self) -> str:
        """``values``, ``positions`` or ``strain``."""
        return GRADIENT_OF.get(self.kind, VALUES)

    @property
    def per_atom(self) -> bool:
        return self.info.per_atom if self.kind == VALUES else self.part == "positions"

    @cached_property
    def info(self) -> TargetInfo:
        return target_info(self.target)

    @cached_property
    def column(self) -> ColumnSpec:
        """What to look for in a file that has its labels by key."""
        if self.part == "strain":
            return ColumnSpec(self.key, False, (3, 3), ((3, 3), (9,), (6,)))
        if self.part == "positions":
            return ColumnSpec(self.key, True, (3,), ((3,),))
        shape = (*self.info.type.components, self.info.num_subtargets)
        # One sub-target needs no dimension of its own, and any tensor may be a plain list.
        without_subtargets = (shape[:-1],) if shape[-1] == 1 else ()
        accepted = tuple(dict.fromkeys((*without_subtargets, shape, (prod(shape),))))
        return ColumnSpec(self.key, self.per_atom, shape, accepted)


def requests_of(target: TargetSpec) -> Iterator[LabelRequest]:
    """The values of a target, then its gradients."""
    yield LabelRequest(target, VALUES, target.key, target)
    for gradient in target.gradients:
        yield LabelRequest(target, gradient.kind, gradient.key, gradient, gradient.required)


@dataclass(frozen=True)
class LabelBlock:
    """Labels in the order of the structures, NaN where the file has none.

    Gradients are derivatives of the target, whatever the file has: dE/dr, dE/dstrain.

    :param found: (S,) whether the file has any label of the structure
    :param impossible: (S,) which structures cannot have the label; None: all can
    :param notes: what a user should be told
    """

    values: NDArray[np.float64]
    found: NDArray[np.bool_]
    impossible: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()


class LabelFile(Protocol):
    """A file with labels, or the piece of it that is in memory."""

    @property
    def source(self) -> str:
        """Name of the file."""

    def labels(self, request: LabelRequest, piece: StructurePiece) -> LabelBlock:
        """The label of all structures of a piece, which has the same frames as the file."""

    def hint(self, key: str, row: int) -> str:
        """What may help a user who does not find a key in a structure (its index)."""
