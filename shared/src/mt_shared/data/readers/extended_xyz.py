"""Extended xyz, many frames at a time.

ASE's own reader makes an ``Atoms`` object of each frame, which takes most of its time. Here frames
of one column layout are gathered, and each column is parsed at once. Keys and values mean what
they mean to ASE (``shared/tests/test_readers.py`` compares the two).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.frame_errors import frame_error
from mt_shared.data.readers.columns import (
    ALL_FRAMES,
    RESULTS_PER_ATOM,
    RESULTS_PER_SYSTEM,
    STRUCTURE_KEYS,
    Frames,
    FramesBuilder,
    Layout,
    Wanted,
)
from mt_shared.data.readers.comment_line import (
    lattice_of,
    looks_like_label,
    numbers_of,
    pbc_of,
)
from mt_shared.data.readers.xyz_text import Chunk, scan_chunks
from mt_shared.errors import DataError, did_you_mean
from mt_shared.options import ATOMIC_NUMBERS

# ASE knows X as the placeholder of number 0.
_NUMBERS_IN_ASE = {"X": 0} | ATOMIC_NUMBERS
_NAMES_IN_ASE = {"pos": "positions", "Z": "numbers", "charge": "charges", "species": "symbols"}
# Columns that ASE turns into something else than an array.
_NO_ARRAYS = ("symbols", "numbers", "move_mask")
# Of the comment line, these describe the structure.
_STRUCTURE_PAIRS = ("Lattice", "pbc", "Properties")


@dataclass(frozen=True)
class Field:
    """One property of the atoms: its name in ASE, its kind (R, I, S, L) and its columns."""

    name: str
    kind: str
    columns: range


def read_extended_xyz(path: Path, wanted: Wanted, size: int = ALL_FRAMES) -> Iterator[Frames]:
    """Pieces of ``size`` frames, with the numbers of the wanted keys.

    :raises IrregularXyz: if ASE should read this file, from the frame after the last piece on
    :raises DataError: if the file is broken
    """
    builder = FramesBuilder(path.name)
    is_empty = True
    for chunk in scan_chunks(path, size):
        is_empty = False
        _add_chunk(builder, chunk, wanted)
        if builder.num_frames == size:
            yield builder.build()
            builder = FramesBuilder(path.name)
    if is_empty:
        raise DataError(f"'{path}' holds no structures; expected extended xyz")
    if builder.num_frames:
        yield builder.build()


def _add_chunk(builder: FramesBuilder, chunk: Chunk, wanted: Wanted) -> None:
    try:
        fields = parse_properties(chunk.properties)
    except (ValueError, AttributeError, IndexError) as error:
        what = f"Properties={chunk.properties} cannot be parsed ({error})"
        todo = "expected name:kind:columns, several times, such as species:S:1:pos:R:3"
        raise frame_error(builder.source, chunk.first_frame, what, todo) from error

    words = _words(builder.source, chunk, fields)
    _add_layouts(builder, chunk, fields)
    _add_pairs(builder, chunk, wanted)
    _add_fields(builder, chunk, fields, words, wanted)
    cells, pbc = _cells_and_pbc(builder.source, chunk)
    builder.end_chunk(
        positions=_positions(builder.source, chunk, fields, words),
        types=_types(builder.source, chunk, fields, words),
        cells=cells,
        pbc=pbc,
        counts=np.array(chunk.counts, dtype=np.int64),
    )


@lru_cache(maxsize=64)
def parse_properties(properties: str) -> tuple[Field, ...]:
    """The columns that ``Properties=`` describes."""
    parts = properties.split(":")
    fields, start = [], 0
    for name, kind, width in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if kind not in "RISL":
            raise ValueError(f"'{kind}' is no kind of column")
        fields.append(Field(_NAMES_IN_ASE.get(name, name), kind, range(start, start + int(width))))
        start += int(width)
    return tuple(fields)


def _words(source: str, chunk: Chunk, fields: tuple[Field, ...]) -> list[str]:
    """All words of the atoms' lines, row after row, as many a row as there are columns."""
    width = fields[-1].columns.stop
    # Lists of words that die at once, then one list of all: keeping a list a row makes Python's
    # garbage collector the slowest part of reading.
    widths = list(map(len, map(str.split, chunk.rows)))
    if set(widths) == {width}:
        return "".join(chunk.rows).split()
    short = next((i for i, found in enumerate(widths) if found < width), None)
    if short is not None:
        what = f"has {widths[short]} columns, Properties names {width}"
        raise chunk.row_error(source, short, what, "the file is cut off or damaged")
    # Like ASE: further columns are none of the properties.
    return [word for row in chunk.rows for word in row.split()[:width]]


def _add_layouts(builder: FramesBuilder, chunk: Chunk, fields: tuple[Field, ...]) -> None:
    for comment in chunk.comments:
        keys = tuple(comment)
        if builder.add_layout(_layout(keys, fields)):
            real = [key for key in keys if key not in _STRUCTURE_PAIRS]
            labels = [k for k in real if k in RESULTS_PER_SYSTEM or looks_like_label(comment[k])]
            columns = [f.name for f in fields if f.kind == "R" or f.name in RESULTS_PER_ATOM]
            builder.add_label_keys(labels + [c for c in columns if c not in STRUCTURE_KEYS])


