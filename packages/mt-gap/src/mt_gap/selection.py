"""Which environments become sparse points, which directions they get, and which channels are kept.

Letters of shapes: A atoms, C channels, F features, K directions of a point, M sparse points,
Q mixed channels, T species.
"""

from __future__ import annotations

import torch

SAME = 1e-6
"""Distance of two descriptors of unit length, below which one of them adds nothing."""

NEGLIGIBLE = 1e-6
"""Mean square of a channel, by that of the largest one, below which it is left out."""


def farthest_points(features: torch.Tensor, number: int) -> torch.Tensor:
    """Indices (M,) of environments, each the farthest from all that were chosen before.

    The first is the one farthest from the mean. Fewer than ``number`` where the others are copies
    of chosen ones.

    :param features: descriptors of unit length, (A, F)
    """
    chosen: list[int] = []
    # the nearer a descriptor is to a chosen one, the larger is their inner product
    nearest = features @ features.mean(0)
    while len(chosen) < number:
        farthest = int(nearest.argmin())
        if chosen and 2 - 2 * float(nearest[farthest]) < SAME**2:
            break
        chosen.append(farthest)
        products = features @ features[farthest]
        nearest = products if len(chosen) == 1 else torch.maximum(nearest, products)
    return torch.tensor(chosen, dtype=torch.int64)


def shares(available: list[int], number: int) -> list[int]:
    """How many of ``number`` points each of T species gets: the same, as far as it has so many.

    At least one, where there are any.
    """
    found = [0] * len(available)
    rarest_first = sorted(range(len(available)), key=lambda kind: available[kind])
    for place, kind in enumerate(rarest_first):
        share = max(1, round(number / (len(available) - place)))
        found[kind] = min(available[kind], share)
        number -= found[kind]
    return found


def tangents(rows: torch.Tensor, number: int) -> torch.Tensor:
    """The directions (K, F) in which a descriptor changes most when its atoms move.

    :param rows: derivatives of the descriptor by all positions, (N, F)
    :param number: K; there are fewer where the descriptor cannot change in so many directions
    """
    variances, vectors = torch.linalg.eigh(rows @ rows.T)
    kept = vectors[:, -number:][:, variances[-number:] > 1e-12 * variances[-1:]]
    return kept.T @ rows


def mixings(coefficients: list[torch.Tensor]) -> list[torch.Tensor]:
    """For each degree, the matrix (C, Q) to those combinations of channels that are not negligible.

    :param coefficients: of each degree, (A, 2 l + 1, C)
    """
    found = []
    for values in coefficients:
        flat = values.flatten(0, 1)
        found.append(torch.linalg.eigh(flat.T @ flat / len(values)))
    largest = max(float(squares[-1]) for squares, _ in found)
    return [vectors[:, squares > NEGLIGIBLE * largest] for squares, vectors in found]
