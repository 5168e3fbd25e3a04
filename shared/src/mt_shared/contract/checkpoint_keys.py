"""What is in a checkpoint: the keys that anyone but their writer reads.

Each class adds to the one above it, and its docstring says who writes its keys and who reads them.
Whatever else model and trainer save under other names is their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from torch import Tensor

from mt_shared.errors import CheckpointError


class CheckpointHeader(TypedDict):
    """Written by :func:`checkpoint_header`: whose file it is, so that anything can be read of it.

    ``mt`` finds the architecture by its name, and says what to install by the other two.
    """

    format: str
    """``mt-checkpoint``"""
    architecture: str
    """Name in options files."""
    distribution: str
    """Name of the package that wrote it."""
    distribution_version: str
    """Version of that package."""


class Checkpoint(CheckpointHeader):
    """Every checkpoint: what ``get_checkpoint`` of every model has to give.

    Read before the model is built: fine-tuning and restart compare them with the options, ``mt``
    checks units, targets and atomic types by them, and the suite makes models of kept checkpoints.
    """

    model_hypers: dict[str, Any]
    """The section ``model`` that the model was made with, complete."""
    dataset_info: dict[str, Any]
    """``DatasetInfo.to_dict()`` of the model."""


class TrainingCheckpoint(Checkpoint):
    """What ``save_checkpoint`` of a trainer adds, so that a training can be continued.

    A checkpoint without ``trainer`` holds a model alone: it can be exported and fine-tuned, and not
    restarted.
    """

    trainer_hypers: dict[str, Any]
    """The section ``training``, complete: a restart compares it with the options."""
    trainer: dict[str, Any]
    """The state of the training, which is the trainer's own. Where it has a ``seed``, a restart
    that finds no options beside the checkpoint takes it for the division of the data; where it has
    an ``epoch`` of 0, ``mt export`` and ``mt eval`` say that no epoch has ended."""


class BaseModelCheckpoint(Checkpoint):
    """What ``BaseModel.get_checkpoint`` gives, and upgrades of such a model may count on."""

    model_version: int
    """``__checkpoint_version__`` of the model."""
    metadata: dict[str, Any]
    """``metadata_to_dict`` of the model's metadata."""
    type_groups: list[list[int]]
    """Atomic types in the order in which the model learnt them: those that it was made with, and
    those of each later ``restart``."""
    dtype: str
    """Of the parameters, such as ``float32``."""
    state: dict[str, Tensor]
    """``state_dict()`` as the training left it."""
    best_state: dict[str, Tensor] | None
    """That of the best epoch, for ``finetune`` and ``export``; None where ``state`` is the best."""


class EngineCheckpoint(TrainingCheckpoint):
    """What the shared trainer saves, with what the model gives: of a base model, the keys of
    :class:`BaseModelCheckpoint`; of any other, that model's own under ``author``.

    ``trainer`` is an :class:`EngineState`.
    """

    trainer_version: int
    """``__checkpoint_version__`` of the trainer."""
    dtype: str
    """Of the parameters, such as ``float32``."""
    state: dict[str, Tensor]
    """``state_dict()`` of what was trained, as the training left it."""
    best_state: dict[str, Tensor] | None
    """That of the best epoch, for ``finetune`` and ``export``; None where ``state`` is the best."""


class EngineState(TypedDict):
    """What is read of the shared trainer's state by others: an upgrade renames in the last two.

    The rest of it is the trainer's own.
    """

    seed: int
    """That of batches and rotations; see :class:`TrainingCheckpoint`."""
    average: dict[str, Tensor] | None
    """Averaged weights (``ema_decay``), with ``module.`` before the name of each."""
    trained: list[str]
    """The parameters that train, in the order in which the optimizer was given them."""


def check_keys(
    checkpoint: Mapping[str, Any], expected: Any, writer: str, name: str = "the checkpoint"
) -> None:
    """Refuse a checkpoint that lacks keys of one of the classes above.

    :param expected: the class, such as :class:`Checkpoint`
    :param writer: who has to give them, such as ``get_checkpoint of MyModel``
    :param name: what the checkpoint is called in the error, such as its file
    :raises CheckpointError: names the keys and the writer
    """
    lacking = sorted(expected.__required_keys__ - set(checkpoint))
    if lacking:
        keys = " and ".join(f"'{key}'" for key in lacking)
        raise CheckpointError(
            f"{name} lacks {keys}: {writer} has to give that; what is in a checkpoint is described "
            "in docs/api.md, 'Checkpoint keys'"
        )
