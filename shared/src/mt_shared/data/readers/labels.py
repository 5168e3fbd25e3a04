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
from mt_shared.data.readers.keyed_piece import OF_EACH
from mt_shared.data.readers.label_requests import LabelRequest, StructurePiece, requests_of
from mt_shared.data.structures import frame_error
from mt_shared.options import TargetSpec

# Relative difference of a stress from its transpose that rounding in a file does not explain.
SYMMETRY_TOLERANCE = 1e-6
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
    lost: list[str] = field(default_factory=list)  # see Dataset.lost
    length_unit: str | None = None

    def build(self, target: TargetSpec, is_input: bool = False) -> TargetLabels:
        """Values and gradients of one target, or the values of one input."""
        values, *gradients = requests_of(target, is_input, self.length_unit)
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
        if request.part == "strain":
            excused = self._without_strain(request, file.source, values, found)
            found = found & ~excused
            values = np.where(excused[:, None, None], np.nan, values)
        if not request.required:
            self._tell_lost(request, file, piece.rows[~found & ~excused])
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
                what += f" is {OF_EACH[place]} there, and {OF_EACH[wanted]} in the options"
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

    def _without_strain(
        self,
        request: LabelRequest,
        source: str,
        values: NDArray[np.float64],
        found: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Which structures (S,) have no stress, or no virial; a user is told.

        Some codes write a stress for each structure. Where there is no volume, one of NaN says
        nothing; numbers (zeros, mostly) would be taken for labels. In files of bulk and others NaN
        stands, or nothing at all, where no stress or virial is defined: it cannot be meant in bulk.
        """
        structures, frames = self.piece.chosen, self.piece.frames
        no_volume = np.isnan(structures.volumes)
        said_to_be_none = found & ~structures.pbc.all(axis=1) & np.isnan(values).all(axis=(1, 2))
        if request.kind == "virial":
            # a wrong key is no such file
            not_there = ~found & no_volume & found.any()
            without, unexpected = said_to_be_none | not_there, said_to_be_none | not_there
        else:
            without, unexpected = said_to_be_none | no_volume, said_to_be_none & ~no_volume
        nowhere = "periodic nowhere, or have no cell"
        notes = []
        not_used = frames[without & found & np.isfinite(values).any(axis=(1, 2))]
        if len(not_used):
            notes.append(
                f"the {request.name} of {len(not_used)} frames that are {nowhere}, is not used, "
                f"frame {not_used[0]} for one"
            )
        elif request.required and len(without) and no_volume.all() and without.all():
            notes.append(f"the frames are {nowhere}, and have no {request.name}")
        if unexpected.any():
            notes.append(
                f"{self.piece.share(int(unexpected.sum()))}, not periodic in all directions, have "
                f"NaN or nothing for the {request.name}, frame {frames[unexpected][0]} for one: it "
                "is taken as not defined there"
            )
        self.notes += [f"{source}: {note}" for note in notes]
        if notes or (request.required and without.any()):
            # of a label that is then left out altogether
            status = np.where(without, IMPOSSIBLE, MISSING)
            self.status[request.target.name, request.part] = status
        return without

    def _tell_lost(self, request: LabelRequest, file: LabelFile, rows: NDArray[np.int64]) -> None:
        """Say of a label that nobody has asked for that it seems to be there, and is not read."""
        where = file.misplaced(request.spec.key, rows.tolist(), request.per_atom)
        if where is not None:
            self.lost.append(
                f"{file.source}: the {request.name} are looked for as '{request.spec.key}', and "
                f"{where}: not used; name the key ({request.kind}: {{key: ...}}), mend the file, "
                f"or say {request.kind}: false"
            )

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
