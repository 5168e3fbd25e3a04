"""The flat batch that a model sees. TorchScript reads this file: old-style annotations.

Letters of shapes: A atoms, E edges, S systems, T atomic types of the model.
"""

from typing import List, NamedTuple, Tuple

import torch
from metatomic.torch import NeighborListOptions, System


class Graph(NamedTuple):
    """Several structures as one graph of disconnected parts.

    Atoms are sorted by species: the first ``counts[0]`` atoms are of species 0, and so on, so
    that a layer with weights for each species only has to split its input. An edge goes from a
    center to a neighbor within the cutoff, ``vectors = r_neighbor - r_center`` with the periodic
    shift; each pair is there twice (full list).
    """

    positions: torch.Tensor  # (A, 3)
    cells: torch.Tensor  # (S, 3, 3)
    species: torch.Tensor  # (A,), int64, index into the model's atomic types
    system: torch.Tensor  # (A,), int64
    centers: torch.Tensor  # (E,), int64
    neighbors: torch.Tensor  # (E,), int64
    counts: List[int]  # T numbers that add up to A


def sort_by_species(
    species: torch.Tensor, num_species: int
) -> Tuple[torch.Tensor, torch.Tensor, List[int]]:
    """Order of the atoms by species, where each atom went, and how many each species has.

    :param species: (A,) int64
    :return: ``order`` (A,) with ``sorted = x[order]``, ``slot`` (A,) with ``x = sorted[slot]``,
        and the counts, one for each of ``num_species``
    """
    # stable: the same structures give the same sums to the last bit
    order = torch.argsort(species, stable=True)
    # the inverse permutation, by assignment: a second argsort would take longer
    slot = torch.empty_like(order)
    slot[order] = torch.arange(len(order), device=order.device)
    counts: List[int] = torch.bincount(species, minlength=num_species).tolist()
    return order, slot, counts


def graph_from_systems(
    systems: List[System],
    neighbor_list: NeighborListOptions,
    type_to_species: torch.Tensor,
    num_species: int,
) -> Tuple[Graph, torch.Tensor, torch.Tensor]:
    """The graph of metatomic systems that carry the neighbor list a model asked for.

    :param type_to_species: (max type + 1,) int64, species of each atomic type
    :return: the graph, the edge vectors (E, 3) in the systems' dtype with their autograd history,
        and ``slot`` (A,), the place in the graph of each atom in the order of the systems
    """
    positions: List[torch.Tensor] = []
    cells: List[torch.Tensor] = []
    types: List[torch.Tensor] = []
    system_index: List[torch.Tensor] = []
    pairs: List[torch.Tensor] = []
    vectors: List[torch.Tensor] = []
    num_atoms = 0
    for i, system in enumerate(systems):
        neighbors = system.get_neighbor_list(neighbor_list)
        positions.append(system.positions)
        cells.append(system.cell)
        types.append(system.types)
        system_index.append(torch.full_like(system.types, i))
        # metatomic counts atoms within each system
        pairs.append(neighbors.samples.values[:, :2] + num_atoms)
        vectors.append(neighbors.values[:, :, 0])
        num_atoms += len(system)

    species = type_to_species[torch.cat(types).to(torch.int64)]
    order, slot, counts = sort_by_species(species, num_species)
    edges = slot[torch.cat(pairs).to(torch.int64)]
    graph = Graph(
        positions=torch.cat(positions)[order],
        cells=torch.stack(cells),
        species=species[order],
        system=torch.cat(system_index).to(torch.int64)[order],
        centers=edges[:, 0],
        neighbors=edges[:, 1],
        counts=counts,
    )
    return graph, torch.cat(vectors), slot
