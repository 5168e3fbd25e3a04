"""Optimizer and learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Adam:
    r"""Adam (Kingma and Ba, arXiv:1412.6980) or AdamW (Loshchilov and Hutter, arXiv:1711.05101).

    .. math::

        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2,
        \quad \theta \leftarrow \theta
        - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    The steps are those of ``torch.optim``, which the tests compare them with; but that imports the
    compiler of torch (``torch._dynamo`` and sympy) with the first optimizer that is made, which
    takes as long as importing torch itself. And here ``m`` and ``v`` are flat vectors of all
    parameters: a few calls a step instead of a few for each parameter.

    A parameter that no label of a batch reaches has a gradient of zero there.

    :param decoupled: whether weight decay shrinks the weights directly (AdamW), or adds to ``g``
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        learning_rate: float,
        weight_decay: float,
        decoupled: bool,
    ):
        self.parameters = list(parameters)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.decoupled = decoupled
        self.num_steps = 0
        flat = torch.cat([parameter.detach().flatten() for parameter in self.parameters])
        self.mean = torch.zeros_like(flat)
        self.square = torch.zeros_like(flat)

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        self.num_steps += 1
        parts = []
        for parameter in self.parameters:
            part = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            if self.weight_decay and not self.decoupled:
                part = part.add(parameter, alpha=self.weight_decay)
            parts.append(part.flatten())
        gradient = torch.cat(parts)
        self.mean.lerp_(gradient, 1 - BETAS[0])
        self.square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        # both means begin at zero, which makes them too small in the first steps
        mean_bias = 1 - BETAS[0] ** self.num_steps
        square_bias = 1 - BETAS[1] ** self.num_steps
        deviation = self.square.sqrt().div_(math.sqrt(square_bias)).add_(EPSILON)
        change = (self.mean / deviation).mul_(self.learning_rate / mean_bias)
        sizes = [parameter.numel() for parameter in self.parameters]
        for parameter, part in zip(self.parameters, change.split(sizes)):
            if self.decoupled and self.weight_decay:
                parameter.mul_(1 - self.learning_rate * self.weight_decay)
            parameter.sub_(part.view_as(parameter))

    def state(self) -> dict[str, Any]:
        """Tensors and plain values for the checkpoint."""
        return {
            "num_steps": self.num_steps,
            # of the last step: an epoch may be interrupted between it and its line in the log
            "learning_rate": self.learning_rate,
            "mean": self.mean,
            "square": self.square,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self.num_steps, self.learning_rate = state["num_steps"], state["learning_rate"]
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])


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
        # Adam's first steps have the length of the rate, whatever the gradient: begin small.
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        if self.kind == "cosine":
            # from 0 at the end of the warm-up to 1
            phase = (progress - self.warmup) / (1.0 - self.warmup)
            return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(phase, 1.0)))
        rate = self.learning_rate * self.reduction
        return max(rate, self.settings["min_learning_rate"]) if self.kind == "plateau" else rate

    def after_epoch(self, metric: float) -> None:
        """Take note of the validation metric of an epoch."""
        if self.kind != "plateau":
            return
        # an infinite error is no progress either; NaN, where nothing is validated, never is
        better = metric < self.best
        self.best, self.bad_epochs = (metric, 0) if better else (self.best, self.bad_epochs + 1)
        if self.bad_epochs > self.settings["patience"]:
            self.reduction, self.bad_epochs = self.reduction * self.settings["factor"], 0

    def state(self) -> dict[str, float | int]:
        """Plain values for the checkpoint."""
        return {"reduction": self.reduction, "best": self.best, "bad_epochs": self.bad_epochs}

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self.reduction, self.best = state["reduction"], state["best"]
        self.bad_epochs = state["bad_epochs"]
