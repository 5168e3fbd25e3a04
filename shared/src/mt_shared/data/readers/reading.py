"""One data set of the options file, as a whole or in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.dataset import Dataset
from mt_shared.data.indices import FrameNumbers, read_frame_numbers
from mt_shared.data.readers.columns import ALL_FRAMES, Frames
from mt_shared.data.readers.dataset_files import DatasetFiles
from mt_shared.data.readers.labels import LabelBuilder
from mt_shared.data.readers.selection import Selection
from mt_shared.data.structures import check_structures
from mt_shared.options import DatasetSpec


def read_dataset(spec: DatasetSpec) -> Dataset:
    """Structures, labels and extra data, of all frames or of those that ``indices`` names.

    Labels may come from other files than the structures, with the same frames in the same order.

    :raises DataError: for anything missing or wrong, with its file and frame
    """
    (dataset,) = _read(spec, _indices(spec), ALL_FRAMES)
    return dataset


def read_chunks(spec: DatasetSpec, size: int) -> Iterator[Dataset]:
    """What :func:`read_dataset` gives, at most ``size`` structures at a time.

    Memory does not grow with the number of structures, but for labels in files of metatensor,
    which are read whole, and for ``indices`` that do not ascend: then all structures are.
    Each chunk speaks for itself: it has the gradients, notes and unused keys of its own frames.

    :raises DataError: when its frame is reached, or at the end if the files do not fit together
    """
    assert size >= 1, "a chunk holds at least one structure"
    indices = _indices(spec)
    if indices is None or indices.in_order:
        yield from (dataset for dataset in _read(spec, indices, size) if len(dataset))
        return
    (whole,) = _read(spec, indices, ALL_FRAMES)
    for start in range(0, len(whole), size):
        yield whole.subset(np.arange(start, min(start + size, len(whole))))


def _indices(spec: DatasetSpec) -> FrameNumbers | None:
    if spec.indices is None:
        return None
    return read_frame_numbers(spec.indices, f"indices of {Path(spec.systems.read_from).name}")


def _read(spec: DatasetSpec, indices: FrameNumbers | None, size: int) -> Iterator[Dataset]:
    """The chosen frames of each ``size`` frames of the file, be they none."""
    files = DatasetFiles(spec, size)
    for piece in files.pieces():
        num_frames = piece.structures.num_systems
        first = files.num_frames - num_frames
        whole = first == 0 and num_frames < size
        if whole and indices is not None:
            indices.check_range(num_frames)
        yield _dataset(
            spec, files, piece, Selection(_rows(indices, first, num_frames), first, whole)
        )
    if indices is not None:
        indices.check_range(files.num_frames)


def _rows(indices: FrameNumbers | None, first: int, num_frames: int) -> NDArray[np.int64]:
    """The chosen ones among ``num_frames`` frames, counted from the ``first`` of them."""
    if indices is None:
        return np.arange(num_frames)
    rows = indices.frames - first
    return rows[(rows >= 0) & (rows < num_frames)]


def _dataset(spec: DatasetSpec, files: DatasetFiles, piece: Frames, chosen: Selection) -> Dataset:
    structures = piece.structures.subset(chosen.rows)
    check_structures(structures, piece.source, chosen.frames)

    builder = LabelBuilder(piece.source, piece.structures, chosen, files.find)
    labels = {target.name: builder.build(target) for target in spec.targets}
    extra = {target.name: builder.build(target) for target in spec.extra_data}
    names = {target.name for target in spec.targets}
    return Dataset(
        structures=structures,
        labels=labels,
        frames=chosen.frames,
        source=piece.source,
        extra=extra,
        status={key: status for key, status in builder.status.items() if key[0] in names},
        unused_keys=files.unused_keys(),
        notes=(*_unit_notes(spec), *builder.notes),
        length_unit=spec.systems.length_unit,
    )


def _unit_notes(spec: DatasetSpec) -> Iterator[str]:
    if not spec.systems.length_unit:
        yield (
            f"{spec.systems.read_from}: no length_unit is given (systems.length_unit); "
            "users of the model cannot convert lengths"
        )
