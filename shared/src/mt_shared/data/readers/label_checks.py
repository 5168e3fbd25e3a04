"""What is refused in the labels of a file; each error names file, frame, key and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.frame_errors import frame_error
from mt_shared.data.readers.columns import Column, Frames, Shape
from mt_shared.data.readers.metatensor_files import TensorMapFile
from mt_shared.data.readers.selection import Selection
from mt_shared.data.structures import Structures
from mt_shared.errors import did_you_mean

LabelFile = Frames | TensorMapFile

SAME_FRAMES = "structures and labels must be the same frames in the same order"


@dataclass(frozen=True)
class Label:
    """One label as errors name it: ``name`` is the target, with the kind of its gradient."""

    name: str
    key: str
    file: LabelFile
    per_atom: bool

    @property
    def source(self) -> str:
        return self.file.source


def check_same_atoms(label: Label, structures: Structures, source: str, first_frame: int) -> None:
    """Refuse labels of the atoms of other structures than these.

    :param structures: the same frames of the file ``source``, from ``first_frame`` on
    """
    assert isinstance(label.file, Frames)
    theirs, ours = label.file.structures.atoms_per_system, structures.atoms_per_system
    differ = np.flatnonzero(theirs != ours)
    if label.per_atom and len(differ):
        row = differ[0]
        what = f"it has {theirs[row]} atoms, and this frame of '{source}' has {ours[row]}"
        raise frame_error(label.source, row + first_frame, what, SAME_FRAMES)


def check_shapes(
    label: Label, column: Column, accepted: Sequence[Shape], chosen: Selection
) -> None:
    """Refuse the first chosen frame whose label has another shape."""
    # The last entry is for frames that lack the key, whose index is -1.
    fits = np.array([*(shape in accepted for shape in column.shapes), True])
    bad = chosen.rows[~fits[column.shape_index[chosen.rows]]]
    if not len(bad):
        return
    shape = column.shapes[column.shape_index[bad[0]]]
    found = "is no number" if shape is None else f"has {_describe(shape)}"
    expected = " or ".join(dict.fromkeys(map(_describe, accepted)))
    what = f"'{label.key}' of target '{label.name}' {found}, expected {expected}"
    what += " for each atom" if label.per_atom else ""
    todo = "check type and num_subtargets of the target, and the file"
    raise frame_error(label.source, bad[0] + chosen.first_frame, what, todo)


def _describe(shape: Shape) -> str:
    return f"the shape ({', '.join(map(str, shape))})" if shape else "one number"


def refuse_missing(label: Label, found: NDArray[np.bool_], chosen: Selection) -> None:
    """Refuse the first chosen frame (S,) in which the label is not ``found`` (S,)."""
    lacking = chosen.rows[~found]
    if not len(lacking):
        return
    what = f"'{label.key}' of target '{label.name}' is missing"
    what += f" ({chosen.share(len(lacking))} lack it)"
    todo = "name the right key, or set allow_missing: true for this target"
    if isinstance(label.file, Frames):
        layout = label.file.layout(lacking[0])
        what += f"{did_you_mean(label.key, layout.keys)}; the keys there are {layout}"
    raise frame_error(label.source, lacking[0] + chosen.first_frame, what, todo)


def refuse_not_finite(
    label: Label,
    values: NDArray[np.float64],
    bad: NDArray[np.bool_],
    chosen: Selection,
    structures: Structures,
) -> None:
    """Refuse the first chosen frame whose label is NaN or infinite.

    :param values: (S, ...) or (A, ...) labels of the chosen frames
    :param bad: (S,) which of them have a number that is not finite
    :param structures: the chosen structures
    """
    systems = np.flatnonzero(bad)
    if not len(systems):
        return
    where = ""
    if label.per_atom:
        start, stop = structures.offsets[systems[0] : systems[0] + 2]
        rows = values[start:stop].reshape(stop - start, -1)
        where = f" at atom {np.flatnonzero(~np.isfinite(rows).all(axis=1))[0]}"
    what = f"'{label.key}' of target '{label.name}' is NaN or infinite{where}"
    what += f" ({chosen.share(len(systems))} have such a label)"
    todo = "remove these frames, or set allow_missing: true for this target"
    raise frame_error(label.source, chosen.frames[systems[0]], what, todo)
