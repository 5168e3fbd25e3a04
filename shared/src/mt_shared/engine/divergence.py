"""When a training has diverged, and the state that it goes back to."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch

from mt_shared.data import cut_batches
from mt_shared.engine.prediction import Prediction
from mt_shared.engine.state import Training

MAX_HALVINGS = 10
"""So often the learning rate is halved, before a training is given up."""

LARGE = 1e3
"""Labels are scaled to be of order one, and so is the loss of a model that predicts nothing. A loss
up to this is not looked at closer."""

ABSURD = 1e4
"""A loss this many times that of a model that predicts nothing is no progress."""


def divergence(run: Training) -> str | None:
    """What shows that the epoch which has just ended led nowhere, or None if nothing does.

    It looks at numbers that are read at the end of an epoch anyway; of weights, which may have left
    the finite numbers in the very last step, at one sum.
    """
    assert run.position.loss is not None, "an epoch has ended"
    loss = float(run.position.loss)
    if not math.isfinite(loss):
        return f"the loss became {loss}"
    parameters = [each.detach() for each in run.evaluated_model.parameters()]
    if not math.isfinite(float(torch.stack(torch._foreach_norm(parameters)).sum())):
        return "weights became infinite or NaN"
    if loss > LARGE and loss > ABSURD * loss_of_nothing(run):
        return (
            f"the loss became {loss:.1e}, over {ABSURD:,.0f} times that of a model that predicts "
            "nothing"
        )
    return None


@torch.no_grad()
def loss_of_nothing(run: Training) -> float:
    """The loss on the training set of a model that predicts no more than its baselines."""
    total, number = 0.0, 0
    order, num_atoms = torch.arange(len(run.train)), run.train.num_atoms.cpu()
    for indices in cut_batches(order, num_atoms, 64, None):
        batch = run.train.batch(indices.to(run.train.vectors.device))
        nothing = {
            name: Prediction(
                torch.zeros_like(target.values),
                {part: torch.zeros_like(each) for part, each in target.gradients.items()},
            )
            for name, target in batch.targets.items()
        }
        total += float(run.loss(nothing, batch)) * len(indices)
        number += len(indices)
    return total / number


def copy_of_state(run: Training, extra: dict[str, Any]) -> dict[str, Any]:
    """All that a training needs to be taken back to this moment, in memory of its own."""
    state = run.state()
    # its rows never change, and of many epochs they are many
    history = list(state.pop("history"))
    copied = copy.deepcopy({"model": run.model.state_dict(), "trainer": {**state, "extra": extra}})
    copied["trainer"]["history"] = history
    return copied
