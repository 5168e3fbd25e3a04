"""The sparse points of a model, chosen from the structures that it is fitted to.

Letters of shapes: A atoms, F features, K directions of a point, M sparse points, N rows of
derivatives.
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
from mt_gap.selection import farthest_points, mixings, shares, tangents
from mt_shared.data import Structures
from mt_shared.options import SYMBOLS

log = logging.getLogger("mt.train")

CANDIDATES = 20
"""Environments that are looked at for each sparse point that is wanted."""

CANDIDATES_OF_ELEMENT = 4
"""The same for the sparse points of each element, where there are so many."""


def choose_bases(model: Gap, structures: Structures, gradients: list[str]) -> list[Basis]:
    """Sparse points with their directions, for each element; for a new model, its channels too.

    :param gradients: of ``positions`` and ``strain``, those that will be fitted
    """
    hypers = model.hypers["krr"]
    structures = candidates(structures, hypers["num_sparse_points"])
    features = describe(model, structures)
    species = model.type_to_species[torch.tensor(structures.types, dtype=torch.int64)]
    atoms = [torch.nonzero(species == kind)[:, 0] for kind in range(model.num_species)]
    numbers = shares([len(part) for part in atoms], hypers["num_sparse_points"])
    chosen = [part[farthest_points(features[part], size)] for part, size in zip(atoms, numbers)]
    _say_points(model, [len(part) for part in atoms], numbers, [len(part) for part in chosen])
    directions = choose_directions(model, structures, gradients, torch.cat(chosen))
    parts = directions.split([len(part) for part in chosen])
    return [
        Basis(hypers["degree"], features[part], axes)
        for part, axes in zip(chosen, parts, strict=True)
    ]


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


def describe(model: Gap, structures: Structures) -> torch.Tensor:
    """Descriptors (A, F) of all atoms; for a new model, in the channels that these atoms need."""
    parts = [
        model.expansion(systems_of(model, structures.subset(batch)))
        for batch in batches(structures)
    ]
    coefficients = [torch.cat(part) for part in zip(*parts, strict=True)]
    if not model.is_fitted:
        mix_channels(model, coefficients)
    return model.spectrum(coefficients)


def mix_channels(model: Gap, coefficients: list[torch.Tensor]) -> None:
    """Choose the channels of the descriptor.

    :param coefficients: of some atoms, for each degree l, (A, 2 l + 1, C)
    """
    found = mixings(coefficients)
    for part, mixing in zip(model.spectrum.parts(), found, strict=True):
        part.set_mixing(mixing)
    numbers = " ".join(str(mixing.shape[1]) for mixing in found)
    log.info(
        f"Channels of the density, for l = 0 ... {len(found) - 1}: {numbers} of "
        f"{model.expansion.num_channels}"
    )


def choose_directions(
    model: Gap, structures: Structures, gradients: list[str], atoms: torch.Tensor
) -> torch.Tensor:
    """The directions (M, K, F) of these atoms (M,); zero where there are fewer."""
    number, num_features = model.hypers["krr"]["num_directions"], model.spectrum.num_features()
    found = torch.zeros(len(atoms), number, num_features, dtype=torch.float64)
    if number == 0:
        return found
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
    for of_species in densities(model, structures, gradients, atoms):
        for few in of_species.pieces(model.spectrum.num_features()):
            parts = []
            for each in few.derivatives:
                rows = model.spectrum.derivatives(few.coefficients, each.coefficients, each.atoms)
                counts = torch.bincount(each.atoms, minlength=len(few.centers))
                parts.append(rows.split(counts.tolist()))
            for atom, *found in zip(few.centers.tolist(), *parts, strict=True):
                yield atom, torch.cat(found)


def _say_points(model: Gap, available: list[int], wanted: list[int], chosen: list[int]) -> None:
    asked = model.hypers["krr"]["num_sparse_points"]
    symbols = [SYMBOLS[number - 1] for number in model.atomic_types]
    listed = ", ".join(f"{symbol} {number}" for symbol, number in zip(symbols, chosen))
    said = f"Sparse points: {sum(chosen)} ({listed})"
    if sum(available) < asked:
        said += f"; {asked} were asked for, but the data have {sum(available)} environments"
    if sum(chosen) < sum(wanted):
        said += f"; {sum(wanted) - sum(chosen)} more would be copies of these"
    log.info(said)
