"""A structure in another guise: what changes, though its physics stays the same."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np

UNTURNED = np.eye(3)


@dataclass(frozen=True)
class Guise:
    """The same structure seen otherwise: its atoms, whose places they take, turned by a matrix."""

    atoms: ase.Atoms
    order: np.ndarray
    matrix: np.ndarray


def _guise(atoms: ase.Atoms, positions: Any, cell: Any, matrix: np.ndarray = UNTURNED) -> Guise:
    changed = atoms.copy()
    changed.positions, changed.cell = positions, cell
    return Guise(changed, np.arange(len(atoms)), matrix)


def translated(atoms: ase.Atoms) -> Guise:
    """Somewhere else."""
    return _guise(atoms, atoms.positions + np.array([1.3, -7.1, 4.9]), atoms.cell)


def rotated(atoms: ase.Atoms, seed: int = 7) -> Guise:
    """Turned, its cell with it."""
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    # the Q of random numbers is orthogonal; times its determinant, which is 1 or -1, it turns only
    matrix *= np.linalg.det(matrix)
    # vectors are rows here, so that r' = R r reads r @ R.T
    return _guise(atoms, atoms.positions @ matrix.T, atoms.cell.array @ matrix.T, matrix)


def inverted(atoms: ase.Atoms) -> Guise:
    """Mirrored at a point."""
    return _guise(atoms, -atoms.positions, -atoms.cell.array, -UNTURNED)


def permuted(atoms: ase.Atoms) -> Guise:
    """With its atoms numbered otherwise."""
    order = np.random.default_rng(5).permutation(len(atoms))
    return Guise(atoms[order], order, UNTURNED)


def in_other_images(atoms: ase.Atoms) -> Guise:
    """Each atom in a periodic image of its own; a molecule stays as it is."""
    # times pbc: an image along a direction that is not periodic is another place
    shifts = np.random.default_rng(6).integers(-2, 3, size=(len(atoms), 3)) * atoms.pbc
    return _guise(atoms, atoms.positions + shifts @ atoms.cell.array, atoms.cell)


def in_another_cell(atoms: ase.Atoms) -> Guise:
    """In a cell of other vectors that span the same lattice; a molecule stays as it is."""
    # whole numbers and determinant 1: the new vectors reach every point of the lattice
    vectors = np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]]) @ atoms.cell.array
    return _guise(atoms, atoms.positions, vectors if atoms.pbc.all() else atoms.cell)


GUISES: dict[str, Callable[[ase.Atoms], Guise]] = {
    "translation": translated,
    "rotation": rotated,
    "inversion": inverted,
    "permutation": permuted,
    "periodic images": in_other_images,
    "choice of the cell": in_another_cell,
}
