"""What the model says of a batch, in the scaled units in which it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mt_shared.data import Batch, BatchTarget
from mt_shared.model import TrainableModel, differentiable, energy_gradients


@dataclass(frozen=True)
class Prediction:
    """One target: values (S, P) or (A, P), and the gradients that the labels have too."""

    values: Tensor
    gradients: dict[str, Tensor]


def part(of: Prediction | BatchTarget, gradient: str) -> Tensor:
    """A gradient of predictions or labels by its name; ``""`` names the values themselves."""
    return of.gradients[gradient] if gradient else of.values


def predict(model: TrainableModel[Any], batch: Batch, training: bool) -> dict[str, Prediction]:
    """All targets of the batch, with the derivatives that its labels ask for.

    :param training: whether the results will be differentiated for the weights
    """
    needs_gradient = any(target.gradients for target in batch.targets.values())
    graph = differentiable(batch.graph) if needs_gradient else batch.graph
    predictions = {}
    with torch.set_grad_enabled(training or needs_gradient):
        values = model.values(graph, list(batch.targets))
        for name, target in batch.targets.items():
            gradients = {}
            if target.gradients:
                # the loss is differentiated once more, by the weights
                gradients = energy_gradients(values[name], graph, target.gradients, training)
            predictions[name] = Prediction(values[name], gradients)
    return predictions
