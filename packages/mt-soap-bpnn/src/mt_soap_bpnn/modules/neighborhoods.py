"""Edges in any order -> a dense array with a row of slots for each center.

Dense, because products of small matrices are several times faster than sums over index lists.

Legend: A atoms, E edges, K slots of an atom, X components.
"""

import torch


def slots_of_edges(centers_E: torch.Tensor, num_atoms: int) -> tuple[torch.Tensor, int]:
    """A slot for each edge, and K: atom i owns the slots i K ... (i + 1) K - 1.

    K is the largest number of neighbors, at least one; other atoms have empty slots.
    """
    num_edges = centers_E.shape[0]
    ordered_E, order_E = torch.sort(centers_E)
    atoms = torch.arange(num_atoms + 1, device=centers_E.device)
    starts = torch.searchsorted(ordered_E, atoms)
    num_slots = 1
    if num_edges > 0:
        num_slots = int((starts[1:] - starts[:-1]).max())
    ranks_E = torch.arange(num_edges, device=centers_E.device) - starts[ordered_E]
    slots_E = torch.empty_like(ordered_E)
    slots_E[order_E] = ordered_E * num_slots + ranks_E
    return slots_E, num_slots


def to_slots(
    x_EX: torch.Tensor, slots_E: torch.Tensor, num_atoms: int, num_slots: int, empty: float
) -> torch.Tensor:
    """The rows of the edges in their slots, and ``empty`` in the others: (A, K, X)."""
    num_components = x_EX.shape[1]
    rows = torch.full(
        (num_atoms * num_slots, num_components), empty, dtype=x_EX.dtype, device=x_EX.device
    )
    return rows.index_copy(0, slots_E, x_EX).view(num_atoms, num_slots, num_components)
