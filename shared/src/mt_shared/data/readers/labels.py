"""The labels of targets: gaps are refused or counted, and a user is told what is odd."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.dataset import (
    FOUND,
    IMPOSSIBLE,
    MISSING,
    NOT_FINITE,
    VALUES,
    Status,
    TargetLabels,
    finite_per_system,
)
from mt_shared.data.readers.dataset_files import LabelFile
from mt_shared.data.readers.label_requests import LabelRequest, StructurePiece, requests_of
from mt_shared.data.structures import frame_error
from mt_shared.options import TargetSpec

# Relative difference of a stress from its transpose that rounding in a file does not explain.
SYMMETRY_TOLERANCE = 1e-6
_OF_EACH = {"system": "of the structure", "atom": "of each atom"}
# What else a user can do about a gap, or why nothing.
_OTHERWISE = {
    "target": ", or set allow_missing: true for this target",
    "input": ": a model reads an input of every structure",
}


@dataclass
class LabelBuilder:
    """Makes the labels of the chosen structures of a piece; fills status and notes meanwhile."""

    piece: StructurePiece
    find: Callable[[LabelRequest], LabelFile]  # what a label is read from, at the same frames
    status: Status = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what a user should be told

    def build(self, target: TargetSpec, is_input: bool = False) -> TargetLabels:
        """Values and gradients of one target, or the values of one input."""
        values, *gradients = requests_of(target, is_input)
        array = self._read(values)
        assert array is not None, "the options ask for the values of each target and input"
        labels = TargetLabels(
            array,
            sample_kind=target.sample_kind,
            unit=target.unit,
            type=values.info.type,
            quantity=target.quantity,
        )
        for request in gradients:
            # A stress and a virial are one label: the first that the file has counts.
            array = None if request.part in labels.gradients else self._read(request)
            if array is not None:
                labels.gradients[request.part] = array
                labels.gradient_kinds[request.part] = request.kind
        return labels

    def _read(self, request: LabelRequest) -> NDArray[np.float64] | None:
        """The chosen structures' labels; None if none has it and the options do not insist."""
        piece, file = self.piece, self.find(request)
        block = file.labels(request, piece)
        found = block.found[piece.rows]
        rows = piece.structures.atom_indices(piece.rows) if request.per_atom else piece.rows
        values = block.values[rows]
        # What cannot be there is not missing, even where the options ask for it.
        excused = np.zeros_like(found)
        if request.kind == "stress":
            excused = np.isnan(piece.chosen.volumes)
            left_out = self._leave_out_stress(request, file.source, values, found, excused)
            if left_out:
                self.status[request.target.name, request.part] = np.where(
                    excused, IMPOSSIBLE, MISSING
                )
            found = found & ~excused
            values = np.where(excused[:, None, None], np.nan, values)
        if not found.any() and (not request.required or (len(found) and excused.all())):
            return None
        what = f"'{request.spec.key}' of {request.role} '{request.name}'"
        strict = not request.target.allow_missing
        lacking = piece.rows[~found & ~excused]
        if len(lacking) and not request.required:
            self.notes.append(
                f"{file.source}: {piece.share(len(lacking))} lack the {request.name}, "
                f"frame {lacking[0] + piece.first_frame} for one; the others have it, and it is "
                "used there"
            )
        elif len(lacking) and strict:
            place = file.place(request.spec.key, lacking[0])
            wanted = "atom" if request.per_atom else "system"
            if place not in (None, wanted):
                what += f" is {_OF_EACH[place]} there, and {_OF_EACH[wanted]} in the options"
                is_value = request.kind == VALUES
                todo = f"write sample_kind: {place}" if is_value else "name the right key"
                raise frame_error(file.source, lacking[0] + piece.first_frame, what, todo)
            what += f" is missing ({piece.share(len(lacking))} lack it)"
            what += file.hint(request.spec.key, lacking[0])
            todo = f"name the right key{_OTHERWISE[request.role]}"
            raise frame_error(file.source, lacking[0] + piece.first_frame, what, todo)

        finite = finite_per_system(values, piece.chosen if request.per_atom else None)
        systems = np.flatnonzero(found & ~finite)
        if len(systems) and strict:
            what += " is NaN or infinite"
            if request.per_atom:
                start, stop = piece.chosen.offsets[systems[0] : systems[0] + 2]
                atoms = values[start:stop].reshape(stop - start, -1)
                what += f" at atom {np.flatnonzero(~np.isfinite(atoms).all(axis=1))[0]}"
            what += f" ({piece.share(len(systems))} have such a label)"
            todo = f"remove these frames{_OTHERWISE[request.role]}"
            raise frame_error(file.source, piece.frames[systems[0]], what, todo)
        status = np.where(found, np.where(finite, FOUND, NOT_FINITE), MISSING)
        status[excused] = IMPOSSIBLE
        self.status[request.target.name, request.part] = status
        values = np.where(np.isfinite(values), values, np.nan)
        return self._symmetric(request, file.source, values) if request.part == "strain" else values

    def _leave_out_stress(
        self,
        request: LabelRequest,
        source: str,
        values: NDArray[np.float64],
        found: NDArray[np.bool_],
        excused: NDArray[np.bool_],
    ) -> bool:
        """Whether a stress is left out, or asked for, where there is no volume; a user is told.

        Some codes write a stress for each structure. Where there is no volume, one of NaN says
        nothing; numbers (zeros, mostly) would be taken for labels.
        """
        nowhere = "periodic nowhere, or have no cell"
        frames = self.piece.frames[found & excused & np.isfinite(values).any(axis=(1, 2))]
        if len(frames):
            self.notes.append(
                f"{source}: the {request.name} of {len(frames)} frames that are {nowhere}, is not "
                f"used, frame {frames[0]} for one"
            )
        elif request.required and len(excused) and excused.all():
            self.notes.append(f"{source}: the frames are {nowhere}, and have no {request.name}")
        return len(frames) > 0 or (request.required and bool(excused.any()))

    def _symmetric(
        self, request: LabelRequest, source: str, strain: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The symmetric part; rotational invariance of the energy forbids any other."""
        transposed = strain.transpose(0, 2, 1)
        difference = np.abs(strain - transposed).max(axis=(1, 2))
        scale = np.abs(strain).max(axis=(1, 2))
        # A product, no quotient: zeros have no relative difference. NaN is larger than nothing.
        bad = np.flatnonzero(difference > SYMMETRY_TOLERANCE * scale)
        if len(bad):
            relative = difference[bad] / scale[bad]
            worst = self.piece.frames[bad[relative.argmax()]]
            self.notes.append(
                f"{source}: the {request.name} of {len(bad)} frames is not symmetric, most so "
                f"in frame {worst} (by {relative.max():.1e} of its largest entry); the symmetric "
                "part is used"
            )
        return (strain + transposed) / 2
