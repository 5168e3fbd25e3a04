"""Optimizer and learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from mt_shared.errors import ArchitectureError

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Optimizer(Protocol):
    """What the trainer needs of an optimizer; :class:`TorchOptimizer` makes one of torch's."""

    parameters: list[torch.nn.Parameter]
    """What it changes."""

    learning_rate: float
    """Of the next step: the trainer sets it before each."""

    def zero_grad(self) -> None:
        """Forget the gradients of the step before."""

    def step(self) -> None:
        """Change the parameters by their gradients; those without one have a gradient of zero."""

    def state(self) -> dict[str, Any]:
        """Tensors and plain values for the checkpoint."""

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`, for the same parameters."""


class Adam:
    r"""Adam (Kingma and Ba, arXiv:1412.6980) or AdamW (Loshchilov and Hutter, arXiv:1711.05101).

    .. math::

        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2,
        \quad \theta \leftarrow \theta
        - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    The steps are those of ``torch.optim``, which the tests compare them with; but that imports the
    compiler of torch (``torch._dynamo`` and sympy) with the first optimizer that is made, which
    takes as long as importing torch itself. What ``torch.optim`` calls for a step, one kernel for
    all parameters, is called here too; where torch has none, a few for lists of them. ``m`` and
    ``v`` are parts of flat vectors of all parameters, as a checkpoint has them.

    A parameter that no label of a batch reaches has a gradient of zero there; one that none has
    reached in any batch stays as it is, whatever the weight decay.

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
        self._kernel = _fused_kernel(self.parameters, weight_decay, decoupled)
        # what the kernel is given: for each parameter its part of the vectors, and the step
        self._means, self._squares = self._parts(self.mean), self._parts(self.square)
        self._step = torch.zeros((), dtype=torch.float32, device=flat.device)
        # whether a parameter has ever had a gradient
        self._reached = [False] * len(self.parameters)

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        self.num_steps += 1
        for index, parameter in enumerate(self.parameters):
            self._reached[index] = self._reached[index] or parameter.grad is not None
        chosen = [index for index, reached in enumerate(self._reached) if reached]
        parameters: list[Tensor] = [self.parameters[index] for index in chosen]
        gradients = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.contiguous()
            for parameter in parameters
        ]
        means = [self._means[index] for index in chosen]
        squares = [self._squares[index] for index in chosen]
        if self._kernel is None:
            self._step_by_calls(parameters, gradients, means, squares)
            return
        steps = [self._step.fill_(self.num_steps)] * len(parameters)
        self._kernel(parameters, gradients, means, squares, [], steps, lr=self.learning_rate)

    def _step_by_calls(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        means: list[Tensor],
        squares: list[Tensor],
    ) -> None:
        """What the kernel does, in calls that every torch has for every device and dtype."""
        if self.weight_decay and self.decoupled:
            torch._foreach_mul_(parameters, 1 - self.learning_rate * self.weight_decay)
        elif self.weight_decay:
            decays = torch._foreach_mul(parameters, self.weight_decay)
            gradients = list(torch._foreach_add(gradients, decays))
        torch._foreach_lerp_(means, gradients, 1 - BETAS[0])
        torch._foreach_mul_(squares, BETAS[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - BETAS[1])
        # both means begin at zero, which makes them too small in the first steps
        mean_bias = 1 - BETAS[0] ** self.num_steps
        square_bias = 1 - BETAS[1] ** self.num_steps
        deviations = torch._foreach_sqrt(squares)
        torch._foreach_div_(deviations, math.sqrt(square_bias))
        torch._foreach_add_(deviations, EPSILON)
        torch._foreach_addcdiv_(parameters, means, deviations, -self.learning_rate / mean_bias)

    def _parts(self, flat: Tensor) -> list[Tensor]:
        """Of a vector of all parameters a view for each, in its shape."""
        parts = flat.split([parameter.numel() for parameter in self.parameters])
        return [part.view(parameter.shape) for part, parameter in zip(parts, self.parameters)]

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
        self._reached = [bool(square.any()) for square in self._squares]


def _fused_kernel(
    parameters: list[torch.nn.Parameter], weight_decay: float, decoupled: bool
) -> Callable[..., None] | None:
    """Torch's kernel for a step of all parameters; None where it is missing or refuses them.

    It is private to torch, so that any version may take it away or change how it is called.
    """
    kernel = getattr(torch, "_fused_adamw_" if decoupled else "_fused_adam_", None)
    kinds = {(parameter.dtype, parameter.device) for parameter in parameters}
    # it goes through memory without a look at strides
    if kernel is None or len(kinds) > 1 or not all(each.is_contiguous() for each in parameters):
        return None
    settings = {"beta1": BETAS[0], "beta2": BETAS[1], "eps": EPSILON, "weight_decay": weight_decay}
    fused = partial(kernel, **settings, amsgrad=False, maximize=False)
    ((dtype, device),) = kinds
    trial = [[torch.zeros(1, dtype=dtype, device=device)] for _ in range(4)]
    try:
        fused(*trial, [], [torch.ones((), device=device, dtype=torch.float32)], lr=0.0)
    except (NotImplementedError, RuntimeError, TypeError):
        return None
    return fused


class TorchOptimizer:
    """The trainer's view of an optimizer of torch, such as a hook ``make_optimizer`` gives.

    The first group of parameters has the learning rate of the trainer, and the others keep their
    ratio to it. ``step`` is called without a closure, which rules out ``torch.optim.LBFGS``.

    :raises ArchitectureError: if the first group has a learning rate of zero
    """

    def __init__(self, optimizer: torch.optim.Optimizer):
        if isinstance(optimizer, torch.optim.LBFGS):
            raise ArchitectureError(
                "make_optimizer gives LBFGS, which wants the loss anew several times in a step; "
                "the trainer can use an optimizer that makes a step of one gradient"
            )
        self.optimizer = optimizer
        self.parameters = [each for group in optimizer.param_groups for each in group["params"]]
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        if rates[0] == 0:
            raise ArchitectureError(
                "the first group of parameters of the optimizer has a learning rate of zero, to "
                "which the others have no ratio: give it the hyper 'learning_rate', or put another "
                "group first"
            )
        self._ratios = [rate / rates[0] for rate in rates]

    @property
    def learning_rate(self) -> float:
        """That of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        for group, ratio in zip(self.optimizer.param_groups, self._ratios):
            group["lr"] = ratio * rate

    def zero_grad(self) -> None:
        self.optimizer.zero_grad()

    def step(self) -> None:
        for parameter in self.parameters:
            # torch passes over what has no gradient, and then its means do not decay
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """Tensors and plain values for the checkpoint."""
        return self.optimizer.state_dict()

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`, but for the settings: those of the options are obeyed."""
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({**state, "param_groups": groups})
        # of the last step: an epoch may be interrupted between it and its line in the log
        self.learning_rate = float(state["param_groups"][0]["lr"])


class Schedule:
    """The learning rate as a function of progress, and of the validation for ``plateau``.

    A linear warm-up over ``warmup_fraction`` of the training, then ``cosine`` down to zero,
    ``constant``, or ``plateau``: constant, times ``factor`` whenever the metric has not fallen
    for ``patience`` epochs. All of it is halved whenever the training diverges.
    """

    def __init__(self, hypers: dict[str, Any]):
        self.kind = hypers["scheduler"]["type"]
        self.settings = hypers["scheduler"]
        self.learning_rate = hypers["learning_rate"]
        self.warmup = hypers["warmup_fraction"]
        self.reduction = 1.0
        self.best = math.inf
        self.bad_epochs = 0
        self.halvings = 0

    @property
    def factor(self) -> float:
        """What is left of the rate after divergences."""
        return 0.5**self.halvings

    def rate(self, progress: float) -> float:
        """The learning rate at a progress between 0 (start) and 1 (end of the training)."""
        return self.factor * self._planned(progress)

    def _planned(self, progress: float) -> float:
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
        return {
            "reduction": self.reduction,
            "best": self.best,
            "bad_epochs": self.bad_epochs,
            "halvings": self.halvings,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self.reduction, self.best = state["reduction"], state["best"]
        self.bad_epochs = state["bad_epochs"]
        # checkpoints from before divergences were mended have none
        self.halvings = state.get("halvings", 0)
