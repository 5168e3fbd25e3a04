"""Extended xyz, many frames at a time.

ASE's own reader makes an ``Atoms`` object of each frame, which takes most of its time. Here frames
of one column layout are gathered, and each column is parsed at once. Keys and values mean what
they mean to ASE (``shared/tests/test_readers.py`` compares the two).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.readers.comment_line import (
    lattice_of,
    looks_like_label,
    misnamed_pair,
    numbers_of,
    pbc_of,
)
from mt_shared.data.readers.keyed_piece import (
    ALL_FRAMES,
    RESULTS_PER_ATOM,
    RESULTS_PER_SYSTEM,
    STRUCTURE_KEYS,
    ColumnBuilder,
    KeyedPiece,
    KeyedPieceBuilder,
    KeyPlaces,
)
from mt_shared.data.readers.label_requests import ColumnSpec
from mt_shared.data.readers.xyz_text import Chunk, scan_chunks
from mt_shared.data.structures import Structures, frame_error, offsets_from_counts
from mt_shared.errors import DataError, did_you_mean, plain_number, shortened
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


def read_extended_xyz(
    path: Path, columns: Sequence[ColumnSpec], size: int = ALL_FRAMES
) -> Iterator[KeyedPiece]:
    """Pieces of ``size`` frames, with the numbers of the columns.

    :raises IrregularXyz: if ASE should read this file, from the frame after the last piece on
    """
    builder = KeyedPieceBuilder(path.name, columns)
    is_empty = True
    for chunk in scan_chunks(path, size):
        is_empty = False
        _add_chunk(builder, chunk)
        if builder.num_structures == size:
            yield builder.build()
            builder = KeyedPieceBuilder(path.name, columns)
    if is_empty:
        raise DataError(f"'{path}' holds no structures; expected extended xyz")
    if builder.num_structures:
        yield builder.build()


def _add_chunk(builder: KeyedPieceBuilder, chunk: Chunk) -> None:
    try:
        fields = parse_properties(chunk.properties)
    except (ValueError, AttributeError, IndexError) as error:
        what = f"Properties={chunk.properties} cannot be parsed ({error})"
        todo = "expected name:kind:columns, several times, such as species:S:1:pos:R:3"
        raise frame_error(chunk.source, chunk.first_frame, what, todo) from error

    table = _AtomTable(chunk, fields)
    cells, pbc = _cells_and_pbc(chunk)
    _add_keys(builder, chunk, fields, pbc)
    for spec, column in builder.columns.items():
        if spec.per_atom:
            table.add_to(column, spec.key)
        else:
            _add_pairs(column, chunk, spec.key)
    offsets = offsets_from_counts(chunk.counts)
    builder.add_structures(Structures(table.positions(), table.types(), cells, pbc, offsets))


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


def _add_keys(
    builder: KeyedPieceBuilder, chunk: Chunk, fields: tuple[Field, ...], pbc: NDArray[np.bool_]
) -> None:
    names = [f.name for f in fields if f.name not in _NO_ARRAYS]
    results = [name for name in names if name in RESULTS_PER_ATOM]
    places: dict[tuple[str, ...], KeyPlaces] = {}
    for number, comment in enumerate(chunk.comments):
        keys = tuple(comment)
        if keys in places:
            builder.add_keys(places[keys])
            continue
        misnamed = misnamed_pair(comment, "pbc" not in comment or pbc[number].any())
        if misnamed is not None:
            key, meant = misnamed
            what = f"'{key}' in the comment line does not describe the structure, '{meant}' would"
            if meant == "Lattice":
                meant += ' with nine numbers, or pbc="F F F" if it is not periodic'
            frame = chunk.first_frame + number
            raise frame_error(chunk.source, frame, what, f"write {meant}")
        pairs = [key for key in keys if key not in _STRUCTURE_PAIRS]
        places[keys] = KeyPlaces(
            info=tuple(key for key in pairs if key not in RESULTS_PER_SYSTEM),
            arrays=tuple(name for name in names if name not in results),
            calculator=(*(key for key in pairs if key in RESULTS_PER_SYSTEM), *results),
        )
        # What looks like a label is asked of the first structure with these keys alone: it is only
        # for telling a user what is not used.
        if builder.add_keys(places[keys]):
            labels = [k for k in pairs if k in RESULTS_PER_SYSTEM or looks_like_label(comment[k])]
            real = [f.name for f in fields if f.kind == "R" or f.name in RESULTS_PER_ATOM]
            builder.add_label_keys(labels + [name for name in real if name not in STRUCTURE_KEYS])


def _add_pairs(column: ColumnBuilder, chunk: Chunk, key: str) -> None:
    """Numbers of the comment lines."""
    values = [comment.get(key) for comment in chunk.comments]
    numbers = _numbers_at_once(values)
    if numbers is not None:
        column.add(numbers, len(values), len(values))
        return
    for comment, value in zip(chunk.comments, values, strict=True):
        if key not in comment:
            column.add_missing(1, 1)
        else:
            one = numbers_of(value)
            column.add(None if one is None else one[None], 1, 1, str(value))


def _numbers_at_once(values: Sequence[Any]) -> NDArray[np.float64] | None:
    """(S,) or (S, n) in the common case of as many plain numbers in each structure, else None."""
    if not all(isinstance(value, str) for value in values):
        return None
    words = list(map(str.split, values))
    widths = set(map(len, words))
    if len(widths) != 1 or 0 in widths:
        return None
    (width,) = widths
    try:
        numbers = np.fromiter(map(float, chain.from_iterable(words)), np.float64)
    except ValueError:  # commas, JSON, or no numbers
        return None
    return numbers if width == 1 else numbers.reshape(-1, width)


class _AtomTable:
    """The words of a chunk's atoms, row after row in one list, ``width`` to a row.

    The words of a column are then a slice with the step ``width``, and are parsed at once.
    """

    def __init__(self, chunk: Chunk, fields: tuple[Field, ...]) -> None:
        self._chunk = chunk
        self._fields = {field.name: field for field in fields}
        self._width = fields[-1].columns.stop
        self._words = _words(chunk, self._width)

    def add_to(self, column: ColumnBuilder, key: str) -> None:
        """The numbers of the atoms that the key names."""
        num_structures, num_atoms = len(self._chunk.counts), len(self._chunk.rows)
        field = self._fields.get(key)
        if field is None:
            column.add_missing(num_structures, num_atoms)
        elif field.kind not in "RI":
            column.add(None, num_structures, num_atoms)
        else:
            values = self._floats(field)
            # Like ASE: one column makes an array without a second dimension.
            values = values[:, 0] if len(field.columns) == 1 else values
            column.add(values, num_structures, num_atoms)

    def positions(self) -> NDArray[np.float64]:
        """(A, 3)"""
        field = self._fields.get("positions")
        if field is None or len(field.columns) != 3:
            what = f"Properties={self._chunk.properties} has no positions"
            raise frame_error(self._chunk.source, self._chunk.first_frame, what, "expected pos:R:3")
        return self._floats(field)

    def types(self) -> NDArray[np.int32]:
        """(A,) from the column of atomic numbers, if there is one, or from that of symbols."""
        if "numbers" in self._fields:
            return self._floats(self._fields["numbers"])[:, 0].astype(np.int32)
        if "symbols" not in self._fields:
            what = f"Properties={self._chunk.properties} has neither species nor Z"
            todo = "expected species:S:1"
            raise frame_error(self._chunk.source, self._chunk.first_frame, what, todo)
        symbols = self._words[self._fields["symbols"].columns.start :: self._width]
        # A file has few elements: each spelling is looked up once.
        numbers = {symbol: _NUMBERS_IN_ASE.get(symbol.capitalize()) for symbol in set(symbols)}
        unknown = {symbol for symbol, number in numbers.items() if number is None}
        if unknown:
            row = next(i for i, symbol in enumerate(symbols) if symbol in unknown)
            symbol, todo = symbols[row], "expected a chemical symbol"
            what = f"names the element '{shortened(symbol)}', which there is not"
            if symbol.isdigit():
                todo += "; atomic numbers need Properties=Z:I:1:pos:R:3 in the comment line"
            else:
                what += did_you_mean(symbol, _NUMBERS_IN_ASE)
            raise self._chunk.row_error(row, what, todo)
        return np.fromiter(map(numbers.__getitem__, symbols), dtype=np.int32, count=len(symbols))

    def _floats(self, field: Field) -> NDArray[np.float64]:
        """(A, columns)"""
        values = np.empty((len(self._chunk.rows), len(field.columns)))
        for i, column in enumerate(field.columns):
            words = self._words[column :: self._width]
            try:
                values[:, i] = np.fromiter(map(float, words), np.float64, len(values))
            except ValueError as error:
                bad = next(i for i, word in enumerate(words) if not _is_float(word))
                what = f"holds no number in column {column + 1} ({field.name})"
                plain = plain_number(words[bad])
                todo = "mend the file" if plain is None else f"write {plain} for {words[bad]}"
                raise self._chunk.row_error(bad, what, todo) from error
        return values


def _words(chunk: Chunk, width: int) -> list[str]:
    # Lists of words that die at once, then one list of all: keeping a list a row makes Python's
    # garbage collector the slowest part of reading.
    widths = list(map(len, map(str.split, chunk.rows)))
    if set(widths) == {width}:
        return "".join(chunk.rows).split()
    short = next((i for i, found in enumerate(widths) if found < width), None)
    if short is not None:
        what = f"has {widths[short]} columns, Properties names {width}"
        raise chunk.row_error(short, what, "the file is cut off or damaged")
    # Like ASE: further columns are none of the properties.
    return [word for row in chunk.rows for word in row.split()[:width]]


def _is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _cells_and_pbc(chunk: Chunk) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    cells = np.zeros((len(chunk.counts), 3, 3))
    pbc = np.zeros((len(chunk.counts), 3), dtype=bool)
    for i, comment in enumerate(chunk.comments):
        try:
            if "Lattice" in comment:
                cells[i] = lattice_of(comment["Lattice"])
                # Like ASE: a cell without pbc is periodic.
                pbc[i] = True
            if "pbc" in comment:
                pbc[i] = pbc_of(comment["pbc"])
        except ValueError as error:
            frame = chunk.first_frame + i
            raise frame_error(chunk.source, frame, str(error), "mend the comment line") from error
    return cells, pbc
