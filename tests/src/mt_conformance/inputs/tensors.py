"""Vectors and other tensors as targets: how they are labelled, and how they turn.

Letters of shapes: N samples (structures or atoms), C components, P sub-targets.
"""

from math import factorial, pi

import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from scipy.special import lpmv

from mt_shared.contract import Cartesian, Spherical, TargetType

NUM_DIRECTIONS = 100


def real_harmonics(degree: int, vectors: np.ndarray) -> np.ndarray:
    """Real spherical harmonics Y_lm (N, 2 l + 1) of the directions of vectors (N, 3).

    With m from -l to l, sines below zero and cosines above, without the Condon-Shortley phase: for
    degree 1 in the order y, z, x.
    """
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    angle = np.arctan2(unit[:, 1], unit[:, 0])
    columns = []
    for m in range(-degree, degree + 1):
        order = abs(m)
        norm = (2 * degree + 1) / (4 * pi) * factorial(degree - order) / factorial(degree + order)
        # scipy's polynomials have the phase
        polar = (-1) ** order * np.sqrt(norm) * lpmv(order, degree, unit[:, 2])
        wave = np.sin(order * angle) if m < 0 else np.cos(order * angle)
        columns.append(polar * wave * (np.sqrt(2.0) if m else 1.0))
    return np.stack(columns, axis=1)


def irrep_matrix(degree: int, sigma: int, matrix: np.ndarray) -> np.ndarray:
    """How a spherical tensor turns, (2 l + 1, 2 l + 1), where vectors turn by ``matrix`` (3, 3).

    From Y(R r) = D Y(r) in many directions r. With ``sigma`` -1, a pseudotensor, an inversion does
    the contrary of what it does to Y.
    """
    # more directions than the 2 l + 1 unknowns of a row: least squares finds D exactly
    directions = np.random.default_rng(0).normal(size=(NUM_DIRECTIONS, 3))
    before = real_harmonics(degree, directions)
    after = real_harmonics(degree, directions @ matrix.T)
    # vectors are rows: before @ D.T = after
    solution = np.linalg.lstsq(before, after)[0].T
    return np.asarray(solution * (sigma if np.linalg.det(matrix) < 0 else 1))


def blocks_of(target: TargetType) -> list[tuple[dict[str, int], list[Labels]]]:
    """Keys and components of each block of a target."""
    if isinstance(target, Spherical):
        return [
            ({"o3_lambda": degree, "o3_sigma": sigma}, [_labels("o3_mu", -degree, degree)])
            for degree, sigma in target.irreps
        ]
    if isinstance(target, Cartesian):
        names = ["xyz"] if target.rank == 1 else [f"xyz_{i + 1}" for i in range(target.rank)]
        return [({"_": 0}, [_labels(name, 0, 2) for name in names])]
    return [({"_": 0}, [])]


def _labels(name: str, first: int, last: int) -> Labels:
    return Labels([name], torch.arange(first, last + 1, dtype=torch.int32)[:, None])


def block_of(tensors: TensorMap, keys: dict[str, int]) -> TensorBlock:
    """The block with these keys."""
    assert tensors.keys.names == list(keys), f"keys are {tensors.keys.names}; expected {list(keys)}"
    position = tensors.keys.position(list(keys.values()))
    assert position is not None, f"there is no block of {keys}"
    return tensors.block(position)


def turned(
    values: torch.Tensor, target: TargetType, keys: dict[str, int], matrix: np.ndarray
) -> torch.Tensor:
    """The values (N, C, ..., P) of a block where the structures are turned by ``matrix`` (3, 3)."""
    if isinstance(target, Spherical):
        turning = irrep_matrix(keys["o3_lambda"], keys["o3_sigma"], matrix)
    else:
        turning = matrix
    # a Cartesian tensor turns by the same matrix along each of its components
    for axis in range(1, values.dim() - 1):
        # tensordot puts the axis that was turned first
        moved = torch.tensordot(torch.from_numpy(turning), values, dims=([1], [axis]))
        values = moved.movedim(0, axis)
    return values
