"""Structures turned at random, for architectures that are not invariant by construction."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mt_shared.data import Batch


def random_rotations(number: int, generator: torch.Generator) -> Tensor:
    """Rotations (number, 3, 3) in float64, uniform over all.

    From quaternions with normally distributed components, whose directions are uniform.
    """
    quaternions = torch.randn(number, 4, dtype=torch.float64, generator=generator)
    # on the CPU, like the generator, so that a seed gives the same rotations on every device
    w, x, y, z = (quaternions / quaternions.norm(dim=1, keepdim=True)).unbind(1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=1),
    ]
    return torch.stack(rows, dim=1)


def rotate(batch: Batch, rotations: Tensor) -> Batch:
    """The batch with each structure turned by its rotation (S, 3, 3), labels included."""
    rotations = rotations.to(batch.vectors)
    graph = batch.graph
    by_atom = rotations[graph.system]
    by_edge = by_atom[graph.centers]
    turned = graph._replace(
        positions=_turn(graph.positions, by_atom),
        # cell vectors are rows, hence the transpose
        cells=graph.cells @ rotations.transpose(1, 2),
    )
    targets = {}
    for name, target in batch.targets.items():
        gradients = dict(target.gradients)
        if "positions" in gradients:
            gradients["positions"] = _turn(gradients["positions"], by_atom)
        if "strain" in gradients:
            # a tensor of rank two: one rotation for each of its axes
            gradients["strain"] = rotations @ gradients["strain"] @ rotations.transpose(1, 2)
        targets[name] = replace(target, gradients=gradients)
    return replace(batch, graph=turned, vectors=_turn(batch.vectors, by_edge), targets=targets)


def _turn(vectors: Tensor, rotations: Tensor) -> Tensor:
    """``R v`` for each vector (N, 3)."""
    return torch.einsum("nab,nb->na", rotations, vectors)
