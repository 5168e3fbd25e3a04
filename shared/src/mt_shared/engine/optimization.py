"""Optimizers, learning rates and averaged weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mt_shared.engine.adam import Adam


def make_optimizer(model: torch.nn.Module, hypers: dict[str, Any]) -> Adam:
    """Adam or AdamW over the parameters that are to be trained."""
    return Adam(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        learning_rate=hypers["learning_rate"],
        weight_decay=hypers["weight_decay"],
        decoupled=hypers["optimizer"] == "adamw",
    )


def make_average(model: torch.nn.Module, decay: float | None) -> AveragedModel | None:
    """The exponential moving average of the weights, or None without ``ema_decay``."""
    if decay is None:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))


class Schedule:
    """The learning rate as a function of progress, and of the validation for ``plateau``.

    A linear warm-up over ``warmup_fraction`` of the training, then ``cosine`` down to zero,
    ``constant``, or ``plateau``: constant, times ``factor`` whenever the metric has not fallen
    for ``patience`` epochs.
    """

    def __init__(self, hypers: dict[str, Any]):
        self.kind = hypers["scheduler"]["type"]
        self.settings = hypers["scheduler"]
        self.learning_rate = hypers["learning_rate"]
        self.warmup = hypers["warmup_fraction"]
        self.reduction = 1.0
        self.best = math.inf
        self.bad_epochs = 0

    def rate(self, progress: float) -> float:
        """The learning rate at a progress between 0 (start) and 1 (end of the training)."""
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        if self.kind == "cosine":
            phase = (progress - self.warmup) / (1.0 - self.warmup)
            return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(phase, 1.0)))
        rate = self.learning_rate * self.reduction
        return max(rate, self.settings["min_learning_rate"]) if self.kind == "plateau" else rate

    def after_epoch(self, metric: float) -> None:
        """Take note of the validation metric of an epoch."""
        if self.kind != "plateau":
            return
        if metric < self.best:
            self.best, self.bad_epochs = metric, 0
            return
        self.bad_epochs += 1
        if self.bad_epochs > self.settings["patience"]:
            self.reduction, self.bad_epochs = self.reduction * self.settings["factor"], 0

    def state(self) -> dict[str, float | int]:
        """Plain values for the checkpoint."""
        return {"reduction": self.reduction, "best": self.best, "bad_epochs": self.bad_epochs}

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self.reduction, self.best = state["reduction"], state["best"]
        self.bad_epochs = state["bad_epochs"]
