"""The sparse points of a model, chosen from the structures that it is fitted to.

Letters of shapes: A atoms, C channels, F features, K directions of a point, M sparse points,
N rows of derivatives, Q mixed channels, T species.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import numpy as np
import torch

from mt_gap.basis import Basis
from mt_gap.environments import BATCH_ATOMS, batches, densities, systems_of
from mt_gap.model import Gap
from mt_shared.data import Structures
from mt_shared.options import SYMBOLS

log = logging.getLogger("mt.train")

CANDIDATES = 20
"""Environments that are looked at for each sparse point that is wanted."""

CANDIDATES_OF_ELEMENT = 4
"""The same for the sparse points of each element, where there are so many."""

SAME = 1e-6
"""Distance of two descriptors of unit length, below which one of them adds nothing."""

NEGLIGIBLE = 1e-6
"""Mean square of a channel, by that of the largest one, below which it is left out."""


def choose_bases(model: Gap, structures: Structures, gradients: list[str]) -> list[Basis]:
    """Sparse points with their directions, for each element; for a new model, its channels too.

    :param gradients: of ``positions`` and ``strain``, those that will be fitted
    """
    krr = model.hypers["krr"]
    structures = candidates(structures, krr["num_sparse_points"])
    features = describe(model, structures)
    species = model.type_to_species[torch.tensor(structures.types, dtype=torch.int64)]
    atoms = [torch.nonzero(species == kind)[:, 0] for kind in range(model.num_species)]
    wanted = shares([len(part) for part in atoms], krr["num_sparse_points"])
    chosen = [part[farthest_points(features[part], size)] for part, size in zip(atoms, wanted)]
    numbers = [len(part) for part in chosen]
    symbols = [SYMBOLS[number - 1] for number in model.atomic_types]
    listed = ", ".join(f"{symbol} {number}" for symbol, number in zip(symbols, numbers))
    line = f"Sparse points: {sum(numbers)} ({listed})"
    if len(features) < krr["num_sparse_points"]:
        line += f"; {krr['num_sparse_points']} were asked for, but the data have "
        line += f"{len(features)} environments"
    if sum(numbers) < sum(wanted):
        line += f"; {sum(wanted) - sum(numbers)} more would be copies of these"
    log.info(line)
    directions = choose_directions(model, structures, gradients, torch.cat(chosen)).split(numbers)
    return [
        Basis(krr["degree"], features[part], axes)
        for part, axes in zip(chosen, directions, strict=True)
    ]


# ---- which environments


def candidates(structures: Structures, num_points: int) -> Structures:
    """Structures at even intervals, with enough atoms to choose sparse points from.

    More of those that have a rare element, so that its few environments are not passed over.
    """
    step = math.ceil(structures.num_atoms / max(CANDIDATES * num_points, 10 * BATCH_ATOMS))
    chosen = set(range(0, structures.num_systems, step))
    elements = np.unique(structures.types)
    for element in elements:
        of_element = structures.types == element
        counts = np.add.reduceat(of_element, structures.offsets[:-1], dtype=np.int64)
        if counts[sorted(chosen)].sum() < CANDIDATES_OF_ELEMENT * num_points / len(elements):
            step = math.ceil(len(elements) * counts.sum() / (CANDIDATES_OF_ELEMENT * num_points))
            chosen.update(np.flatnonzero(counts)[::step].tolist())
    return structures.subset(sorted(chosen))


def shares(available: list[int], number: int) -> list[int]:
    """How many of ``number`` points each of T species gets: the same, as far as it has so many.

    At least one, where there are any.
    """
    found = [0] * len(available)
    # what the rarest cannot use is shared out among those that follow
    rarest_first = sorted(range(len(available)), key=lambda kind: available[kind])
    for place, kind in enumerate(rarest_first):
        share = max(1, round(number / (len(available) - place)))
        found[kind] = min(available[kind], share)
        number -= found[kind]
    return found


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
        # of unit vectors, |p - q|^2 = 2 - 2 p . q
        if chosen and 2 - 2 * float(nearest[farthest]) < SAME**2:
            break
        chosen.append(farthest)
        products = features @ features[farthest]
        nearest = products if len(chosen) == 1 else torch.maximum(nearest, products)
    return torch.tensor(chosen, dtype=torch.int64)


# ---- which channels


def describe(model: Gap, structures: Structures) -> torch.Tensor:
    """Descriptors (A, F) of all atoms; for a new model, in the channels that these atoms need."""
    parts = [
        model.expansion(systems_of(model, structures.subset(batch)))
        for batch in batches(structures)
    ]
    coefficients = [torch.cat(part) for part in zip(*parts, strict=True)]
    if not model.is_fitted:
        # sparse points are descriptors in the channels of their model: those are chosen once
        found = mixings(coefficients)
        for part, mixing in zip(model.spectrum.parts(), found, strict=True):
            part.set_mixing(mixing)
        numbers = " ".join(str(mixing.shape[1]) for mixing in found)
        log.info(
            f"Channels of the density, for l = 0 ... {len(found) - 1}: {numbers} of "
            f"{model.expansion.num_channels}"
        )
    return model.spectrum(coefficients)


def mixings(coefficients: list[torch.Tensor]) -> list[torch.Tensor]:
    """For each degree, the matrix (C, Q) to those combinations of channels that are not negligible.

    They are the principal axes of the coefficients, without a mean: a rotation mixes the 2 l + 1
    components, which therefore all count as samples.

    :param coefficients: of each degree, (A, 2 l + 1, C)
    """
    found = []
    for values in coefficients:
        flat = values.flatten(0, 1)
        found.append(torch.linalg.eigh(flat.T @ flat / len(values)))
    # by the largest of all degrees: what is small beside it is small in the descriptor
    largest = max(float(squares[-1]) for squares, _ in found)
    return [vectors[:, squares > NEGLIGIBLE * largest] for squares, vectors in found]


# ---- which directions


def choose_directions(
    model: Gap, structures: Structures, gradients: list[str], atoms: torch.Tensor
) -> torch.Tensor:
    """The directions (M, K, F) of these atoms (M,); zero where there are fewer."""
    number, num_features = model.hypers["krr"]["num_directions"], model.spectrum.num_features()
    found = torch.zeros(len(atoms), number, num_features, dtype=torch.float64)
    if number == 0:
        return found
    # atoms come in the order of their choice, the derivatives in that of the structures
    ordered, places = torch.sort(atoms)
    for batch in batches(structures):
        first, stop = structures.offsets[[batch[0], batch[-1] + 1]]
        inside = slice(*torch.searchsorted(ordered, torch.tensor([first, stop])).tolist())
        place = dict(zip((ordered[inside] - first).tolist(), places[inside].tolist(), strict=True))
        chosen = np.array(list(place), dtype=np.int64)
        part = structures.subset(batch)
        for atom, rows in _rows_of_atoms(model, part, gradients or ["positions"], chosen):
            axes = tangents(rows, number)
            found[place[atom], : len(axes)] = axes
    return found


def _rows_of_atoms(
    model: Gap, structures: Structures, gradients: list[str], atoms: np.ndarray
) -> Iterator[tuple[int, torch.Tensor]]:
    """Each of these atoms with the derivatives (N, F) of its descriptor."""
    for group in densities(model, structures, gradients, atoms):
        for few in group.pieces(model.spectrum.num_features()):
            parts = []
            for each in few.derivatives:
                rows = model.spectrum.derivatives(few.coefficients, each.coefficients, each.atoms)
                counts = torch.bincount(each.atoms, minlength=len(few.centers))
                parts.append(rows.split(counts.tolist()))
            for atom, *found in zip(few.centers.tolist(), *parts, strict=True):
                yield atom, torch.cat(found)


def tangents(rows: torch.Tensor, number: int) -> torch.Tensor:
    """The directions (K, F) in which a descriptor changes most when its atoms move.

    They are right singular vectors of the rows, times their singular values; of a direction, only
    where it points matters to the fit.

    :param rows: derivatives of the descriptor by all positions, (N, F)
    :param number: K; there are fewer where the descriptor cannot change in so many directions
    """
    # N is mostly smaller than F: the eigenvectors v of rows rows^T cost less than a decomposition
    # of the rows, and v^T rows has the length of the singular value
    variances, vectors = torch.linalg.eigh(rows @ rows.T)
    kept = vectors[:, -number:][:, variances[-number:] > 1e-12 * variances[-1:]]
    return kept.T @ rows
