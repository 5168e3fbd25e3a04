"""Opening the files of a data set: which reader, and what can be wrong before reading starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mt_shared.data.readers.ase_files import read_with_ase
from mt_shared.data.readers.columns import ColumnSpec
from mt_shared.data.readers.extended_xyz import read_extended_xyz
from mt_shared.data.readers.keyed_piece import KeyedPiece, KeyPlaces
from mt_shared.data.readers.metatomic_files import read_system
from mt_shared.data.readers.xyz_text import IrregularXyz
from mt_shared.errors import DataError, did_you_mean

READERS = ("ase", "metatensor")

_XYZ_SUFFIXES = (".xyz", ".extxyz")
_METATENSOR_SUFFIXES = (".mts", ".mta")


def reader_of(path: str, reader: str | None) -> str:
    """The reader that the options name, or the one that the file's name calls for."""
    if reader is None:
        return "metatensor" if Path(path).suffix in _METATENSOR_SUFFIXES else "ase"
    if reader not in READERS:
        raise DataError(
            f"the reader '{reader}' of '{path}' is unknown{did_you_mean(reader, READERS)}; "
            f"there are {' and '.join(READERS)}"
        )
    return reader


def read_pieces(
    path: str, reader: str, columns: tuple[ColumnSpec, ...], size: int
) -> Iterator[KeyedPiece]:
    """Structures and keyed labels of a file, in pieces of ``size`` frames; the last may be less."""
    file = check_file(path)
    if reader == "metatensor":
        no_keys = (KeyPlaces((), (), ()),)
        yield KeyedPiece(file.name, read_system(file), {}, no_keys, ())
    elif file.suffix in _XYZ_SUFFIXES:
        yield from _read_xyz(file, columns, size)
    else:
        yield from read_with_ase(file, columns, size)


def _read_xyz(file: Path, columns: tuple[ColumnSpec, ...], size: int) -> Iterator[KeyedPiece]:
    num_frames = 0
    try:
        for piece in read_extended_xyz(file, columns, size):
            yield piece
            num_frames += piece.structures.num_systems
        return
    except IrregularXyz:
        pass
    except UnicodeDecodeError as error:
        raise DataError(f"'{file}' is no text; expected extended xyz") from error
    # ASE begins where the pieces end, so that no frame is lost or there twice.
    yield from read_with_ase(file, columns, size, first_frame=num_frames)


def check_file(path: str) -> Path:
    """Refuse a file that is not there, cannot be read or is empty."""
    file = Path(path)
    if not file.exists():
        folder = file.parent
        if not folder.is_dir():
            raise DataError(f"there is no file '{path}', and no folder '{folder}'")
        names = [entry.name for entry in folder.iterdir() if entry.is_file()]
        raise DataError(f"there is no file '{path}'{did_you_mean(file.name, names)}")
    if not file.is_file():
        raise DataError(f"'{path}' is no file; expected a file with structures or labels")
    if not os.access(file, os.R_OK):
        raise DataError(f"'{path}' may not be read; ask its owner for the permission")
    if file.stat().st_size == 0:
        raise DataError(f"'{path}' is empty; expected structures or labels")
    return file
