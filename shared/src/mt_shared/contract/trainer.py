"""The trainer's half of the contract."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import torch

from mt_shared.contract.checkpoints import Versioned
from mt_shared.contract.model import HypersType, ModelInterface


class Interrupted(Exception):
    """A signal ended the training; the state is saved in ``checkpoint``.

    :param todo: how the user gets what is missing
    """

    def __init__(
        self,
        signal_name: str,
        exit_code: int,
        checkpoint: Path,
        todo: str = "go on with the same command and --restart auto",
    ):
        super().__init__(f"{signal_name}: the training is saved in {checkpoint}; {todo}")
        self.exit_code = exit_code
        self.checkpoint = checkpoint


@dataclass(frozen=True)
class DryRun:
    """What one training step on the largest batch took, and an epoch by an estimate from it.

    ``peak_memory`` (bytes) is the process's own on a CPU, the allocator's on a GPU. ``num_epochs``
    is how many the training would take; None where that is not known beforehand.
    """

    seconds_per_epoch: float
    peak_memory: int
    steps_per_epoch: int
    largest_batch_atoms: int
    num_epochs: int | None


class TrainerInterface(Versioned, Generic[HypersType], metaclass=ABCMeta):
    """Trains the model of its architecture, which each method gets as ``model``.

    :param hypers: the section ``training`` of the architecture, complete and checked
    """

    version_key = "trainer_version"

    def __init__(self, hypers: HypersType):
        self.hypers = hypers

    @classmethod
    def trained_class(cls, model_class: type[ModelInterface[Any]]) -> type[ModelInterface[Any]]:
        """What this trainer trains of an architecture's ``__model__``: by default that itself."""
        return model_class

    @abstractmethod
    def train(
        self,
        model: Any,
        dtype: torch.dtype,
        devices: list[torch.device],
        train_datasets: list[Any],
        val_datasets: list[Any],
        checkpoint_dir: Path,
    ) -> None:
        """Train in place, writing checkpoints and ``train.csv`` into ``checkpoint_dir``.

        :param train_datasets: of :class:`mt_shared.data.dataset.Dataset`, as the others
        :raises Interrupted: when a signal asked to stop and the state is saved
        """

    @abstractmethod
    def save_checkpoint(self, model: Any, path: Path) -> None:
        """Write model and trainer to a file that a training can be continued from."""

    @classmethod
    @abstractmethod
    def load_checkpoint(
        cls, checkpoint: dict[str, Any], hypers: HypersType, context: str
    ) -> TrainerInterface[HypersType]:
        """The trainer of a checkpoint of the current version, with these hypers.

        :param context: ``restart`` (goes on where it stood) or ``finetune`` (begins anew)
        """

    def dry_run(
        self,
        model: Any,
        dtype: torch.dtype,
        devices: list[torch.device],
        train_datasets: list[Any],
        val_datasets: list[Any],
    ) -> DryRun | None:
        """Try one step on the largest batch, writing nothing; None where there are no steps."""
        return None


@dataclass(frozen=True)
class Architecture:
    """The two classes of an architecture and the people behind it, as the registry finds them.

    ``authors`` and ``maintainers`` are lists of ``("Name <mail>", "@handle")``.
    """

    name: str
    model_class: type[ModelInterface[Any]]
    trainer_class: type[TrainerInterface[Any]]
    authors: list[tuple[str, str]]
    maintainers: list[tuple[str, str]]
