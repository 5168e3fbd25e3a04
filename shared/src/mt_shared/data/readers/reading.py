"""One data set of the options file: which files it needs, each read once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mt_shared.data.dataset import Dataset
from mt_shared.data.indices import load_indices
from mt_shared.data.label_checks import LabelFile
from mt_shared.data.labels import LabelBuilder
from mt_shared.data.readers.columns import Frames, Wanted
from mt_shared.data.readers.data_files import read_frames, read_tensor_map, reader_of
from mt_shared.data.specs import DatasetSpec, GradientSpec, TargetSpec
from mt_shared.data.structures import check_structures

AnyLabel = TargetSpec | GradientSpec
# A file and its reader.
FileKey = tuple[str, str]


def read_dataset(spec: DatasetSpec) -> Dataset:
    """Structures, labels and extra data, of all frames or of those that ``indices`` names.

    Labels may come from other files than the structures, with the same frames in the same order.

    :raises DataError: for anything missing or wrong, with its file and frame
    """
    files = _DataFiles(spec)
    systems = files.systems()
    num_frames = systems.structures.num_systems
    chosen = np.arange(num_frames)
    if spec.indices is not None:
        chosen = load_indices(spec.indices, num_frames, f"indices of {systems.source}")
    structures = systems.structures.subset(chosen)
    check_structures(structures, systems.source, chosen)

    builder = LabelBuilder(systems.source, systems.structures, chosen, files.find)
    labels = {target.name: builder.build(target) for target in spec.targets}
    extra = {target.name: builder.build(target) for target in spec.extra_data}
    names = {target.name for target in spec.targets}
    return Dataset(
        structures=structures,
        labels=labels,
        frames=chosen,
        source=systems.source,
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


class _DataFiles:
    """The files of a data set: read at first need, each once for all keys that it is to give."""

    def __init__(self, spec: DatasetSpec) -> None:
        self._spec = spec
        self._frames: dict[FileKey, Frames] = {}
        self._tensor_maps: dict[FileKey, LabelFile] = {}

    def systems(self) -> Frames:
        systems = self._spec.systems
        return self._read(_file_key(systems.read_from, systems.reader))

    def find(self, label: AnyLabel) -> LabelFile:
        """The file of a target or gradient."""
        key = _file_key(label.read_from, label.reader)
        if key[1] != "metatensor":
            return self._read(key)
        if key not in self._tensor_maps:
            self._tensor_maps[key] = read_tensor_map(label.read_from)
        return self._tensor_maps[key]

    def unused_keys(self) -> tuple[str, ...]:
        """Labels that the files have and the options do not ask for."""
        keys = {
            key: None
            for file_key, frames in self._frames.items()
            for key in frames.label_keys
            if key not in self._wanted(file_key).system | self._wanted(file_key).atom
        }
        return tuple(keys)

    def _read(self, key: FileKey) -> Frames:
        if key not in self._frames:
            self._frames[key] = read_frames(*key, self._wanted(key))
        return self._frames[key]

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
