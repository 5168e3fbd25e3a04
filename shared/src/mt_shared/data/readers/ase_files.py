"""Everything that ASE reads: trajectories, databases, outputs of codes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mt_shared.data.frame_errors import frame_error
from mt_shared.data.readers.columns import (
    ALL_FRAMES,
    RESULTS_PER_ATOM,
    STRUCTURE_KEYS,
    Frames,
    FramesBuilder,
    Layout,
    Wanted,
)
from mt_shared.data.readers.comment_line import looks_like_label
from mt_shared.errors import DataError

# Frames whose ``Atoms`` objects are in memory together.
CHUNK_FRAMES = 1000


def read_with_ase(
    path: Path, wanted: Wanted, size: int = ALL_FRAMES, first_frame: int = 0
) -> Iterator[Frames]:
    """Pieces of ``size`` frames, with the numbers of the wanted keys.

    :param first_frame: where to begin, for a file whose first part another reader took
    :raises DataError: if ASE cannot read the file
    """
    builder = FramesBuilder(path.name)
    images = _images(path, first_frame)
    while chunk := list(islice(images, min(CHUNK_FRAMES, size - builder.num_frames))):
        _add_chunk(builder, chunk, wanted)
        first_frame += len(chunk)
        if builder.num_frames == size:
            yield builder.build()
            builder = FramesBuilder(path.name)
    if first_frame == 0:
        raise DataError(f"'{path}' holds no structures")
    if builder.num_frames:
        yield builder.build()


def _images(path: Path, frame: int) -> Iterator[Any]:
    """ASE's ``Atoms``, one by one, with an error that says where reading stopped."""
    try:
        for image in _database(path) if path.suffix == ".db" else _file(path, frame):
            yield image
            frame += 1
    # ASE's readers raise anything: KeyError, IndexError, AssertionError, their own classes.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if frame == 0:
            raise DataError(
                f"'{path}' cannot be read by ASE ({type(error).__name__}: {reason}); expected a "
                "format that ase.io.read knows, with its usual file name"
            ) from error
        what = f"ASE stops here ({type(error).__name__}: {reason})"
        raise frame_error(path.name, frame, what, "the file is cut off or damaged") from error


def _file(path: Path, first_frame: int) -> Iterator[Any]:
    from ase.io import iread

    yield from iread(str(path), f"{first_frame}:", do_not_split_by_at_sign=True)


def _database(path: Path) -> Iterator[Any]:
    """Rows of an ASE database; their pairs and data are read as if they were ``info``."""
    from ase.db import connect

    last_id = 0
    with connect(str(path)) as database:
        # ASE fetches all that it selects at once, so it is asked for a few rows at a time.
        while rows := list(database.select(f"id>{last_id}", sort="id", limit=CHUNK_FRAMES)):
            for row in rows:
                atoms = row.toatoms()
                atoms.info = {**row.key_value_pairs, **row.data}
                yield atoms
            last_id = rows[-1].id


def _add_chunk(builder: FramesBuilder, images: list[Any], wanted: Wanted) -> None:
    frames = [_Frame(image) for image in images]
    for frame in frames:
        if builder.add_layout(frame.layout):
            builder.add_label_keys(frame.label_keys)
    for key in wanted.system:
        builder.add_system_values(key, [_numbers(f.system.get(key, ())) for f in frames])
    counts = np.array([len(image) for image in images], dtype=np.int64)
    starts = np.cumsum(counts) - counts
    for key in wanted.atom:
        for i, frame in enumerate(frames):
            if key in frame.atom:
                atoms = np.arange(counts[i]) + starts[i]
                builder.add_atom_block(key, _numbers(frame.atom[key]), np.array([i]), atoms)
    builder.end_chunk(
        positions=np.concatenate([image.positions for image in images]),
        types=np.concatenate([image.numbers for image in images]).astype(np.int32),
        cells=np.stack([image.cell.array for image in images]),
        pbc=np.stack([image.pbc for image in images]),
        counts=counts,
    )
    for image in images:
        # ASE's calculators refer to themselves: emptied, they and their arrays are freed now, and
        # do not pile up until Python looks for such cycles.
        if image.calc is not None:
            vars(image.calc).clear()


class _Frame:
    """The keys of one ``Atoms``: those of its calculator win over ``info`` and ``arrays``."""

    def __init__(self, image: Any) -> None:
        results = dict(image.calc.results) if image.calc is not None else {}
        results = {key: value for key, value in results.items() if value is not None}
        per_atom = {key: value for key, value in results.items() if key in RESULTS_PER_ATOM}
        per_system = {key: value for key, value in results.items() if key not in RESULTS_PER_ATOM}
        arrays = {key: value for key, value in image.arrays.items() if key != "numbers"}
        self.system = {**image.info, **per_system}
        self.atom = {**arrays, **per_atom}
        self.layout = Layout(tuple(image.info), tuple(arrays), tuple(results))
        self.label_keys = [
            key
            for key, value in {**self.system, **self.atom}.items()
            if key not in STRUCTURE_KEYS and (key in results or looks_like_label(value))
        ]


def _numbers(value: Any) -> Any:
    """Numbers as an array; None for what is no number; () where there is nothing."""
    if isinstance(value, tuple) and value == ():
        return ()
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None
