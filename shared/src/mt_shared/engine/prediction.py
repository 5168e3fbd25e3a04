"""What the model says of a batch, in the scaled units in which it is trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mt_shared.data import Batch, BatchTarget
from mt_shared.model import BaseModel, edge_gradient, position_gradient, strain_gradient


@dataclass(frozen=True)
class Prediction:
    """One target: values (S, P) or (A, P), and the gradients that the labels have too."""

    values: Tensor
    gradients: dict[str, Tensor]


def part(of: Prediction | BatchTarget, gradient: str) -> Tensor:
    """A gradient of predictions or labels by its name; ``""`` names the values themselves."""
    return of.gradients[gradient] if gradient else of.values


def predict(model: BaseModel, batch: Batch, training: bool) -> dict[str, Prediction]:
    """All targets of the batch, with the derivatives that its labels ask for.

    :param training: whether the results will be differentiated for the weights
    """
    needs_gradient = any(target.gradients for target in batch.targets.values())
    vectors = batch.vectors.detach().requires_grad_(needs_gradient)
    predictions = {}
    with torch.set_grad_enabled(training or needs_gradient):
        atomic = model.predict(vectors, batch.graph, list(batch.targets))
        for name, target in batch.targets.items():
            values, gradients = atomic[name], {}
            if not model.per_atom[name]:
                values = sum_over_atoms(values, batch)
            if target.gradients:
                # All derivatives go through the edge vectors, so that one backward pass gives
                # forces and stress; the loss is differentiated once more, by the weights, which
                # needs the graph of it.
                on_edges = edge_gradient(values, vectors, create_graph=training)
                if "positions" in target.gradients:
                    gradients["positions"] = position_gradient(on_edges, batch)
                if "strain" in target.gradients:
                    # detached: the weights, by which the loss will be differentiated, are not in
                    # the vectors
                    gradients["strain"] = strain_gradient(on_edges, vectors.detach(), batch)
            predictions[name] = Prediction(values, gradients)
    return predictions


def sum_over_atoms(values: Tensor, batch: Batch) -> Tensor:
    """Sums (S, P) over the atoms of each structure of values (A, P)."""
    zeros = values.new_zeros((batch.num_systems, values.shape[1]))
    return zeros.index_add(0, batch.graph.system, values)
