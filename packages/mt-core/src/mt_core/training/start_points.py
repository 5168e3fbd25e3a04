"""Where a training starts from: random weights, or the model of a checkpoint (fine-tuning).

A restart is the third start point, in ``restart.py``. Each says what it has to say of the data, and
makes the model and the trainer.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_core.evaluation import failing, open_checkpoint
from mt_core.loading import Splits
from mt_core.options import TrainingOptions
from mt_core.training.option_changes import FINETUNE, changes
from mt_shared.contract import (
    Architecture,
    Checkpoint,
    DatasetInfo,
    ModelInterface,
    TargetInfo,
    TrainerInterface,
    check_keys,
)
from mt_shared.data import target_info
from mt_shared.engine import differences, inheritance_fault
from mt_shared.errors import CheckpointError, OptionsError
from mt_shared.options import TargetSpec, deep_merge

ModelAndTrainer = tuple[ModelInterface[Any], TrainerInterface[Any]]


class StartPoint(ABC):
    """Where a training starts from."""

    seed: int | None
    """Of the run that goes on; None: the options or chance decide."""

    checkpoint: dict[str, Any] | None
    """What the model starts from; None: random weights."""

    def describe(self) -> str | None:
        """What the user is told of it before the data are read."""
        return None

    def check_data(self, splits: Splits) -> None:  # noqa: B027
        """Refuse data that do not go with this start; any will do, if nothing else is said."""

    @abstractmethod
    def make(
        self, options: TrainingOptions, architecture: Architecture, info: DatasetInfo
    ) -> ModelAndTrainer:
        """Model and trainer, ready for these data."""


class RandomWeights(StartPoint):
    """A new model."""

    seed = None
    checkpoint = None

    def make(
        self, options: TrainingOptions, architecture: Architecture, info: DatasetInfo
    ) -> ModelAndTrainer:
        hypers = options.architecture
        trainer = architecture.trainer_class(hypers.training)
        return architecture.model_class(hypers.model, info), trainer


@dataclass(frozen=True)
class OtherModel(StartPoint):
    """A trained model that is fine-tuned; its checkpoint is of the current version."""

    checkpoint: dict[str, Any]
    seed = None

    def make(
        self, options: TrainingOptions, architecture: Architecture, info: DatasetInfo
    ) -> ModelAndTrainer:
        return from_checkpoint(self.checkpoint, "finetune", options, architecture, info)


def from_checkpoint(
    checkpoint: dict[str, Any],
    context: str,
    options: TrainingOptions,
    architecture: Architecture,
    info: DatasetInfo,
) -> ModelAndTrainer:
    """Model and trainer of a checkpoint of the current version, extended to these data."""
    model_class, trainer_class = architecture.model_class, architecture.trainer_class
    with failing(model_class, "load_checkpoint", context, checkpoint):
        model = model_class.load_checkpoint(checkpoint, context)
    model = model.restart(info)
    with failing(trainer_class, "load_checkpoint", context, checkpoint):
        trainer = trainer_class.load_checkpoint(checkpoint, options.architecture.training, context)
    return model, trainer


def read_other_model(options: TrainingOptions, architecture: Architecture) -> OtherModel:
    """The model of ``training.finetune.read_from``, refused before any data are read if need be."""
    assert options.finetune is not None
    path = Path(options.finetune["read_from"])
    checkpoint = open_checkpoint(path)
    check_architecture(checkpoint, architecture.name)
    checkpoint = upgraded(checkpoint, architecture)
    # an upgrade gives whatever its author makes of what was there
    check_keys(checkpoint, Checkpoint, f"upgrade_checkpoint of {architecture.name}", f"'{path}'")
    known = DatasetInfo.from_dict(checkpoint["dataset_info"])

    # against what the user wrote alone: defaults may have changed since the model was made
    own = checkpoint["model_hypers"]
    wanted = deep_merge(own, options.written_model)
    different = changes(*({"architecture": {"model": each}} for each in (own, wanted)))
    if different:
        raise OptionsError(
            f"the model of '{path}' ({FINETUNE}) keeps the hypers that it was made with, and the "
            f"options give others: {'; '.join(map(str, different))}. Leave them out, or train a "
            "new model"
        )
    faults = [*_unit_faults(options, known), *_input_faults(options, known)]
    if faults:
        raise CheckpointError(
            f"'{path}' ({FINETUNE}) does not go with these data: {'; '.join(faults)}. A model "
            "keeps its inputs, and the units that it was trained in: give it the same, convert the "
            "data, or name the units of the model if they are meant"
        )
    # a head may be inherited from a target of the model by one that these data bring
    targets = known.targets | {name: target_info(each) for name, each in options.targets.items()}
    for new, old in options.finetune.get("inherit_heads", {}).items():
        fault = inheritance_fault(new, old, targets, known.targets)
        if fault is not None:
            raise OptionsError(f"architecture.training.finetune.inherit_heads: {fault}")
    return OtherModel(checkpoint)


def _unit_faults(options: TrainingOptions, known: DatasetInfo) -> Iterator[str]:
    for unit in dict.fromkeys(spec.systems.length_unit or "" for spec in options.training_set):
        if unit != known.length_unit:
            yield f"it has lengths in '{known.length_unit}', the options in '{unit}'"
    yield from _other_fields("target", options.targets, known.targets)


def _input_faults(options: TrainingOptions, known: DatasetInfo) -> Iterator[str]:
    if set(options.inputs) != set(known.inputs):
        ours, theirs = (", ".join(names) or "no inputs" for names in (options.inputs, known.inputs))
        yield f"it was made to read {theirs}, and the options give {ours} (extra_data)"
    yield from _other_fields("input", options.inputs, known.inputs)


def _other_fields(
    kind: str, given: Mapping[str, TargetSpec], known: Mapping[str, TargetInfo]
) -> Iterator[str]:
    """Where a target or an input that both have is not the same."""
    for name in [name for name in given if name in known]:
        for field, ours, theirs in differences(target_info(given[name]), known[name]):
            yield f"its {kind} '{name}' has the {field} {theirs!r}, that of the options {ours!r}"


def upgraded(checkpoint: dict[str, Any], architecture: Architecture) -> dict[str, Any]:
    """A checkpoint brought to the current version."""
    model_class = architecture.model_class
    with failing(model_class, "upgrade_checkpoint", checkpoint=checkpoint):
        current = model_class.upgrade_checkpoint(checkpoint)
    # a model that was saved by itself has nothing of a trainer
    if "trainer_version" in current:
        trainer_class = architecture.trainer_class
        with failing(trainer_class, "upgrade_checkpoint", checkpoint=checkpoint):
            current = trainer_class.upgrade_checkpoint(current)
    return current


def check_architecture(checkpoint: dict[str, Any], name: str) -> None:
    """Refuse the checkpoint of another architecture."""
    if checkpoint["architecture"] != name:
        raise CheckpointError(
            f"the checkpoint is of the architecture '{checkpoint['architecture']}', the options "
            f"are for '{name}'; a model cannot change its architecture"
        )
