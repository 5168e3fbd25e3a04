"""Everything that ASE reads: trajectories, databases, outputs of codes."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mt_shared.data.readers.comment_line import looks_like_label, numbers_of_object
from mt_shared.data.readers.keyed_piece import (
    ALL_FRAMES,
    RESULTS_PER_ATOM,
    STRUCTURE_KEYS,
    KeyedPiece,
    KeyedPieceBuilder,
    KeyPlaces,
)
from mt_shared.data.readers.label_requests import ColumnSpec
from mt_shared.data.structures import Structures, frame_error, offsets_from_counts
from mt_shared.errors import DataError, shortened
from mt_shared.user_files import kind_of, mistaken

# Structures whose ``Atoms`` objects are in memory together.
CHUNK_FRAMES = 1000


def read_with_ase(
    path: Path, columns: Sequence[ColumnSpec], size: int = ALL_FRAMES, first_frame: int = 0
) -> Iterator[KeyedPiece]:
    """Pieces of ``size`` frames, with the numbers of the columns.

    :param first_frame: where to begin, for a file whose first part another reader took
    """
    builder = KeyedPieceBuilder(path.name, columns)
    images = _images(path, first_frame)
    while chunk := list(islice(images, min(CHUNK_FRAMES, size - builder.num_structures))):
        _add_images(builder, chunk)
        first_frame += len(chunk)
        if builder.num_structures == size:
            yield builder.build()
            builder = KeyedPieceBuilder(path.name, columns)
    if first_frame == 0:
        raise DataError(f"'{path}' holds no structures")
    if builder.num_structures:
        yield builder.build()


def _images(path: Path, frame: int) -> Iterator[Any]:
    """ASE's ``Atoms``, one by one, with an error that says where reading stopped."""
    from ase.io import iread

    try:
        if path.suffix == ".db":
            images = _database(path)
        else:
            images = iread(str(path), f"{frame}:", do_not_split_by_at_sign=True)
        for image in images:
            yield image
            frame += 1
    # ASE's readers raise anything: KeyError, IndexError, AssertionError, their own classes.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if frame == 0:
            expected = "a format that ase.io.read knows, with its usual file name"
            kind = kind_of(path)
            # ASE says of most that it cannot guess what they are
            if kind is not None:
                raise DataError(mistaken(path, expected, kind)) from error
            raise DataError(
                f"'{path}' cannot be read by ASE ({type(error).__name__}: {shortened(reason)}); "
                f"expected {expected}"
            ) from error
        what = f"ASE stops here ({type(error).__name__}: {reason})"
        raise frame_error(path.name, frame, what, "the file is cut off or damaged") from error


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


def _add_images(builder: KeyedPieceBuilder, images: list[Any]) -> None:
    for image in images:
        _add_labels(builder, image)
    counts = [len(image) for image in images]
    builder.add_structures(
        Structures(
            positions=np.concatenate([image.positions for image in images]),
            types=np.concatenate([image.numbers for image in images]).astype(np.int32),
            cells=np.stack([image.cell.array for image in images]),
            pbc=np.stack([image.pbc for image in images]),
            offsets=offsets_from_counts(counts),
        )
    )
    for image in images:
        # ASE's calculators refer to themselves: emptied, they and their arrays are freed now, and
        # do not pile up until Python looks for such cycles.
        if image.calc is not None:
            vars(image.calc).clear()


def _add_labels(builder: KeyedPieceBuilder, image: Any) -> None:
    """The keys of one ``Atoms``: those of its calculator win over ``info`` and ``arrays``."""
    results = dict(image.calc.results) if image.calc is not None else {}
    results = {key: value for key, value in results.items() if value is not None}
    arrays = {key: value for key, value in image.arrays.items() if key != "numbers"}
    per_atom, per_structure = dict(arrays), dict(image.info)
    for key, value in results.items():
        (per_atom if key in RESULTS_PER_ATOM else per_structure)[key] = value

    if builder.add_keys(KeyPlaces(tuple(image.info), tuple(arrays), tuple(results))):
        builder.add_label_keys(
            key
            for key, value in {**per_structure, **per_atom}.items()
            if key not in STRUCTURE_KEYS and (key in results or looks_like_label(value))
        )
    for spec, column in builder.columns.items():
        values, num_rows = (per_atom, len(image)) if spec.per_atom else (per_structure, 1)
        if spec.key not in values:
            column.add_missing(1, num_rows)
            continue
        numbers = numbers_of_object(values[spec.key])
        if numbers is not None and not spec.per_atom:
            numbers = numbers[None]
        column.add(numbers, 1, num_rows, str(values[spec.key]) if numbers is None else "")
