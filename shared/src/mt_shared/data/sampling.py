"""Which structures make which batch: a function of seed and epoch alone, so restarts agree."""

from __future__ import annotations

import torch


def epoch_batches(
    num_atoms: torch.Tensor, batch_size: int, max_atoms: int | None, seed: int, epoch: int
) -> list[torch.Tensor]:
    """The shuffled batches of an epoch, as indices of structures.

    :param num_atoms: atoms of each structure, (S,)
    :param max_atoms: with it, as many structures a batch as stay below this number of atoms
    """
    # The factor is larger than any number of epochs: seeds 1 and 2 share no order of an epoch. The
    # generator takes no more than 63 bits.
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    order = torch.randperm(len(num_atoms), generator=generator)
    return cut_batches(order, num_atoms, batch_size, max_atoms)


def cut_batches(
    order: torch.Tensor, num_atoms: torch.Tensor, batch_size: int, max_atoms: int | None
) -> list[torch.Tensor]:
    """The structures in this order, cut into batches; none is dropped."""
    if max_atoms is None:
        return list(order.split(batch_size))
    # Greedy in the given order. A structure larger than max_atoms is a batch of its own.
    sizes, size, atoms = [], 0, 0
    for number in num_atoms[order].tolist():
        if size and atoms + number > max_atoms:
            sizes.append(size)
            size, atoms = 0, 0
        size, atoms = size + 1, atoms + number
    return list(order.split([*sizes, size]))
