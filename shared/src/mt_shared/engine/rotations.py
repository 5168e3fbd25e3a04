"""Structures turned at random, for architectures that are not invariant by construction."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Batch
from mt_shared.errors import ArchitectureError


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


def rotate(batch: Batch, rotations: Tensor, info: DatasetInfo) -> Batch:
    """The batch with each structure turned by its rotation (S, 3, 3), inputs and labels included.

    :param info: of what kind the inputs and the targets of the batch are
    :raises ArchitectureError: one of them is a spherical tensor
    """
    graph = batch.graph
    rotations = rotations.to(graph.vectors)
    by_atom = rotations[graph.system]

    def turn(values: Tensor, name: str, kind: TargetInfo) -> Tensor:
        return _turn_tensor(values, by_atom if kind.per_atom else rotations, name, kind)

    turned = graph._replace(
        vectors=_turn(graph.vectors, by_atom[graph.centers]),
        inputs={
            name: turn(values, name, info.inputs[name]) for name, values in graph.inputs.items()
        },
    )
    if len(graph.positions) > 0:
        turned = turned._replace(
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
        values = turn(target.values, name, info.targets[name])
        targets[name] = replace(target, values=values, gradients=gradients)
    return replace(batch, graph=turned, targets=targets)


def _turn(vectors: Tensor, rotations: Tensor) -> Tensor:
    """``R v`` for each vector (N, 3)."""
    return torch.einsum("nab,nb->na", rotations, vectors)


def _turn_tensor(values: Tensor, rotations: Tensor, name: str, kind: TargetInfo) -> Tensor:
    """A rotation for each Cartesian axis of values (N, 3, ..., P)."""
    if kind.is_spherical:
        raise ArchitectureError(
            f"a trainer with augment_with_rotations cannot turn '{name}', which is a spherical "
            "tensor; give it as a Cartesian one"
        )
    for axis in range(1, 1 + len(kind.type.components)):
        moved = torch.einsum("nab,nb...->na...", rotations, values.movedim(axis, 1))
        values = moved.movedim(1, axis)
    return values
