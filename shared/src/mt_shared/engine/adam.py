"""Adam and AdamW on one flat vector of all parameters.

``torch.optim`` imports the compiler of torch (``torch._dynamo`` and sympy) with the first optimizer
that is made, which takes as long as importing torch itself. The steps are those of
``torch.optim.Adam`` and ``AdamW``, which the tests compare them with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Adam:
    """Kingma and Ba, arXiv:1412.6980; with ``decoupled``, AdamW (Loshchilov and Hutter).

    A parameter that no label of a batch reaches has a gradient of zero there.

    :param decoupled: whether the decay of the weights is apart from the gradient
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
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter by its gradient."""
        self.num_steps += 1
        gradient = self._flat_gradient()
        self.mean.lerp_(gradient, 1 - BETAS[0])
        self.square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        mean_bias = 1 - BETAS[0] ** self.num_steps
        square_bias = 1 - BETAS[1] ** self.num_steps
        deviation = self.square.sqrt().div_(math.sqrt(square_bias)).add_(EPSILON)
        change = (self.mean / deviation).mul_(self.learning_rate / mean_bias)
        sizes = [parameter.numel() for parameter in self.parameters]
        for parameter, part in zip(self.parameters, change.split(sizes)):
            if self.decoupled and self.weight_decay:
                parameter.mul_(1 - self.learning_rate * self.weight_decay)
            parameter.sub_(part.view_as(parameter))

    def _flat_gradient(self) -> torch.Tensor:
        parts = []
        for parameter in self.parameters:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            if self.weight_decay and not self.decoupled:
                gradient = gradient.add(parameter, alpha=self.weight_decay)
            parts.append(gradient.flatten())
        return torch.cat(parts)

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
        self.num_steps = state["num_steps"]
        self.learning_rate = state["learning_rate"]
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
