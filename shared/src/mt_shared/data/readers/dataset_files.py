"""The files of a data set: opened, and read in step, the same frames of all of them at a time."""

from collections.abc import Iterator
from pathlib import Path

from mt_shared.data.readers.ase_files import read_with_ase
from mt_shared.data.readers.extended_xyz import read_extended_xyz
from mt_shared.data.readers.keyed_piece import SAME_FRAMES, KeyedPiece, KeyPlaces
from mt_shared.data.readers.label_requests import ColumnSpec, LabelRequest, requests_of
from mt_shared.data.readers.metatensor_files import TensorMapFile, read_system
from mt_shared.data.readers.xyz_text import IrregularXyz
from mt_shared.errors import DataError, did_you_mean
from mt_shared.options import DatasetSpec, GradientSpec, SystemsSpec, TargetSpec
from mt_shared.user_files import XYZ_SUFFIXES, fault_of_data, not_utf8

# A file and its reader.
FileKey = tuple[str, str]
# A file with labels, or the piece of it that is in memory.
LabelFile = KeyedPiece | TensorMapFile

READERS = ("ase", "metatensor")

_METATENSOR_SUFFIXES = (".mts", ".mta")


class PieceStream:
    """A file, piece by piece; the piece is None before the first and after the last one."""

    def __init__(self, source: str, pieces: Iterator[KeyedPiece]) -> None:
        self.source = source
        self.piece: KeyedPiece | None = None
        self.num_pieces = 0
        self.num_frames = 0
        self._pieces = pieces

    def advance(self) -> KeyedPiece | None:
        """Read the next piece; counts it and its frames."""
        self.piece = next(self._pieces, None)
        if self.piece is not None:
            self.num_frames += self.piece.structures.num_systems
        self.num_pieces += 1
        return self.piece

    def drain(self) -> None:
        """Count the frames that are left."""
        while self.advance() is not None:
            pass


class DatasetFiles:
    """The files of a data set: opened at first need, each read once for all its keys.

    :param size: how many frames are in memory together
    """

    def __init__(self, spec: DatasetSpec, size: int) -> None:
        self._size = size
        self._columns: dict[FileKey, dict[ColumnSpec, None]] = {}
        for target in (*spec.targets, *spec.extra_data):
            for request in requests_of(target):
                columns = self._columns.setdefault(_file_key(request.spec), {})
                columns[request.column] = None
        self._streams: dict[FileKey, PieceStream] = {}
        self._tensor_maps: dict[FileKey, TensorMapFile] = {}
        self._systems = self._stream(_file_key(spec.systems))

    @property
    def num_frames(self) -> int:
        """How many frames were read so far."""
        return self._systems.num_frames

    def pieces(self) -> Iterator[KeyedPiece]:
        """The pieces of the file of structures; at the end, no file may have further labels."""
        while (piece := self._systems.advance()) is not None:
            yield piece
        for stream in self._streams.values():
            stream.drain()
            self._check_num_frames(stream)
        for tensor_map in self._tensor_maps.values():
            tensor_map.check_num_systems(self.num_frames)

    def find(self, request: LabelRequest) -> LabelFile:
        """What a label is read from, at the frames of the present piece."""
        key = _file_key(request.spec)
        if key[1] == "metatensor":
            if key not in self._tensor_maps:
                self._tensor_maps[key] = TensorMapFile(check_file(key[0]))
            return self._tensor_maps[key]
        stream = self._stream(key)
        # Several at once, if no label of the pieces before was needed.
        while stream.num_pieces < self._systems.num_pieces:
            stream.advance()
        self._check_num_frames(stream)
        assert stream.piece is not None
        return stream.piece

    def unused_keys(self) -> tuple[str, ...]:
        """Labels that the present pieces have and the options do not ask for."""
        keys: dict[str, None] = {}
        for file_key, stream in self._streams.items():
            used = {column.key for column in self._columns.get(file_key, {})}
            found = stream.piece.label_keys if stream.piece else ()
            keys |= {key: None for key in found if key not in used}
        return tuple(keys)

    def _check_num_frames(self, stream: PieceStream) -> None:
        """Refuse labels of another number of frames than there are structures."""
        if stream.num_frames == self.num_frames:
            return
        # Both are counted to their ends, so that the numbers do not depend on the size of pieces.
        stream.drain()
        self._systems.drain()
        raise DataError(
            f"'{stream.source}' has {stream.num_frames} frames and '{self._systems.source}' has "
            f"{self.num_frames}; {SAME_FRAMES}"
        )

    def _stream(self, key: FileKey) -> PieceStream:
        if key not in self._streams:
            pieces = read_pieces(*key, tuple(self._columns.get(key, {})), self._size)
            self._streams[key] = PieceStream(Path(key[0]).name, pieces)
        return self._streams[key]


def _file_key(spec: SystemsSpec | TargetSpec | GradientSpec) -> FileKey:
    return spec.read_from, reader_of(spec.read_from, spec.reader)


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
    num_frames = 0
    if reader == "metatensor":
        yield KeyedPiece(file.name, read_system(file), {}, (KeyPlaces(),), ())
        return
    if file.suffix in XYZ_SUFFIXES:
        try:
            for piece in read_extended_xyz(file, columns, size):
                yield piece
                num_frames += piece.structures.num_systems
            return
        except IrregularXyz:
            pass
        except UnicodeDecodeError as error:
            raise DataError(not_utf8(file)) from error
    # ASE begins where the pieces end, so that no frame is lost or there twice.
    yield from read_with_ase(file, columns, size, num_frames)


def check_file(path: str) -> Path:
    """Refuse a file that is not there, or of a kind that holds no data."""
    fault = fault_of_data(path)
    if fault is not None:
        raise DataError(fault)
    return Path(path)
