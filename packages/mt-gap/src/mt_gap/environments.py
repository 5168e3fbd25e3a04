"""Densities and descriptors of atoms with their derivatives, a few atoms at a time.

Letters of shapes: A atoms, S structures, C channels, F features, N rows of derivatives, L gradients
of energies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from metatensor.torch import Labels
from metatomic.torch import System
from vesin.metatomic import neighbor_lists_for_model

from mt_gap.model import Gap
from mt_shared.data import Structures

BATCH_ATOMS = 256
"""Structures are worked on together up to this number of atoms."""

MAX_NUMBERS = 2**22
"""Of the derivatives of densities that are held at a time, 32 MB in float64."""

PIECE = 2**19
"""Of the derivatives of descriptors: these 4 MB stay in the cache while they are worked on."""


@dataclass(frozen=True)
class Derivatives:
    """Of the densities around atoms.

    Gradients of the energies of some structures are in a row: dE/dr of all their atoms, then dE/dh
    of each structure, by the vectors h of its cell; L = 3 A + 9 S.

    :param coefficients: for each degree l, (N, 2 l + 1, C)
    :param atoms: (N,) int64, the atom that a row belongs to, increasing
    :param places: (N,) int64, the gradient that a row adds to
    """

    coefficients: list[torch.Tensor]
    atoms: torch.Tensor
    places: torch.Tensor

    def part(self, start: int, stop: int) -> Derivatives:
        """Those of the atoms ``start`` to ``stop``, which are counted from zero."""
        bounds = torch.searchsorted(self.atoms, torch.tensor([start, stop]))
        rows = slice(int(bounds[0]), int(bounds[1]))
        coefficients = [values[rows] for values in self.coefficients]
        return Derivatives(coefficients, self.atoms[rows] - start, self.places[rows])


@dataclass(frozen=True)
class Densities:
    """The densities around some atoms of one species.

    :param kind: the species
    :param centers: (A,) int64, the atoms among all of the structures
    :param systems: (A,) int64, the structure of each atom
    :param coefficients: for each degree l, (A, 2 l + 1, C)
    :param derivatives: by positions, and maybe by cells
    """

    kind: int
    centers: torch.Tensor
    systems: torch.Tensor
    coefficients: list[torch.Tensor]
    derivatives: list[Derivatives]

    def pieces(self, num_features: int) -> Iterator[Densities]:
        """Few atoms at a time."""
        num_atoms = len(self.systems)
        num_rows = sum(len(each.atoms) for each in self.derivatives)
        number = max(1, PIECE * num_atoms // max(num_rows * num_features, 1))
        for start in range(0, num_atoms, number):
            stop = min(start + number, num_atoms)
            yield Densities(
                kind=self.kind,
                centers=self.centers[start:stop],
                systems=self.systems[start:stop],
                coefficients=[values[start:stop] for values in self.coefficients],
                derivatives=[each.part(start, stop) for each in self.derivatives],
            )


def systems_of(model: Gap, structures: Structures) -> list[System]:
    """Systems of metatomic with the neighbor list that featomic asks for."""
    positions = torch.tensor(structures.positions)
    cells = torch.tensor(structures.periodic_cells)
    types = torch.tensor(structures.types, dtype=torch.int32)
    pbc = torch.tensor(structures.pbc)
    counts = structures.atoms_per_system.tolist()
    systems = [
        System(types=kinds, positions=places, cell=cell, pbc=periodic)
        for kinds, places, cell, periodic in zip(
            types.split(counts), positions.split(counts), cells, pbc, strict=True
        )
    ]
    # the same unit on both sides: nothing is converted
    for finder in neighbor_lists_for_model("A", model.expansion.calculator, "A", skin=0.0):
        finder.add_neighbor_list(systems)
    return systems


def batches(structures: Structures) -> list[np.ndarray]:
    """Indices of consecutive structures with few atoms together, or of a single one."""
    found: list[list[int]] = []
    atoms = BATCH_ATOMS
    for index, number in enumerate(structures.atoms_per_system.tolist()):
        if atoms + number > BATCH_ATOMS:
            found.append([])
            atoms = 0
        found[-1].append(index)
        atoms += number
    return [np.array(batch) for batch in found]


def densities(
    model: Gap, structures: Structures, gradients: list[str], chosen: np.ndarray | None = None
) -> Iterator[Densities]:
    """Of all or the chosen atoms, with the derivatives that are wanted.

    :param gradients: of ``positions`` and ``strain``; the latter needs those by cells
    :param chosen: (A,) increasing indices of atoms
    """
    systems = systems_of(model, structures)
    centers = np.arange(structures.num_atoms) if chosen is None else chosen
    size = model.expansion.num_channels * (model.expansion.max_angular + 1) ** 2
    numbers = np.cumsum(_num_rows(systems)[centers]) * size
    for part in np.split(centers, np.flatnonzero(np.diff(numbers // MAX_NUMBERS)) + 1):
        if len(part):
            yield from _densities(model, structures, systems, gradients, part)


def _num_rows(systems: list[System]) -> np.ndarray:
    """An upper bound of the number of rows of derivatives of each atom."""
    counts = []
    for system in systems:
        (options,) = system.known_neighbor_lists()
        pairs = system.get_neighbor_list(options).samples.values[:, :2].flatten()
        neighbors = torch.bincount(pairs, minlength=len(system)).clamp(max=len(system))
        counts.append(3 * (neighbors + 1) + 9)
    return torch.cat(counts).numpy()


def _densities(
    model: Gap,
    structures: Structures,
    systems: list[System],
    gradients: list[str],
    centers: np.ndarray,
) -> Iterator[Densities]:
    systems_of_centers = structures.system_of_atom[centers]
    selected = [systems_of_centers, centers - structures.offsets[systems_of_centers]]
    labels = Labels(["system", "atom"], torch.tensor(np.stack(selected, 1), dtype=torch.int32))
    wanted = ["positions", "cell"] if "strain" in gradients else gradients
    expansion = model.expansion.compute(systems, wanted, labels)
    offsets = torch.from_numpy(structures.offsets)
    for kind, number in enumerate(model.atomic_types):
        blocks = expansion.blocks({"center_type": number})
        owners, within = blocks[0].samples.values.to(torch.int64).T
        derivatives = []
        for name in wanted:
            parts = [block.gradient(name) for block in blocks]
            samples = parts[0].samples.values.to(torch.int64)
            if name == "positions":
                first = 3 * (offsets[samples[:, 1]] + samples[:, 2])
            else:
                first = 3 * structures.num_atoms + 9 * owners[samples[:, 0]]
            values = [part.values.flatten(1, -3) for part in parts]
            components = torch.arange(values[0].shape[1])
            derivatives.append(
                Derivatives(
                    coefficients=[value.flatten(0, 1) for value in values],
                    atoms=samples[:, 0].repeat_interleave(len(components)),
                    places=(first[:, None] + components).flatten(),
                )
            )
        coefficients = [block.values for block in blocks]
        yield Densities(kind, offsets[owners] + within, owners, coefficients, derivatives)


def by_strain(structures: Structures, gradients: torch.Tensor) -> torch.Tensor:
    """The gradients (L, ...) with those by the cells turned to those by a strain.

    A strain takes r to r + r strain and h to h + h strain. Positions count from the first atom of
    their structure, since the energy does not depend on where that is.
    """
    found = gradients.clone()
    start = 3 * structures.num_atoms
    for number, (first, stop) in enumerate(zip(structures.offsets[:-1], structures.offsets[1:])):
        positions = structures.positions[first:stop] - structures.positions[first]
        vectors = np.concatenate([positions, structures.periodic_cells[number]])
        cell = slice(start + 9 * number, start + 9 * (number + 1))
        rows = torch.cat([gradients[3 * first : 3 * stop], gradients[cell]])
        products = torch.from_numpy(vectors).T @ rows.reshape(len(vectors), -1)
        found[cell] = products.reshape(gradients[cell].shape)
    return found
