"""Many structures as a few flat arrays, and the check of those that a file holds.

Letters of shapes: A atoms of all structures together, S structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mt_shared.errors import DataError
from mt_shared.options import ATOMIC_NUMBERS

# A cell is flat when the volume of its periodic directions is below this (length unit ** n).
MIN_CELL_VOLUME = 1e-6


@dataclass(frozen=True)
class Structures:
    """Atoms of structure ``s`` are the rows ``offsets[s]:offsets[s + 1]``.

    ``cells`` holds one cell vector a row, as the file gives it: a direction that is not periodic
    may have a vector nevertheless. Lengths are in the unit of the file.
    """

    positions: NDArray[np.float64]  # (A, 3)
    types: NDArray[np.int32]  # (A,), atomic numbers
    cells: NDArray[np.float64]  # (S, 3, 3)
    pbc: NDArray[np.bool_]  # (S, 3)
    offsets: NDArray[np.int64]  # (S + 1,)

    @property
    def num_systems(self) -> int:
        return len(self.offsets) - 1

    @property
    def num_atoms(self) -> int:
        return int(self.offsets[-1])

    @property
    def atoms_per_system(self) -> NDArray[np.int64]:
        """(S,) number of atoms of each structure."""
        return np.diff(self.offsets)

    @property
    def system_of_atom(self) -> NDArray[np.int64]:
        """(A,) index of the structure each atom is part of."""
        return np.repeat(np.arange(self.num_systems), self.atoms_per_system)

    @property
    def volumes(self) -> NDArray[np.float64]:
        """(S,) the volume that belongs to the stress of each structure, NaN where there is none.

        The one rule: a structure that is periodic in at least one direction has the volume of its
        cell as the file gives it, if that is not flat; every other structure has neither volume
        nor stress. (It may have a virial all the same, which is no density.) A slab is thus divided
        by a volume that depends on its vacuum, as codes and ASE do. Structures that come as systems
        of metatomic have zero vectors where they are not periodic, so only those that are periodic
        in all three directions have a volume.
        """
        volumes = np.abs(np.linalg.det(self.cells))
        return np.where(self.pbc.any(axis=1) & (volumes >= MIN_CELL_VOLUME), volumes, np.nan)

    @property
    def periodic_cells(self) -> NDArray[np.float64]:
        """(S, 3, 3) cells whose vectors in directions that are not periodic are zero.

        This is the form that metatomic systems must have.
        """
        return np.where(self.pbc[:, :, None], self.cells, 0.0)

    def atom_indices(self, systems: ArrayLike) -> NDArray[np.int64]:
        """The rows of all atoms of the given structures, in their order."""
        systems = np.asarray(systems, dtype=np.int64)
        # of these alone: a sample is one of maybe a million
        counts = self.offsets[systems + 1] - self.offsets[systems]
        # All ranges at once: a running number, moved for each structure from where its atoms come
        # to lie to where they are.
        starts = np.cumsum(counts) - counts
        return np.arange(counts.sum()) + np.repeat(self.offsets[systems] - starts, counts)

    def subset(self, systems: ArrayLike) -> Structures:
        """The given structures, in their order."""
        systems = np.asarray(systems, dtype=np.int64)
        atoms = self.atom_indices(systems)
        return Structures(
            positions=self.positions[atoms],
            types=self.types[atoms],
            cells=self.cells[systems],
            pbc=self.pbc[systems],
            offsets=offsets_from_counts(self.offsets[systems + 1] - self.offsets[systems]),
        )


def offsets_from_counts(counts: ArrayLike) -> NDArray[np.int64]:
    """(S + 1,) first rows of parts that have the given sizes (S,)."""
    return np.concatenate([[0], np.cumsum(np.asarray(counts, dtype=np.int64))]).astype(np.int64)


def concatenate(parts: Sequence[Structures]) -> Structures:
    """All structures of the parts, one after the other."""
    assert parts, "nothing to concatenate"
    return Structures(
        positions=np.concatenate([part.positions for part in parts]),
        types=np.concatenate([part.types for part in parts]),
        cells=np.concatenate([part.cells for part in parts]),
        pbc=np.concatenate([part.pbc for part in parts]),
        offsets=offsets_from_counts(np.concatenate([part.atoms_per_system for part in parts])),
    )


def frame_error(source: str, frame: int, what: str, todo: str) -> DataError:
    """An error about one frame: where, what was found and expected, what to do."""
    return DataError(f"{source}, frame {frame} (the first is 0): {what}; {todo}")


def check_structures(structures: Structures, source: str, frames: NDArray[np.int64]) -> None:
    """Refuse structures that no model can take; errors name the file and the frame.

    Atoms in one place are found with the neighbor lists, see ``neighbors.py``.
    """
    empty = np.flatnonzero(structures.atoms_per_system == 0)
    if len(empty):
        todo = "a structure needs at least one atom, remove this frame"
        raise frame_error(source, frames[empty[0]], "it has no atoms", todo)

    bad_atoms = np.flatnonzero(~np.isfinite(structures.positions).all(axis=1))
    if len(bad_atoms):
        system = structures.system_of_atom[bad_atoms[0]]
        atom = bad_atoms[0] - structures.offsets[system]
        what = f"the position of atom {atom} is {structures.positions[bad_atoms[0]].tolist()}"
        raise frame_error(source, frames[system], what, "positions must be finite numbers")
    bad_cells = np.flatnonzero(~np.isfinite(structures.cells).all(axis=(1, 2)))
    if len(bad_cells):
        what = f"the cell is {structures.cells[bad_cells[0]].tolist()}"
        raise frame_error(source, frames[bad_cells[0]], what, "cells must be finite numbers")

    # 0 is what ASE makes of X, Bq and the like: a place for basis functions, or a mark.
    odd = np.flatnonzero((structures.types < 1) | (structures.types > max(ATOMIC_NUMBERS.values())))
    if len(odd):
        system, number = structures.system_of_atom[odd[0]], structures.types[odd[0]]
        what = f"atom {odd[0] - structures.offsets[system]} has the atomic number {number}"
        what += " (X, a ghost)" if number == 0 else ""
        todo = "only elements can be learnt: remove what is none from structures and labels"
        raise frame_error(source, frames[system], what, todo)

    # A slab needs no third vector: the Gram determinant of the periodic vectors alone is the
    # square of their area (or length). A one on the diagonal leaves a direction out of it.
    cells = structures.periodic_cells
    gram = cells @ cells.transpose(0, 2, 1)
    gram[:, [0, 1, 2], [0, 1, 2]] += ~structures.pbc
    extents = np.sqrt(np.abs(np.linalg.det(gram)))
    flat = np.flatnonzero((extents < MIN_CELL_VOLUME) & structures.pbc.any(axis=1))
    if len(flat):
        pbc = " ".join("FT"[int(periodic)] for periodic in structures.pbc[flat[0]])
        what = f"it is periodic (pbc {pbc}) in a cell without volume"
        todo = "give a cell (Lattice) or set pbc to F"
        raise frame_error(source, frames[flat[0]], what, todo)
