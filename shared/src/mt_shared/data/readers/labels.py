"""From the columns of files to the labels of targets.

Letters of shapes: A atoms, P sub-targets, S structures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from mt_shared.contract import target_type_from_dict
from mt_shared.data.dataset import (
    FOUND,
    MISSING,
    NOT_FINITE,
    VALUES,
    Status,
    TargetLabels,
    finite_per_system,
)
from mt_shared.data.frame_errors import frame_error
from mt_shared.data.readers.columns import Frames, Shape
from mt_shared.data.readers.label_checks import (
    Label,
    LabelFile,
    check_same_atoms,
    check_shapes,
    refuse_missing,
    refuse_not_finite,
)
from mt_shared.data.readers.metatensor_files import Block, TensorMapFile
from mt_shared.data.readers.selection import Selection
from mt_shared.data.structures import MIN_CELL_VOLUME, Structures
from mt_shared.options import GradientSpec, TargetSpec

# Relative difference of a stress from its transpose that rounding in a file does not explain.
SYMMETRY_TOLERANCE = 1e-6

PART_OF_KIND = {"forces": "positions", "stress": "strain", "virial": "strain"}

# Where the six numbers of Voigt's notation (xx, yy, zz, yz, xz, xy) are in the matrix.
_VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


@dataclass
class LabelBuilder:
    """Makes the labels of the chosen frames, and notes what a user should be told.

    :param source: name of the file of structures
    :param structures: all structures of that file, or of a piece of it
    :param chosen: the frames that are meant
    :param find: gives what a target or a gradient is read from: the same frames of its file
    """

    source: str
    structures: Structures
    chosen: Selection
    find: Callable[[TargetSpec | GradientSpec], LabelFile]
    status: Status = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._atoms = self.structures.atom_indices(self.chosen.rows)
        self._chosen_structures = self.structures.subset(self.chosen.rows)

    def build(self, target: TargetSpec) -> TargetLabels:
        """Values and gradients of one target."""
        values = self._values(target)
        gradients: dict[str, NDArray[np.float64]] = {}
        kinds: dict[str, str] = {}
        for gradient in target.gradients:
            part = PART_OF_KIND[gradient.kind]
            array = None if part in gradients else self._gradient(target, gradient)
            if array is not None:
                gradients[part], kinds[part] = array, gradient.kind
        return TargetLabels(values, gradients, target.sample_kind, target.unit, kinds)

    def _values(self, target: TargetSpec) -> NDArray[np.float64]:
        target_type = target_type_from_dict(target.type)
        shape = (*target_type.components, target.num_subtargets)
        file = self.find(target)
        label = Label(target.name, target.key, file, target.sample_kind == "atom")
        if isinstance(file, TensorMapFile):
            piece = file.piece(self.structures, self.chosen)
            block = piece.values(target_type, label.per_atom, shape[-1])
        else:
            block = self._keyed_block(label, shape, accepted_shapes(shape))
        return self._checked(label, (target.name, VALUES), block, target.allow_missing)

    def _gradient(self, target: TargetSpec, gradient: GradientSpec) -> NDArray[np.float64] | None:
        """dE/dr or dE/dstrain; None if no frame has it and the options do not insist."""
        part = PART_OF_KIND[gradient.kind]
        file = self.find(gradient)
        label = Label(f"{target.name} {gradient.kind}", gradient.key, file, part == "positions")
        if isinstance(file, TensorMapFile):
            block = file.piece(self.structures, self.chosen).gradient(part)
        elif gradient.kind == "forces":
            block = self._keyed_block(label, (3,), ((3,),))
            block = Block(-block.values, block.found)
        else:
            block = self._keyed_strain(label, gradient)
        if not gradient.required:
            found = block.found[self.chosen.rows]
            if not found.any():
                return None
            self._note_partly_missing(label, found)
        array = self._checked(
            label, (target.name, part), block, target.allow_missing, gradient.required
        )
        return self._symmetric(label, array) if part == "strain" else array

    def _keyed_block(self, label: Label, shape: Shape, accepted: tuple[Shape, ...]) -> Block:
        """Numbers (S, shape) or (A, shape) of a key."""
        assert isinstance(label.file, Frames)
        check_same_atoms(label, self.structures, self.source, self.chosen.first_frame)
        column = label.file.column(label.key, label.per_atom)
        check_shapes(label, column, accepted, self.chosen)
        return Block(column.dense(shape, accepted), column.found)

    def _keyed_strain(self, label: Label, gradient: GradientSpec) -> Block:
        """dE/dstrain (S, 3, 3): minus the virial, or the stress times the volume."""
        assert isinstance(label.file, Frames)
        check_same_atoms(label, self.structures, self.source, self.chosen.first_frame)
        column = label.file.column(label.key, per_atom=False)
        accepted = ((3, 3), (9,), (6,))
        check_shapes(label, column, accepted, self.chosen)
        block = Block(column.dense((3, 3), accepted, _matrices), column.found)
        if gradient.kind == "virial":
            return Block(-block.values, block.found)
        return self._times_volume(label, block, gradient.required)

    def _times_volume(self, label: Label, stress: Block, required: bool) -> Block:
        volumes = self.structures.volumes
        # The stress of a structure without a cell may be there if it is NaN: it says nothing.
        useless = stress.found & (volumes < MIN_CELL_VOLUME)
        wrong = useless & np.isfinite(stress.values).any(axis=(1, 2))
        bad = self.chosen.frames[wrong[self.chosen.rows]]
        if len(bad) and required:
            what = f"target '{label.name}' has a value, and the structure has no cell"
            todo = "give a cell (Lattice), or read the virial (virial: instead of stress:)"
            raise frame_error(self.source, bad[0], what, todo)
        if len(bad):
            self.notes.append(
                f"{label.source}: the {label.name} of {len(bad)} frames without a cell is not "
                f"used, frame {bad[0]} for one"
            )
        found = stress.found if required else stress.found & ~useless
        values = np.where(found[:, None, None], stress.values * volumes[:, None, None], np.nan)
        return Block(values, found)

    def _checked(
        self,
        label: Label,
        part: tuple[str, str],
        block: Block,
        allow_missing: bool,
        required: bool = True,
    ) -> NDArray[np.float64]:
        """The chosen frames' labels; counts gaps, and refuses them unless they are allowed."""
        values = block.values[self._atoms if label.per_atom else self.chosen.rows]
        found = block.found[self.chosen.rows]
        finite = finite_per_system(values, self._chosen_structures if label.per_atom else None)
        if required and not allow_missing:
            refuse_missing(label, found, self.chosen)
        if not allow_missing:
            refuse_not_finite(label, values, found & ~finite, self.chosen, self._chosen_structures)
        self.status[part] = np.where(found, np.where(finite, FOUND, NOT_FINITE), MISSING)
        return np.where(np.isfinite(values), values, np.nan)

    def _note_partly_missing(self, label: Label, found: NDArray[np.bool_]) -> None:
        lacking = self.chosen.frames[~found]
        if len(lacking):
            self.notes.append(
                f"{label.source}: {self.chosen.share(len(lacking))} lack the {label.name}, "
                f"frame {lacking[0]} for one; the others have it, and it is used there"
            )

    def _symmetric(self, label: Label, strain: NDArray[np.float64]) -> NDArray[np.float64]:
        """The symmetric part; rotational invariance of the energy forbids any other."""
        transposed = strain.transpose(0, 2, 1)
        difference = np.abs(strain - transposed).max(axis=(1, 2))
        scale = np.abs(strain).max(axis=(1, 2))
        bad = np.flatnonzero(difference > SYMMETRY_TOLERANCE * scale)
        if len(bad):
            relative = difference[bad] / scale[bad]
            worst = self.chosen.frames[bad[relative.argmax()]]
            self.notes.append(
                f"{label.source}: the {label.name} of {len(bad)} frames is not symmetric, most so "
                f"in frame {worst} (by {relative.max():.1e} of its largest entry); the symmetric "
                "part is used"
            )
        return (strain + transposed) / 2


def accepted_shapes(shape: Shape) -> tuple[Shape, ...]:
    """Shapes in a file that stand for ``shape`` (components, sub-targets), the usual one first."""
    without_subtargets = (shape[:-1],) if shape[-1] == 1 else ()
    return tuple(dict.fromkeys((*without_subtargets, shape, (prod(shape),))))


def _matrices(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3, 3) of (n, 6) in Voigt's order, (n, 9) or (n, 3, 3)."""
    return values[:, _VOIGT] if values.shape[1:] == (6,) else values.reshape(-1, 3, 3)
