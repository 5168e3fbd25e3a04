"""From energies to forces and stress, in the one way that all architectures share.

Letters of shapes: A atoms, E edges, S structures.
"""

from collections.abc import Collection

import torch
from torch import Tensor

from mt_shared.data import Graph


def differentiable(graph: Graph) -> Graph:
    """The graph with new leaves for all that an energy can be differentiated by."""
    return graph._replace(
        vectors=graph.vectors.detach().requires_grad_(),
        positions=graph.positions.detach().requires_grad_(),
        cells=graph.cells.detach().requires_grad_(),
    )


def energy_gradients(
    energy: Tensor, graph: Graph, gradients: Collection[str], create_graph: bool
) -> dict[str, Tensor]:
    """Derivatives of energies: ``positions`` (A, 3), minus the forces, and ``strain`` (S, 3, 3),
    stress times volume.

    All of them come from one backward pass, to the edge vectors and to what else the model reads:
    what moves with an atom is its edges, and itself; what a strain takes from ``v`` to
    ``v + v strain`` is edges, positions and cells. They are zero where the energies do not depend
    on any of these.

    :param energy: of structures or atoms, computed from the leaves of ``graph``
    :param gradients: which of the two
    :param create_graph: whether the results will be differentiated again, by the weights
    """
    leaves = [graph.vectors]
    if len(graph.positions) > 0:
        leaves += [graph.positions, graph.cells]
    # atoms without neighbors may have energies without a history, which autograd would refuse
    on_leaves = [torch.zeros_like(leaf) for leaf in leaves]
    if energy.requires_grad:
        # The sum over structures gives the gradient of each one, since none feels another's edges.
        # The graph is kept: other targets of the batch are differentiated after this one.
        on_leaves = list(
            torch.autograd.grad(
                energy.sum(),
                leaves,
                create_graph=create_graph,
                retain_graph=True,
                materialize_grads=True,
            )
        )
    results = {}
    if "positions" in gradients:
        results["positions"] = _by_positions(on_leaves, graph)
    if "strain" in gradients:
        # detached: the weights, by which a loss will be differentiated, are not in the leaves
        results["strain"] = _by_strain(on_leaves, [leaf.detach() for leaf in leaves], graph)
    return results


def _by_positions(on_leaves: list[Tensor], graph: Graph) -> Tensor:
    # an edge is r_neighbor - r_center
    on_edges = on_leaves[0]
    zeros = on_edges.new_zeros((len(graph.species), 3))
    on_neighbors = zeros.index_add(0, graph.neighbors, on_edges)
    on_atoms = on_neighbors.index_add(0, graph.centers, on_edges, alpha=-1)
    return on_atoms + on_leaves[1] if len(on_leaves) > 1 else on_atoms


def _by_strain(on_leaves: list[Tensor], leaves: list[Tensor], graph: Graph) -> Tensor:
    """Each vector of a structure adds the outer product of itself and its gradient."""
    # an edge belongs to the structure of its center
    owners = [graph.system[graph.centers], graph.system]
    result = on_leaves[0].new_zeros((len(graph.num_atoms), 3, 3))
    for vectors, gradient, owner in zip(leaves, on_leaves, owners):
        result = result.index_add(0, owner, vectors.unsqueeze(2) * gradient.unsqueeze(1))
    if len(leaves) > 2:
        result = result + leaves[2].transpose(1, 2) @ on_leaves[2]
    return result
