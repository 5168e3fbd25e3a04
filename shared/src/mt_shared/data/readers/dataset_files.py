"""The files of a data set, read in step: the same frames of all of them at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mt_shared.data.readers.columns import Frames, Wanted
from mt_shared.data.readers.data_files import read_frames, read_tensor_map, reader_of
from mt_shared.data.readers.label_checks import SAME_FRAMES, LabelFile
from mt_shared.data.readers.metatensor_files import TensorMapFile
from mt_shared.errors import DataError
from mt_shared.options import DatasetSpec, GradientSpec, TargetSpec

AnyLabel = TargetSpec | GradientSpec
# A file and its reader.
FileKey = tuple[str, str]


class FrameStream:
    """A file, piece by piece; the piece is None before the first and after the last one."""

    def __init__(self, source: str, pieces: Iterator[Frames]) -> None:
        self.source = source
        self.piece: Frames | None = None
        self.num_pieces = 0
        self.num_frames = 0
        self._pieces = pieces

    def advance(self) -> Frames | None:
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
        self._spec = spec
        self._size = size
        self._streams: dict[FileKey, FrameStream] = {}
        self._tensor_maps: dict[FileKey, TensorMapFile] = {}
        self._systems = self._stream(_file_key(spec.systems.read_from, spec.systems.reader))

    @property
    def source(self) -> str:
        """Name of the file of structures."""
        return self._systems.source

    @property
    def num_frames(self) -> int:
        """How many frames were read so far."""
        return self._systems.num_frames

    def pieces(self) -> Iterator[Frames]:
        """The pieces of the file of structures.

        :raises DataError: after the last one, if another file has labels of further structures
        """
        while (piece := self._systems.advance()) is not None:
            yield piece
        for stream in self._streams.values():
            stream.drain()
            self._check_num_frames(stream)
        for tensor_map in self._tensor_maps.values():
            tensor_map.check_num_systems(self.num_frames)

    def find(self, label: AnyLabel) -> LabelFile:
        """The frames that a target or gradient is read from, those of the present piece."""
        key = _file_key(label.read_from, label.reader)
        if key[1] == "metatensor":
            if key not in self._tensor_maps:
                self._tensor_maps[key] = read_tensor_map(label.read_from)
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
        keys = {
            key: None
            for file_key, stream in self._streams.items()
            for key in (stream.piece.label_keys if stream.piece else ())
            if key not in self._wanted(file_key).system | self._wanted(file_key).atom
        }
        return tuple(keys)

    def _check_num_frames(self, stream: FrameStream) -> None:
        """Refuse labels of another number of frames than there are structures."""
        if stream.num_frames == self.num_frames:
            return
        stream.drain()
        self._systems.drain()
        raise DataError(
            f"'{stream.source}' has {stream.num_frames} frames and '{self.source}' has "
            f"{self.num_frames}; {SAME_FRAMES}"
        )

    def _stream(self, key: FileKey) -> FrameStream:
        if key not in self._streams:
            pieces = read_frames(*key, self._wanted(key), self._size)
            self._streams[key] = FrameStream(Path(key[0]).name, pieces)
        return self._streams[key]

    def _wanted(self, key: FileKey) -> Wanted:
        labels = [
            label for label in self._labels() if _file_key(label.read_from, label.reader) == key
        ]
        atom = frozenset(label.key for label in labels if _is_per_atom(label))
        system = frozenset(label.key for label in labels if not _is_per_atom(label))
        return Wanted(system, atom)

    def _labels(self) -> Iterator[AnyLabel]:
        for target in (*self._spec.targets, *self._spec.extra_data):
            yield target
            yield from target.gradients


def _file_key(path: str, reader: str | None) -> FileKey:
    return path, reader_of(path, reader)


def _is_per_atom(label: AnyLabel) -> bool:
    if isinstance(label, GradientSpec):
        return label.kind == "forces"
    return label.sample_kind == "atom"