@lru_cache(maxsize=256)
def _layout(keys: tuple[str, ...], fields: tuple[Field, ...]) -> Layout:
    pairs = [key for key in keys if key not in _STRUCTURE_PAIRS]
    columns = [f.name for f in fields if f.name not in _NO_ARRAYS]
    results = RESULTS_PER_SYSTEM | RESULTS_PER_ATOM
    return Layout(
        info=tuple(key for key in pairs if key not in RESULTS_PER_SYSTEM),
        arrays=tuple(name for name in columns if name not in results),
        calculator=tuple(
            [k for k in pairs if k in RESULTS_PER_SYSTEM] + [c for c in columns if c in results]
        ),
    )


def _add_pairs(builder: FramesBuilder, chunk: Chunk, wanted: Wanted) -> None:
    for key in wanted.system:
        values = [comment.get(key, ()) for comment in chunk.comments]
        block = _scalars(values)
        if block is not None:
            builder.add_system_block(key, block)
        else:
            numbers = [() if isinstance(value, tuple) else numbers_of(value) for value in values]
            builder.add_system_values(key, numbers)


def _scalars(values: Sequence[Any]) -> NDArray[np.float64] | None:
    """(frames,) numbers in the common case that each frame has one."""
    if not all(isinstance(value, str) for value in values):
        return None
    try:
        return np.fromiter(map(float, values), dtype=np.float64, count=len(values))
    except ValueError:
        return None


def _add_fields(
    builder: FramesBuilder,
    chunk: Chunk,
    fields: tuple[Field, ...],
    words: list[str],
    wanted: Wanted,
) -> None:
    frames = np.arange(len(chunk.counts))
    atoms = np.arange(len(chunk.rows))
    for field_ in fields:
        if field_.name not in wanted.atom:
            continue
        values = None
        if field_.kind in "RI":
            values = _floats(builder.source, chunk, field_, fields[-1].columns.stop, words)
            values = values[:, 0] if len(field_.columns) == 1 else values
        builder.add_atom_block(field_.name, values, frames, atoms)


def _floats(
    source: str, chunk: Chunk, field_: Field, width: int, words: list[str]
) -> NDArray[np.float64]:
    values = np.empty((len(chunk.rows), len(field_.columns)))
    try:
        for i, column in enumerate(field_.columns):
            values[:, i] = np.fromiter(map(float, words[column::width]), np.float64, len(values))
    except ValueError as error:
        bad = next(i for i, word in enumerate(words[column::width]) if not _is_float(word))
        what = f"holds no number in column {column + 1} ({field_.name})"
        raise chunk.row_error(source, bad, what, "mend the file") from error
    return values


def _is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _positions(
    source: str, chunk: Chunk, fields: tuple[Field, ...], words: list[str]
) -> NDArray[np.float64]:
    by_name = {f.name: f for f in fields}
    if "positions" not in by_name or len(by_name["positions"].columns) != 3:
        what = f"Properties={chunk.properties} has no positions"
        raise frame_error(source, chunk.first_frame, what, "expected pos:R:3")
    return _floats(source, chunk, by_name["positions"], fields[-1].columns.stop, words)


def _types(
    source: str, chunk: Chunk, fields: tuple[Field, ...], words: list[str]
) -> NDArray[np.int32]:
    by_name = {f.name: f for f in fields}
    width = fields[-1].columns.stop
    if "numbers" in by_name:
        return _floats(source, chunk, by_name["numbers"], width, words)[:, 0].astype(np.int32)
    if "symbols" not in by_name:
        what = f"Properties={chunk.properties} has neither species nor Z"
        raise frame_error(source, chunk.first_frame, what, "expected species:S:1")
    symbols = words[by_name["symbols"].columns.start :: width]
    numbers = {symbol: _NUMBERS_IN_ASE.get(symbol.capitalize()) for symbol in set(symbols)}
    unknown = {symbol for symbol, number in numbers.items() if number is None}
    if unknown:
        row = next(i for i, symbol in enumerate(symbols) if symbol in unknown)
        what = f"names the element '{symbols[row]}', which there is not"
        what += did_you_mean(symbols[row], _NUMBERS_IN_ASE)
        raise chunk.row_error(source, row, what, "expected a chemical symbol")
    return np.fromiter(map(numbers.__getitem__, symbols), dtype=np.int32, count=len(symbols))


def _cells_and_pbc(source: str, chunk: Chunk) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    cells = np.zeros((len(chunk.counts), 3, 3))
    pbc = np.zeros((len(chunk.counts), 3), dtype=bool)
    for i, comment in enumerate(chunk.comments):
        try:
            if "Lattice" in comment:
                cells[i] = lattice_of(comment["Lattice"])
                pbc[i] = True
            if "pbc" in comment:
                pbc[i] = pbc_of(comment["pbc"])
        except ValueError as error:
            frame = chunk.first_frame + i
            raise frame_error(source, frame, str(error), "mend the comment line") from error
    return cells, pbc
