"""From energies to forces and stress, in the one way that all architectures share."""

import torch
from torch import Tensor

from mt_shared.data import Batch


def edge_gradient(energy: Tensor, vectors: Tensor, create_graph: bool) -> Tensor:
    """``d(sum of energies) / d(edge vectors)``, (E, 3); zero where nothing depends on them."""
    # The sum over structures gives the gradient of each one, since none feels another's edges. The
    # graph is kept: other targets of the batch are differentiated after this one.
    (gradient,) = torch.autograd.grad(
        energy.sum(), vectors, create_graph=create_graph, retain_graph=True, allow_unused=True
    )
    return torch.zeros_like(vectors) if gradient is None else gradient


def position_gradient(gradient: Tensor, batch: Batch) -> Tensor:
    """``dE/dr`` (A, 3), minus the forces, from the gradient on the edges (E, 3)."""
    # an edge is r_neighbor - r_center
    graph = batch.graph
    zeros = gradient.new_zeros((len(graph.species), 3))
    on_neighbors = zeros.index_add(0, graph.neighbors, gradient)
    return on_neighbors.index_add(0, graph.centers, gradient, alpha=-1)


def strain_gradient(gradient: Tensor, vectors: Tensor, batch: Batch) -> Tensor:
    """``dE/d(strain)`` (S, 3, 3), stress times volume, from the gradient on the edges (E, 3).

    A strain takes ``v`` to ``v + v strain``, so that each edge adds the outer product of its
    vector and its gradient. An edge belongs to the structure of its center.
    """
    products = vectors.unsqueeze(2) * gradient.unsqueeze(1)
    zeros = gradient.new_zeros((batch.num_systems, 3, 3))
    return zeros.index_add(0, batch.graph.system[batch.graph.centers], products)
