"""One data set of the options file, as a whole or in chunks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mt_shared.data.dataset import Dataset
from mt_shared.data.indices import FrameNumbers, read_frame_numbers
from mt_shared.data.readers.dataset_files import DatasetFiles
from mt_shared.data.readers.keyed_piece import ALL_FRAMES
from mt_shared.data.readers.label_requests import StructurePiece
from mt_shared.data.readers.labels import LabelBuilder
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
    if indices is None or (np.diff(indices.frames) > 0).all():
        # In the order of the file, chunks are cut where it is: one with nothing chosen is skipped.
        yield from (dataset for dataset in _read(spec, indices, size) if len(dataset))
        return
    (whole,) = _read(spec, indices, ALL_FRAMES)
    for first in range(0, len(whole), size):
        yield whole.subset(np.arange(first, min(first + size, len(whole))))


def _indices(spec: DatasetSpec) -> FrameNumbers | None:
    if spec.indices is None:
        return None
    return read_frame_numbers(spec.indices, f"indices of {Path(spec.systems.read_from).name}")


def _read(spec: DatasetSpec, indices: FrameNumbers | None, size: int) -> Iterator[Dataset]:
    """The chosen structures of each ``size`` frames of the file, be they none."""
    files = DatasetFiles(spec, size)
    for keyed in files.pieces():
        num_structures = keyed.structures.num_systems
        first = files.num_frames - num_structures
        is_whole = first == 0 and num_structures < size
        rows = np.arange(num_structures)
        if indices is not None:
            # Only of the whole file is it known how many frames there are; of pieces, at the end.
            if is_whole:
                indices.check_range(num_structures)
            rows = indices.frames - first
            rows = rows[(rows >= 0) & (rows < num_structures)]
        piece = StructurePiece(keyed.source, keyed.structures, rows, first, is_whole)
        yield _dataset(spec, files, piece)
    if indices is not None:
        indices.check_range(files.num_frames)


def _dataset(spec: DatasetSpec, files: DatasetFiles, piece: StructurePiece) -> Dataset:
    # Before the labels: a broken structure is the cause, and its labels at most a consequence.
    check_structures(piece.chosen, piece.source, piece.frames)
    builder = LabelBuilder(piece, files.find, length_unit=spec.systems.length_unit)
    labels = {target.name: builder.build(target) for target in spec.targets}
    extra = {each.name: builder.build(each, is_input=True) for each in spec.extra_data}
    notes = tuple(builder.notes)
    if not spec.systems.length_unit:
        note = "no length_unit is given (systems.length_unit); users of the model cannot convert"
        notes = (f"{spec.systems.read_from}: {note} lengths", *notes)
    return Dataset(
        structures=piece.chosen,
        labels=labels,
        frames=piece.frames,
        source=piece.source,
        extra=extra,
        status={key: status for key, status in builder.status.items() if key[0] in labels},
        unused_keys=files.unused_keys(),
        notes=notes,
        lost=tuple(builder.lost),
        length_unit=spec.systems.length_unit,
    )
