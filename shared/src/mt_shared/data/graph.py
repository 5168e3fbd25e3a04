"""The flat batch that a model sees. TorchScript reads this file: old-style annotations.

Letters of shapes: A atoms, E edges, S systems, P sub-targets.
"""

from typing import Dict, List, NamedTuple, Optional

import torch
from metatomic.torch import NeighborListOptions, System
from torch import Tensor


class Graph(NamedTuple):
    """Several structures as one graph of disconnected parts, atoms in the order of the structures.

    An edge goes from a center to a neighbor within the cutoff, periodic images included; each pair
    is there twice, once from either end (a full list).

    What not every model reads is there for those that declare it, and empty for all others:
    ``reverse`` with ``reads_reverse = True``; ``positions``, ``cells``, ``pbc`` and ``shifts`` with
    ``reads_positions = True``.
    """

    vectors: Tensor
    """(E, 3) from center to neighbor, ``r_neighbor - r_center + shift @ cell``, in the unit of
    length of the data."""
    species: Tensor
    """(A,) int64, index of the atomic type among those of the model, which are sorted."""
    centers: Tensor
    """(E,) int64, index of the atom that an edge starts from."""
    neighbors: Tensor
    """(E,) int64, index of the atom that it ends at, in the same structure."""
    system: Tensor
    """(A,) int64, index of the structure of each atom; it increases."""
    num_atoms: Tensor
    """(S,) int64, how many atoms each structure has."""
    inputs: Dict[str, Tensor]
    """What the model asks for of each structure (S, ..., P) or atom (A, ..., P), by the names of
    ``DatasetInfo.inputs``, in the dtype of the vectors."""
    reverse: Tensor
    """(E,) int64, index of the same edge seen from its other end."""
    positions: Tensor
    """(A, 3)"""
    cells: Tensor
    """(S, 3, 3), rows are vectors; zero where a structure is not periodic."""
    pbc: Tensor
    """(S, 3) bool."""
    shifts: Tensor
    """(E, 3) int64, in vectors of the cell."""


def starts_of(lengths: Tensor) -> Tensor:
    """Where each of the parts of these lengths begins, one after the other."""
    return torch.cumsum(lengths, 0) - lengths


def graph_of_edges(vectors: Tensor, species: Tensor, centers: Tensor, neighbors: Tensor) -> Graph:
    """The graph of one structure with these edges and nothing else, to try a model by hand."""
    no_numbers, no_indices = vectors.new_zeros((0, 3)), centers.new_zeros((0, 3))
    return Graph(
        vectors=vectors,
        species=species,
        centers=centers,
        neighbors=neighbors,
        system=torch.zeros_like(species),
        num_atoms=torch.tensor([len(species)], device=species.device),
        inputs={},
        reverse=no_indices[:, 0],
        positions=no_numbers,
        cells=vectors.new_zeros((0, 3, 3)),
        pbc=no_numbers.to(torch.bool),
        shifts=no_indices,
    )


def in_dtype(graph: Graph, dtype: torch.dtype) -> Graph:
    """The graph with its real numbers in another dtype."""
    return graph._replace(
        vectors=graph.vectors.to(dtype),
        positions=graph.positions.to(dtype),
        cells=graph.cells.to(dtype),
        inputs={name: values.to(dtype) for name, values in graph.inputs.items()},
    )


