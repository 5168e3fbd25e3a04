"""Where a training stands: all that a restart needs to go on as if it had not stopped.

The state lies in a run folder as ``latest.ckpt``, the one before it as ``previous.ckpt``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from mt_shared.contract import write_checkpoint
from mt_shared.data import Batch, GraphStore
from mt_shared.engine.metrics import Metric
from mt_shared.engine.optimization import Optimizer, Schedule
from mt_shared.engine.prediction import Prediction
from mt_shared.errors import CheckpointError
from mt_shared.model import TrainableModel

StateDict = dict[str, Tensor]
Parameters = dict[str, torch.nn.Parameter]
LossFunction = Callable[[dict[str, Prediction], Batch], Tensor]


@dataclass
class Best:
    """The best model so far; epoch 0 means that no epoch has ended yet."""

    epoch: int = 0
    metric: float = math.inf
    state: StateDict | None = None


@dataclass
class Position:
    """Between which two steps the training stands."""

    # epochs that have ended, and steps of the next one
    epoch: int = 0
    step: int = 0
    # of these steps; None between two epochs
    sums: Tensor | None = None
    loss: Tensor | None = None


@dataclass
class Training:
    """A training that runs: its data, its model, and everything that changes with each step.

    :param metrics: their factors turn the model's raw numbers into their units
    :param trained: names of the optimizer's parameters, in its order
    :param threads: of a CPU; None before they are settled
    """

    model: TrainableModel[Any]
    train: GraphStore
    val: GraphStore
    loss: LossFunction
    metrics: list[Metric]
    optimizer: Optimizer
    trained: list[str]
    schedule: Schedule
    average: AveragedModel | None
    seed: int
    position: Position = field(default_factory=Position)
    best: Best = field(default_factory=Best)
    history: list[dict[str, float]] = field(default_factory=list)
    threads: int | None = None
    good: dict[str, Any] = field(default_factory=dict)
    """What a divergence goes back to: the end of the last epoch, in which there was none."""

    @property
    def device(self) -> torch.device:
        """Where the training is."""
        return self.train.vectors.device

    @property
    def is_on_gpu(self) -> bool:
        """Whether there are random numbers of a GPU."""
        return self.device.type == "cuda"

    @property
    def evaluated_model(self) -> TrainableModel[Any]:
        """The model that is validated and kept: with averaged weights where there are any."""
        if self.average is None:
            return self.model
        # torch's wrapper says no more than Module
        return cast(TrainableModel[Any], self.average.module)

    def random_of_step(self, step: int) -> torch.Generator:
        """The random numbers of a step of this epoch: a restart draws the same as no restart.

        The sequence hashes the three together, so that no step has those of another one.
        """
        numbers = (self.seed, self.position.epoch, step)
        (seed,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64).tolist()
        return torch.Generator().manual_seed(seed)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values for the checkpoint."""
        return {
            "seed": self.seed,
            "threads": self.threads,
            **vars(self.position),
            "optimizer": self.optimizer.state(),
            "trained": self.trained,
            "schedule": self.schedule.state(),
            "average": None if self.average is None else dict(self.average.state_dict()),
            "best_epoch": self.best.epoch,
            "best_metric": self.best.metric,
            "history": self.history,
            "random": torch.get_rng_state(),
            "random_cuda": [torch.cuda.get_rng_state(self.device)] if self.is_on_gpu else [],
        }

    def load_state(self, state: dict[str, Any], best_state: StateDict | None) -> None:
        """The inverse of :meth:`state`; the weights are already in the model."""
        self.seed = state["seed"]
        # checkpoints from before the number was settled do not have it
        self.threads = state.get("threads")
        self.position = Position(state["epoch"], state["step"])
        if state["sums"] is not None:
            # a checkpoint is read on the CPU, whatever wrote it
            device = self.train.vectors.device
            self.position.sums = state["sums"].to(device, copy=True)
            self.position.loss = state["loss"].to(device, copy=True)
        self.optimizer.load_state(state["optimizer"])
        self.schedule.load_state(state["schedule"])
        if self.average is not None and state["average"] is not None:
            self.average.load_state_dict(state["average"])
        self.best = Best(state["best_epoch"], state["best_metric"], best_state)
        self.history = list(state["history"])
        # of layers such as dropout: batches and rotations have generators of their own
        torch.set_rng_state(state["random"])
        saved = state["random_cuda"]
        if saved and self.is_on_gpu:
            # older checkpoints have those of all devices of another machine
            index = min(self.device.index or 0, len(saved) - 1)
            torch.cuda.set_rng_state(saved[index], self.device)


def in_saved_order(trained: Parameters, state: dict[str, Any]) -> Parameters:
    """The parameters that train, in the order in which a saved optimizer has its numbers.

    :raises CheckpointError: they are other ones than those of the checkpoint
    """
    # checkpoints from before the names were saved have them in the order of the model
    names = state["trained"] if "trained" in state else list(trained)
    gone, new = sorted(set(names) - set(trained)), sorted(set(trained) - set(names))
    if gone or new:
        raise CheckpointError(
            f"the optimizer in the checkpoint has trained {', '.join(gone[:3]) or 'less'}, and is "
            f"to train {', '.join(new[:3]) or 'less'} now: either other targets have labels than "
            "before, or an upgrade has renamed parameters by other means than "
            "mt_shared.model.rename_parameters"
        )
    return {name: trained[name] for name in names}


def write_rotating(checkpoint: dict[str, Any], folder: Path) -> Path:
    """Write ``latest.ckpt``; what it was becomes ``previous.ckpt``."""
    latest = folder / "latest.ckpt"
    write_checkpoint(checkpoint, latest, previous=folder / "previous.ckpt")
    return latest
