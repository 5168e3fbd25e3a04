"""Where a training stands: all that a restart needs to go on as if it had not stopped."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from mt_shared.data import GraphStore
from mt_shared.engine.adam import Adam
from mt_shared.engine.loss import Loss
from mt_shared.engine.metrics import Metric
from mt_shared.engine.optimization import AveragedModel, Schedule
from mt_shared.model import BaseModel

StateDict = dict[str, torch.Tensor]


@dataclass
class Best:
    """The best model so far; epoch 0 means that no epoch has ended yet."""

    epoch: int = 0
    metric: float = math.inf
    state: StateDict | None = None


@dataclass
class Position:
    """Between which two steps the training stands.

    ``sums`` are the errors and the loss of the steps of this epoch that are done.
    """

    epoch: int = 0
    step: int = 0
    sums: torch.Tensor | None = None
    loss: torch.Tensor | None = None


@dataclass
class Training:
    """A training that runs: its data, its model, and everything that changes with each step."""

    model: BaseModel
    train: GraphStore
    val: GraphStore
    loss: Loss
    metrics: list[Metric]
    scales: dict[str, float]
    optimizer: Adam
    schedule: Schedule
    average: AveragedModel | None
    seed: int
    position: Position = field(default_factory=Position)
    best: Best = field(default_factory=Best)
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def evaluated_model(self) -> BaseModel:
        """The model that is validated and kept: with averaged weights where there are any."""
        if self.average is None:
            return self.model
        averaged = self.average.module
        assert isinstance(averaged, BaseModel)
        return averaged

    def state(self) -> dict[str, Any]:
        """Tensors and plain values for the checkpoint."""
        position = self.position
        return {
            "seed": self.seed,
            "epoch": position.epoch,
            "step": position.step,
            "sums": position.sums,
            "loss": position.loss,
            "optimizer": self.optimizer.state(),
            "schedule": self.schedule.state(),
            "average": None if self.average is None else dict(self.average.state_dict()),
            "best_epoch": self.best.epoch,
            "best_metric": self.best.metric,
            "history": self.history,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        }

    def load_state(self, state: dict[str, Any], best_state: StateDict | None) -> None:
        """The inverse of :meth:`state`; the weights are already in the model."""
        device = self.train.vectors.device
        sums, loss = (_to(state[name], device) for name in ("sums", "loss"))
        self.position = Position(state["epoch"], state["step"], sums, loss)
        self.optimizer.load_state(state["optimizer"])
        self.schedule.load_state(state["schedule"])
        if self.average is not None and state["average"] is not None:
            self.average.load_state_dict(state["average"])
        self.best = Best(state["best_epoch"], state["best_metric"], best_state)
        self.history = list(state["history"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"]:
            torch.cuda.set_rng_state_all(state["random_cuda"])


def _to(tensor: torch.Tensor | None, device: torch.device) -> torch.Tensor | None:
    return None if tensor is None else tensor.to(device)
