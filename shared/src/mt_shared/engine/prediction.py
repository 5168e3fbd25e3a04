"""What the model says of a batch, in the scaled units in which it is trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mt_shared.data import Batch
from mt_shared.model import BaseModel, edge_gradient, position_gradient, strain_gradient


@dataclass(frozen=True)
class Prediction:
    """One target: values (S, P) or (A, P), and the gradients that the labels have too."""

    values: torch.Tensor
    gradients: dict[str, torch.Tensor]


def predict(model: BaseModel, batch: Batch, training: bool) -> dict[str, Prediction]:
    """All targets of the batch, with the derivatives that its labels ask for.

    :param training: whether the results will be differentiated for the weights
    """
    needs_gradient = any(target.gradients for target in batch.targets.values())
    vectors = batch.vectors.detach().requires_grad_(needs_gradient)
    with torch.set_grad_enabled(training or needs_gradient):
        atomic = model.predict(vectors, batch.graph, list(batch.targets))
        return {
            name: _prediction(atomic[name], name, model, vectors, batch, training)
            for name in batch.targets
        }


def _prediction(
    atomic: torch.Tensor,
    name: str,
    model: BaseModel,
    vectors: torch.Tensor,
    batch: Batch,
    training: bool,
) -> Prediction:
    wanted = batch.targets[name].gradients
    if model.per_atom[name]:
        return Prediction(atomic, {})
    zeros = atomic.new_zeros((batch.num_systems, atomic.shape[1]))
    values = zeros.index_add(0, batch.graph.system, atomic)
    if not wanted:
        return Prediction(values, {})
    on_edges = edge_gradient(values, vectors, create_graph=training)
    gradients = {}
    if "positions" in wanted:
        gradients["positions"] = position_gradient(on_edges, batch)
    if "strain" in wanted:
        gradients["strain"] = strain_gradient(on_edges, vectors.detach(), batch)
    return Prediction(values, gradients)