def graph_from_systems(
    systems: List[System],
    neighbor_list: NeighborListOptions,
    type_to_species: Tensor,
    input_names: List[str],
    reads_positions: bool,
    reads_reverse: bool,
    dtype: Optional[torch.dtype] = None,
) -> Graph:
    """The graph of metatomic systems that carry the neighbor list and the inputs asked for.

    The edge vectors have their autograd history, and so have the positions.

    :param type_to_species: (max type + 1,) int64, species of each atomic type
    :param dtype: of the graph; None: that of the systems
    """
    positions: List[Tensor] = []
    cells: List[Tensor] = []
    pbc: List[Tensor] = []
    types: List[Tensor] = []
    owners: List[Tensor] = []
    pairs: List[Tensor] = []
    shifts: List[Tensor] = []
    vectors: List[Tensor] = []
    counts: List[int] = []
    num_atoms = 0
    for i, system in enumerate(systems):
        block = system.get_neighbor_list(neighbor_list)
        samples = block.samples.values
        types.append(system.types)
        owners.append(torch.full_like(system.types, i))
        counts.append(len(system))
        # metatomic counts atoms within each system
        pairs.append(samples[:, :2] + num_atoms)
        vectors.append(block.values[:, :, 0])
        num_atoms += len(system)
        if reads_positions or reads_reverse:
            shifts.append(samples[:, 2:])
        if reads_positions:
            positions.append(system.positions)
            cells.append(system.cell)
            pbc.append(system.pbc)

    edges = torch.cat(pairs).to(torch.int64)
    all_vectors = torch.cat(vectors)
    _refuse_coincident_atoms(all_vectors)
    if dtype is not None:
        all_vectors = all_vectors.to(dtype)
    no_numbers = all_vectors.new_zeros((0, 3))
    no_indices = edges.new_zeros((0, 3))
    all_shifts = torch.cat(shifts).to(torch.int64) if len(shifts) > 0 else no_indices
    # contiguous: layers gather by them many times
    centers, neighbors = edges[:, 0].contiguous(), edges[:, 1].contiguous()
    reverse = no_indices[:, 0]
    if reads_reverse:
        reverse = opposite_edges(centers, neighbors, all_shifts)
    inputs: Dict[str, Tensor] = {}
    for name in input_names:
        values: List[Tensor] = []
        for system in systems:
            values.append(system.get_data(name).block().values)
        inputs[name] = torch.cat(values).to(all_vectors.dtype)
    return Graph(
        vectors=all_vectors,
        species=type_to_species[torch.cat(types).to(torch.int64)],
        centers=centers,
        neighbors=neighbors,
        system=torch.cat(owners).to(torch.int64),
        num_atoms=torch.tensor(counts, dtype=torch.int64, device=edges.device),
        inputs=inputs,
        reverse=reverse,
        positions=torch.cat(positions).to(all_vectors.dtype) if reads_positions else no_numbers,
        cells=torch.stack(cells).to(all_vectors.dtype)
        if reads_positions
        else no_numbers.reshape(0, 3, 3),
        pbc=torch.stack(pbc) if reads_positions else no_numbers.to(torch.bool),
        shifts=all_shifts if reads_positions else no_indices,
    )


def refuse_coincident_atoms(systems: List[System]) -> None:
    """Stop where two atoms are in one place: an edge without a length has no direction.

    What models make of it is NaN, or an energy whose derivative is, and a simulation would go on.
    :func:`graph_from_systems` does it by itself.

    :param systems: with neighbor lists, of whomever
    :raises ValueError: two atoms are in one place
    """
    for system in systems:
        for options in system.known_neighbor_lists():
            _refuse_coincident_atoms(system.get_neighbor_list(options).values[:, :, 0])


def _refuse_coincident_atoms(vectors: Tensor) -> None:
    if len(vectors) > 0 and bool((vectors == 0).all(dim=1).any()):
        raise ValueError(
            "two atoms are in one place, where no energy or force is defined: check the structure "
            "and its cell for an atom that is there twice, or the simulation"
        )


def opposite_edges(centers: Tensor, neighbors: Tensor, shifts: Tensor) -> Tensor:
    """For each edge (E,) the index of the same edge seen from its other end.

    :param shifts: (E, 3) int64; they tell apart the images of one neighbor
    :raises ValueError: when an edge is there from one end alone
    """
    if len(centers) == 0:
        return centers
    # Both ends agree on which of them is the first: the one with the smaller index, or of an atom
    # and its own image, the one with the positive shift.
    largest = int(shifts.abs().max())
    base = 2 * largest + 1
    place = (shifts[:, 0] * base + shifts[:, 1]) * base + shifts[:, 2]
    is_first_end = (centers < neighbors) | ((centers == neighbors) & (place > 0))
    place = torch.where(is_first_end, place, -place)
    # A pair becomes one number: both of its edges get the same one, and lie side by side once
    # they are sorted. Pairs lie within a structure, so that differences of indices are small.
    gap = (centers - neighbors).abs()
    stride = int(gap.max()) + 1
    keys = (torch.minimum(centers, neighbors) * stride + gap) * base**3 + place + base**3 // 2
    order = torch.argsort(keys)
    if len(order) % 2 == 1 or not _are_pairs(keys[order], is_first_end[order]):
        raise ValueError(
            "an edge of the neighbor list is there from one end alone, but this model needs every "
            "edge from both of its ends: give it a full list of all its atoms"
        )
    reverse = torch.empty_like(order)
    reverse[order[0::2]] = order[1::2]
    reverse[order[1::2]] = order[0::2]
    return reverse


def _are_pairs(keys: Tensor, is_first_end: Tensor) -> bool:
    """Whether sorted edges come in twos that are the two ends of one pair."""
    same_pair = keys[0::2] == keys[1::2]
    return bool(torch.all(same_pair & (is_first_end[0::2] != is_first_end[1::2])))
