"""The labels of targets: gaps are refused or counted, and a user is told what is odd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.dataset import (
    FOUND,
    MISSING,
    NOT_FINITE,
    Status,
    TargetLabels,
    finite_per_system,
)
from mt_shared.data.frame_errors import frame_error
from mt_shared.data.readers.label_requests import (
    LabelFile,
    LabelRequest,
    StructurePiece,
    requests_of,
)
from mt_shared.options import TargetSpec

# Relative difference of a stress from its transpose that rounding in a file does not explain.
SYMMETRY_TOLERANCE = 1e-6


@dataclass
class LabelBuilder:
    """Makes the labels of the chosen structures of a piece.

    :param find: gives the file that a label is read from, at the same frames
    :param status: of each label by target and part, filled as labels are built
    :param notes: what a user should be told, likewise
    """

    piece: StructurePiece
    find: Callable[[LabelRequest], LabelFile]
    status: Status = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def build(self, target: TargetSpec) -> TargetLabels:
        """Values and gradients of one target."""
        values, *gradients = requests_of(target)
        array = self._read(values)
        assert array is not None, "the options ask for the values of each target"
        labels = TargetLabels(array, sample_kind=target.sample_kind, unit=target.unit)
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
        self.notes += block.notes
        found = block.found[piece.rows]
        # what cannot be there is not missing, even where the options ask for it
        excused = np.zeros_like(found) if block.impossible is None else block.impossible[piece.rows]
        if not found.any() and ((excused.any() and excused.all()) or not request.required):
            return None
        if not request.required:
            lacking = piece.frames[~found]
            if len(lacking):
                self.notes.append(
                    f"{file.source}: {piece.share(len(lacking))} lack the {request.name}, "
                    f"frame {lacking[0]} for one; the others have it, and it is used there"
                )

        rows = piece.structures.atom_indices(piece.rows) if request.per_atom else piece.rows
        values = block.values[rows]
        finite = finite_per_system(values, piece.chosen if request.per_atom else None)
        if not request.target.allow_missing:
            if request.required:
                self._refuse_missing(request, file, found | excused)
            self._refuse_not_finite(request, file, values, found & ~finite)
        status = np.where(found, np.where(finite, FOUND, NOT_FINITE), MISSING)
        self.status[request.target.name, request.part] = status
        values = np.where(np.isfinite(values), values, np.nan)
        return self._symmetric(request, file.source, values) if request.part == "strain" else values

    def _refuse_missing(
        self, request: LabelRequest, file: LabelFile, found: NDArray[np.bool_]
    ) -> None:
        """Refuse the first chosen structure whose label is neither found nor excused."""
        lacking = self.piece.rows[~found]
        if not len(lacking):
            return
        what = f"'{request.key}' of target '{request.name}' is missing"
        what += f" ({self.piece.share(len(lacking))} lack it)"
        what += file.hint(request.key, lacking[0])
        todo = "name the right key, or set allow_missing: true for this target"
        raise frame_error(file.source, lacking[0] + self.piece.first_frame, what, todo)

    def _refuse_not_finite(
        self,
        request: LabelRequest,
        file: LabelFile,
        values: NDArray[np.float64],
        bad: NDArray[np.bool_],
    ) -> None:
        """Refuse the first chosen structure whose label is NaN or infinite.

        :param values: (S, ...) or (A, ...) labels of the chosen structures
        :param bad: (S,) which of them have a number that is not finite
        """
        systems = np.flatnonzero(bad)
        if not len(systems):
            return
        where = ""
        if request.per_atom:
            start, stop = self.piece.chosen.offsets[systems[0] : systems[0] + 2]
            rows = values[start:stop].reshape(stop - start, -1)
            where = f" at atom {np.flatnonzero(~np.isfinite(rows).all(axis=1))[0]}"
        what = f"'{request.key}' of target '{request.name}' is NaN or infinite{where}"
        what += f" ({self.piece.share(len(systems))} have such a label)"
        todo = "remove these frames, or set allow_missing: true for this target"
        raise frame_error(file.source, self.piece.frames[systems[0]], what, todo)

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
