"""From the options to the data sets of a training, and to what a model has to know of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mt_core.options import Indices, SplitSpec, TrainingOptions
from mt_shared.contract import DatasetInfo, TargetInfo, target_type_from_dict
from mt_shared.data import Dataset, Split, check_unit, read_dataset, split_datasets
from mt_shared.errors import DataError
from mt_shared.options import DatasetSpec, TargetSpec, dump_yaml

SPLITS = ("training", "validation", "test")
FINGERPRINTS = "fingerprints.yaml"


@dataclass(frozen=True)
class Splits:
    """The data sets of training, validation and test, and their frames in the files."""

    datasets: dict[str, list[Dataset]]
    indices: dict[str, list[np.ndarray]]

    @property
    def notes(self) -> list[str]:
        """What a user should know before training, each once."""
        found = [note for part in self.datasets.values() for data in part for note in data.notes]
        return list(dict.fromkeys(found))

    @property
    def fingerprints(self) -> dict[str, str]:
        """A hash of the structures and labels of each split, to know them again."""
        return {name: fingerprint(datasets) for name, datasets in self.datasets.items()}

    def write(self, folder: Path) -> None:
        """``training.txt`` and so on, a frame a line, and ``fingerprints.yaml``."""
        folder.mkdir()
        (folder / FINGERPRINTS).write_text(dump_yaml(self.fingerprints), encoding="utf-8")
        for name, parts in self.indices.items():
            for number, frames in enumerate(parts):
                suffix = f"_{number}" if len(parts) > 1 else ""
                np.savetxt(folder / f"{name}{suffix}.txt", frames, fmt="%d")


def fingerprint(datasets: list[Dataset]) -> str:
    """A hash of structures and labels, to know them again."""
    digest = hashlib.sha256()
    for data in datasets:
        structures = data.structures
        for array in (structures.positions, structures.types, structures.cells, structures.pbc):
            digest.update(np.ascontiguousarray(array).tobytes())
        for name, labels in sorted(data.labels.items()):
            digest.update(name.encode())
            for array in (labels.values, *(labels.gradients[g] for g in sorted(labels.gradients))):
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def check_units(options: TrainingOptions) -> None:
    """Refuse units that metatomic does not know, before any data are read."""
    for spec in options.specs:
        if spec.systems.length_unit:
            check_unit(spec.systems.length_unit, "length")
        for target in spec.targets:
            if target.unit:
                check_unit(target.unit, target.quantity)


def unit_notes(options: TrainingOptions) -> Iterator[str]:
    """Energies without a unit; the readers say the same of lengths."""
    targets = {target.name: target for spec in options.specs for target in spec.targets}
    for name, target in targets.items():
        if target.quantity == "energy" and not target.unit:
            yield f"the target '{name}' has no unit; users of the model cannot convert it"


def read_splits(options: TrainingOptions, seed: int) -> Splits:
    """Read all files, each once, and divide what the options give as fractions or indices."""
    specs = options.training_set
    parts: dict[str, float | tuple[int, ...] | str] = {}
    own: dict[str, list[Split]] = {}
    for name, spec in (("validation", options.validation_set), ("test", options.test_set)):
        if isinstance(spec, tuple):
            own[name] = [_whole(read_dataset(one)) for one in spec]
        else:
            parts[name] = spec.values if isinstance(spec, Indices) else spec
    if _by_frames(specs, options.validation_set, options.test_set):
        # the frames of the other sets are named in the whole file, not in the part for training
        parts["training"] = specs[0].indices or ()
        specs = (replace(specs[0], indices=None),)
    divided = split_datasets([read_dataset(spec) for spec in specs], parts, seed)
    splits = {name: (divided | own)[name] for name in SPLITS}
    return Splits(
        datasets={name: _not_empty(part) for name, part in splits.items()},
        indices={name: [split.indices for split in part] for name, part in splits.items()},
    )


def _not_empty(part: list[Split]) -> list[Dataset]:
    """Without the data sets that give nothing; a split of nothing at all keeps one, to be empty."""
    datasets = [split.dataset for split in part]
    return [dataset for dataset in datasets if len(dataset)] or datasets[:1]


def _by_frames(specs: tuple[DatasetSpec, ...], *others: SplitSpec) -> bool:
    named = any(isinstance(other, Indices) for other in others)
    return named and len(specs) == 1 and specs[0].indices is not None


def _whole(dataset: Dataset) -> Split:
    return Split(dataset, dataset.frames)


def dataset_info(options: TrainingOptions, splits: Splits) -> DatasetInfo:
    """Elements, units and targets of the training set.

    :raises DataError: when ``atomic_types`` leaves out an element of the training set
    """
    training = splits.datasets["training"]
    found = sorted({int(t) for data in training for t in np.unique(data.structures.types)})
    types = options.architecture.atomic_types
    for name in SPLITS[1:]:
        _check_types(splits.datasets[name], name, found if types is None else types)
    if types is not None and (unnamed := sorted(set(found) - set(types))):
        raise DataError(
            f"the training set holds the atomic types {unnamed}, which architecture.atomic_types "
            f"{list(types)} leaves out; add them there, or leave the option out"
        )
    info: DatasetInfo | None = None
    for spec in options.training_set:
        targets = {target.name: _target_info(target, training) for target in spec.targets}
        unit = spec.systems.length_unit or ""
        part = DatasetInfo(unit, tuple(types if types is not None else found), targets)
        info = part if info is None else info.union(part)
    assert info is not None, "the options have at least one data set"
    return info


def _check_types(datasets: list[Dataset], split: str, known: Sequence[int]) -> None:
    """Refuse what the model could not predict, before hours of training and not after."""
    for data in datasets:
        unknown = ~np.isin(data.structures.types, known)
        if unknown.any():
            atom = int(np.argmax(unknown))
            frame = data.frames[data.structures.system_of_atom[atom]]
            raise DataError(
                f"{data.source}, frame {frame}: the {split} set holds the atomic type "
                f"{data.structures.types[atom]}, and the model gets only {list(known)}; "
                "remove the frame, or add the type to the training set and, where it is given, to "
                "architecture.atomic_types"
            )


def _target_info(target: TargetSpec, training: Iterable[Dataset]) -> TargetInfo:
    having = [data.labels[target.name] for data in training if target.name in data.labels]
    gradients = sorted({gradient for labels in having for gradient in labels.gradients})
    return TargetInfo(
        quantity=target.quantity,
        unit=target.unit,
        sample_kind=target.sample_kind,
        type=target_type_from_dict(target.type),
        num_subtargets=target.num_subtargets,
        gradients=tuple(gradients),
        description=target.description,
    )
