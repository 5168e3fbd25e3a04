"""From the options to the data sets of a training, and to what a model has to know of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from mt_core.options import Indices, TrainingOptions
from mt_shared.contract import DatasetInfo, ModelInterface
from mt_shared.data import (
    Dataset,
    check_unit,
    dataset_fingerprint,
    gradient_factor,
    label_doubts,
    read_dataset,
    split_datasets,
    target_info,
    training_statistics,
    with_neighbor_lists,
)
from mt_shared.errors import DataError
from mt_shared.options import SYMBOLS, dump_yaml

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
        parts = [data for part in self.datasets.values() for data in part]
        found = [note for data in parts for note in (*data.lost, *data.notes)]
        return list(dict.fromkeys([*found, *label_doubts(parts)]))

    @property
    def fingerprints(self) -> dict[str, str]:
        """A hash of the structures, labels and inputs of each split, to know them again."""
        return {name: dataset_fingerprint(datasets) for name, datasets in self.datasets.items()}

    def for_training(self, model: ModelInterface[Any]) -> tuple[list[Dataset], list[Dataset]]:
        """Training and validation set for a trainer of this model, which may ask for samples."""
        training, validation = (
            with_neighbor_lists(self.datasets[name], model) for name in SPLITS[:2]
        )
        return training, validation

    def write(self, folder: Path) -> None:
        """``training.txt`` and so on, a frame a line, and ``fingerprints.yaml``."""
        folder.mkdir()
        (folder / FINGERPRINTS).write_text(dump_yaml(self.fingerprints), encoding="utf-8")
        # numbers, which a later options file can name as indices
        for name, parts in self.indices.items():
            for number, frames in enumerate(parts):
                suffix = f"_{number}" if len(parts) > 1 else ""
                np.savetxt(folder / f"{name}{suffix}.txt", frames, fmt="%d")


def check_units(options: TrainingOptions) -> None:
    """Refuse units that metatomic does not know, before any data are read."""
    for spec in options.specs:
        if spec.systems.length_unit:
            check_unit(spec.systems.length_unit, "length")
        for target in spec.targets:
            if target.unit:
                check_unit(target.unit, target.quantity)
            for gradient in target.gradients:
                gradient_factor(gradient, target.unit, spec.systems.length_unit)
        for each in spec.extra_data:
            if each.unit:
                check_unit(each.unit, each.quantity or each.name)


def unit_notes(options: TrainingOptions) -> Iterator[str]:
    """Energies without a unit; the readers say the same of lengths."""
    for name, target in options.targets.items():
        if target.quantity == "energy" and not target.unit:
            yield f"the target '{name}' has no unit; users of the model cannot convert it"


def type_notes(options: TrainingOptions, splits: Splits) -> Iterator[str]:
    """Atomic types that the options name and no structure for training has."""
    # a model that is fine-tuned may have learnt them before
    if options.architecture.atomic_types is None or options.finetune is not None:
        return
    training = splits.datasets["training"]
    found = {int(each) for data in training for each in np.unique(data.structures.types)}
    unseen = [each for each in options.architecture.atomic_types if each not in found]
    if unseen:
        names = ", ".join(SYMBOLS[each - 1] for each in unseen)
        yield (
            f"no structure of the training set has {names} (architecture.atomic_types): the model "
            "accepts these elements, and has learnt nothing of them"
        )


def read_splits(options: TrainingOptions, seed: int) -> Splits:
    """Read all files, each once, and divide what the options give as fractions or indices."""
    specs = options.training_set
    parts: dict[str, float | tuple[int, ...] | str] = {}
    found: dict[str, list[Dataset]] = {}
    others = {"validation": options.validation_set, "test": options.test_set}
    for name, spec in others.items():
        if isinstance(spec, tuple):
            found[name] = [read_dataset(each) for each in spec]
        else:
            parts[name] = spec.values if isinstance(spec, Indices) else spec
    by_frames = any(isinstance(each, Indices) for each in others.values())
    if by_frames and len(specs) == 1 and specs[0].indices is not None:
        # the frames of the other sets are named in the whole file, not in the part for training
        parts["training"] = specs[0].indices
        specs = (replace(specs[0], indices=None),)
    found |= split_datasets([read_dataset(spec) for spec in specs], parts, seed)
    datasets = {}
    for name in SPLITS:
        part = found[name]
        # without the data sets that give nothing; a split of nothing at all keeps one, to be empty
        datasets[name] = [dataset for dataset in part if len(dataset)] or part[:1]
    return Splits(datasets, {name: [data.frames for data in found[name]] for name in SPLITS})


def dataset_info(options: TrainingOptions, splits: Splits) -> DatasetInfo:
    """What a model has to know of the training set; other sets may have no other elements.

    The statistics hold on to the training set until ``statistics.forget_data()``.
    """
    training = splits.datasets["training"]
    # a model is made for the types of its training set, unless the options name more
    found = tuple(sorted({int(t) for data in training for t in np.unique(data.structures.types)}))
    types = options.architecture.atomic_types
    types = found if types is None else types
    # now, rather than after hours of training
    for name in SPLITS[1:]:
        fault = (
            f"the {name} set holds the atomic type {{type}}, and the model gets only "
            f"{list(types)}; remove the frame, or add the type to the training set and, where it "
            "is given, to architecture.atomic_types"
        )
        for data in splits.datasets[name]:
            check_types(data, types, fault)
    if unnamed := sorted(set(found) - set(types)):
        raise DataError(
            f"the training set holds the atomic types {unnamed}, which architecture.atomic_types "
            f"{list(types)} leaves out; add them there, or leave the option out"
        )
    labels = [data.labels for data in training]
    infos = []
    for spec in options.training_set:
        targets = {}
        for target in spec.targets:
            having = [each[target.name] for each in labels if target.name in each]
            gradients = {gradient for each in having for gradient in each.gradients}
            targets[target.name] = target_info(target, gradients)
        inputs = {each.name: target_info(each) for each in spec.extra_data}
        infos.append(DatasetInfo(spec.systems.length_unit or "", types, targets, inputs))
    info = reduce(DatasetInfo.union, infos)
    return replace(info, statistics=training_statistics(training))


def check_types(data: Dataset, known: Sequence[int], fault: str) -> None:
    """Refuse an atom of a type that is not known; ``fault`` has a place for its ``{type}``."""
    unknown = ~np.isin(data.structures.types, known)
    if unknown.any():
        atom = int(np.argmax(unknown))
        frame = data.frames[data.structures.system_of_atom[atom]]
        fault = fault.format(type=data.structures.types[atom])
        raise DataError(f"{data.source}, frame {frame}: {fault}")
