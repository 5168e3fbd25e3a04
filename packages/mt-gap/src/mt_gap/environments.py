"""Densities and descriptors of atoms with their derivatives, a few atoms at a time.

Letters of shapes: A atoms, S structures, C channels, F features, N rows of derivatives, G gradients
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
from mt_shared.data import Structures, cut_batches, systems_from

BATCH_ATOMS = 256
"""Structures are worked on together up to this number of atoms."""

MAX_NUMBERS = 2**22
"""Numbers of derivatives of densities that are held at a time: 32 MB in float64."""

PIECE = 2**19
"""Numbers of derivatives of descriptors at a time: 4 MB stay in the cache while in use."""


@dataclass(frozen=True)
class Derivatives:
    """Derivatives of the densities around some atoms.

    Gradients of the energies of some structures are in a row: dE/dr of all their atoms, then dE/dh
    of each structure, by the vectors h of its cell; G = 3 A + 9 S. A derivative of the density
    around one atom is a row here, and adds to the gradient by the coordinate that it belongs to.

    :param coefficients: for each degree l, (N, 2 l + 1, C)
    :param atoms: (N,) int64, the atom that a row belongs to, increasing
    :param places: (N,) int64, the gradient that a row adds to
    """

    coefficients: list[torch.Tensor]
    atoms: torch.Tensor
    places: torch.Tensor

    def part(self, start: int, stop: int) -> Derivatives:
        """The derivatives of the atoms ``start`` to ``stop``, which then count from zero."""
        rows = slice(*torch.searchsorted(self.atoms, torch.tensor([start, stop])).tolist())
        coefficients = [values[rows] for values in self.coefficients]
        return Derivatives(coefficients, self.atoms[rows] - start, self.places[rows])


@dataclass(frozen=True)
class Densities:
    """The densities around some atoms of one species.

    :param centers: (A,) int64, the atoms among all of the structures
    :param system: (A,) int64, the structure of each atom
    :param coefficients: for each degree l, (A, 2 l + 1, C)
    :param derivatives: by positions, and maybe by cells
    """

    species: int
    centers: torch.Tensor
    system: torch.Tensor
    coefficients: list[torch.Tensor]
    derivatives: list[Derivatives]

    def pieces(self, num_features: int) -> Iterator[Densities]:
        """Few atoms at a time: their derivatives of descriptors (N, F) are ``PIECE`` numbers."""
        num_atoms = len(self.system)
        num_rows = sum(len(each.atoms) for each in self.derivatives)
        number = max(1, PIECE * num_atoms // max(num_rows * num_features, 1))
        for start in range(0, num_atoms, number):
            stop = start + number
            yield Densities(
                self.species,
                self.centers[start:stop],
                self.system[start:stop],
                [values[start:stop] for values in self.coefficients],
                [each.part(start, stop) for each in self.derivatives],
            )


def systems_of(model: Gap, structures: Structures) -> list[System]:
    """Systems of metatomic with the neighbor list that featomic asks for."""
    systems = systems_from(structures)
    # the same unit on both sides: nothing is converted
    for finder in neighbor_lists_for_model("A", model.expansion.calculator, "A", skin=0.0):
        finder.add_neighbor_list(systems)
    return systems


def batches(structures: Structures) -> list[np.ndarray]:
    """Indices of consecutive structures with few atoms together, or of a single one."""
    counts = torch.from_numpy(structures.atoms_per_system)
    found = cut_batches(torch.arange(len(counts)), counts, len(counts), BATCH_ATOMS)
    return [batch.numpy() for batch in found]


def densities(
    model: Gap, structures: Structures, gradients: list[str], chosen: np.ndarray | None = None
) -> Iterator[Densities]:
    """The densities around all or the chosen atoms, with the derivatives that are wanted.

    :param gradients: of ``positions`` and ``strain``; the latter needs those by cells
    :param chosen: (A,) increasing indices of atoms
    """
    systems = systems_of(model, structures)
    centers = np.arange(structures.num_atoms) if chosen is None else chosen
    counts = []
    for system in systems:
        (options,) = system.known_neighbor_lists()
        pairs = system.get_neighbor_list(options).samples.values[:, :2].flatten()
        # many images of one neighbor move together, so that no more atoms than there are count
        neighbors = torch.bincount(pairs, minlength=len(system)).clamp(max=len(system))
        # an upper bound: rows by the atom itself, by its neighbors, and by the cell
        counts.append(3 * (neighbors + 1) + 9)
    num_rows = torch.cat(counts).numpy()
    size = model.expansion.num_channels * (model.expansion.max_angular + 1) ** 2
    # cut where the running total passes a multiple of the limit: that is known before the
    # derivatives, which are the memory, are there
    numbers = np.cumsum(num_rows[centers]) * size
    for part in np.split(centers, np.flatnonzero(np.diff(numbers // MAX_NUMBERS)) + 1):
        if len(part):
            yield from _expanded(model, structures, systems, gradients, part)


def _expanded(
    model: Gap,
    structures: Structures,
    systems: list[System],
    gradients: list[str],
    centers: np.ndarray,
) -> Iterator[Densities]:
    """The densities of some atoms, species by species, from one call of featomic."""
    systems_of_centers = structures.system_of_atom[centers]
    selected = [systems_of_centers, centers - structures.offsets[systems_of_centers]]
    labels = Labels(["system", "atom"], torch.tensor(np.stack(selected, 1), dtype=torch.int32))
    wanted = ["positions", "cell"] if "strain" in gradients else gradients
    expansion = model.expansion.compute(systems, wanted, labels)
    offsets = torch.from_numpy(structures.offsets)
    for species, atomic_type in enumerate(model.atomic_types):
        # a block for each degree, all of them with the same samples
        blocks = expansion.blocks({"center_type": atomic_type})
        owners, within = blocks[0].samples.values.to(torch.int64).T
        derivatives = []
        for name in wanted:
            parts = [block.gradient(name) for block in blocks]
            # columns: row of the density that is differentiated, then system and atom that move
            samples = parts[0].samples.values.to(torch.int64)
            if name == "positions":
                first = 3 * (offsets[samples[:, 1]] + samples[:, 2])
            else:
                first = 3 * structures.num_atoms + 9 * owners[samples[:, 0]]
            # x, y, z, or the nine components of the cell, become rows of their own
            values = [part.values.flatten(1, -3) for part in parts]
            components = torch.arange(values[0].shape[1])
            atoms = samples[:, 0].repeat_interleave(len(components))
            places = (first[:, None] + components).flatten()
            rows = [value.flatten(0, 1) for value in values]
            derivatives.append(Derivatives(rows, atoms, places))
        coefficients = [block.values for block in blocks]
        yield Densities(species, offsets[owners] + within, owners, coefficients, derivatives)


def by_strain(structures: Structures, gradients: torch.Tensor) -> torch.Tensor:
    r"""The gradients (G, ...) with those by the cells turned to those by a strain.

    A strain takes r to r + r strain and h to h + h strain, rows both, so that

    .. math::

        \frac{\partial E}{\partial \epsilon_{ab}} =
        \sum_i r_{ia} \frac{\partial E}{\partial r_{ib}} +
        \sum_v h_{va} \frac{\partial E}{\partial h_{vb}}
    """
    found = gradients.clone()
    start = 3 * structures.num_atoms
    for number, (first, stop) in enumerate(zip(structures.offsets[:-1], structures.offsets[1:])):
        # The forces of a structure add up to zero, so that the origin may be anywhere. At the first
        # atom, a structure that lies far from zero loses no digits in large terms that cancel.
        positions = structures.positions[first:stop] - structures.positions[first]
        vectors = np.concatenate([positions, structures.periodic_cells[number]])
        cell = slice(start + 9 * number, start + 9 * (number + 1))
        rows = torch.cat([gradients[3 * first : 3 * stop], gradients[cell]])
        # both sums at once, (3, atoms + 3) times (atoms + 3, 3 ...)
        products = torch.from_numpy(vectors).T @ rows.reshape(len(vectors), -1)
        found[cell] = products.reshape(gradients[cell].shape)
    return found
