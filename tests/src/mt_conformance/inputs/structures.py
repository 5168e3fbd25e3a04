"""Small structures, and a structure in another guise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ase
import numpy as np

FAR = 60.0
"""An empty distance (angstrom) beyond any cutoff of the tiny hypers."""


@dataclass(frozen=True)
class Guise:
    """The same structure seen otherwise: its atoms, whose places they take, turned by a matrix."""

    atoms: ase.Atoms
    order: np.ndarray
    matrix: np.ndarray


def _in_place(atoms: ase.Atoms) -> Guise:
    """A copy with its atoms in the same order and direction, to be changed otherwise."""
    return Guise(atoms.copy(), np.arange(len(atoms)), np.eye(3))


def translated(atoms: ase.Atoms) -> Guise:
    """Somewhere else."""
    guise = _in_place(atoms)
    guise.atoms.positions += [1.3, -7.1, 4.9]
    return guise


def _turned(atoms: ase.Atoms, matrix: np.ndarray) -> Guise:
    turned = atoms.copy()
    # vectors are rows here, so that r' = R r reads r @ R.T
    turned.positions = atoms.positions @ matrix.T
    turned.cell = atoms.cell.array @ matrix.T
    return Guise(turned, np.arange(len(atoms)), matrix)


def rotated(atoms: ase.Atoms, seed: int = 7) -> Guise:
    """Turned, its cell with it."""
    # the Q of random numbers is orthogonal; times its determinant, which is 1 or -1, it turns only
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return _turned(atoms, matrix * np.linalg.det(matrix))


def inverted(atoms: ase.Atoms) -> Guise:
    """Mirrored at a point."""
    return _turned(atoms, -np.eye(3))


def permuted(atoms: ase.Atoms) -> Guise:
    """With its atoms numbered otherwise."""
    order = np.random.default_rng(5).permutation(len(atoms))
    return Guise(atoms[order], order, np.eye(3))


def in_other_images(atoms: ase.Atoms) -> Guise:
    """Each atom in a periodic image of its own; a molecule stays as it is."""
    # times pbc: an image along a direction that is not periodic is another place
    shifts = np.random.default_rng(6).integers(-2, 3, size=(len(atoms), 3)) * atoms.pbc
    guise = _in_place(atoms)
    guise.atoms.positions += shifts @ atoms.cell.array
    return guise


def in_another_cell(atoms: ase.Atoms) -> Guise:
    """In a cell of other vectors that span the same lattice."""
    guise = _in_place(atoms)
    if atoms.pbc.all():
        # whole numbers and determinant 1: the new vectors reach every point of the lattice
        guise.atoms.cell = np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]]) @ atoms.cell.array
    return guise


GUISES: dict[str, Callable[[ase.Atoms], Guise]] = {
    "translation": translated,
    "rotation": rotated,
    "inversion": inverted,
    "permutation": permuted,
    "periodic images": in_other_images,
    "choice of the cell": in_another_cell,
}


def single_atom(atomic_number: int) -> ase.Atoms:
    """One atom in the void."""
    return ase.Atoms(numbers=[atomic_number], positions=[[0.2, -0.1, 0.4]])


def far_apart(first: ase.Atoms, second: ase.Atoms) -> ase.Atoms:
    """Both in one structure, without any pair between them within reach."""
    moved = second.copy()
    moved.positions[:, 0] += first.positions[:, 0].max() - second.positions[:, 0].min() + FAR
    both: ase.Atoms = first + moved
    return both


def tiny_cell() -> ase.Atoms:
    """Two atoms in a skewed cell with edges of about 2 angstrom, smaller than any cutoff."""
    return ase.Atoms(
        numbers=[8, 1],
        positions=[[0.1, 0.0, 0.2], [1.0, 0.9, 1.1]],
        cell=[[2.0, 0.1, 0.0], [0.3, 2.1, -0.2], [0.0, 0.4, 1.9]],
        pbc=True,
    )


def chain(length: float, link: float, numbers: Sequence[int]) -> ase.Atoms:
    """Atoms on a line, from its one end to the other, neighbors at most a link apart."""
    # the number of links is rounded up, and there is one point more than links
    places = np.linspace(0.0, length, int(length / link) + 2)
    atoms = ase.Atoms(numbers=[numbers[n % len(numbers)] for n in range(len(places))])
    atoms.positions[:, 0] = places
    return atoms


def with_end_moved(atoms: ase.Atoms, end: int, by: float) -> ase.Atoms:
    """With its atom 0 or -1 moved outwards and sideways."""
    moved = atoms.copy()
    moved.positions[end] += [by if end else -by, by, 0.0]
    return moved


def in_large_cell(atoms: ase.Atoms) -> ase.Atoms:
    """In a periodic cell of many times its size, and across its boundary."""
    inside = atoms.copy()
    # skewed, and with the molecule on its corner: wrong images would be seen
    inside.cell = 5 * FAR * np.array([[1.0, 0.0, 0.0], [0.1, 1.1, 0.0], [0.0, -0.2, 0.9]])
    inside.pbc = True
    inside.positions -= inside.positions.mean(0)
    inside.wrap()
    return inside


def in_void(atoms: ase.Atoms, directions: int) -> tuple[ase.Atoms, ase.Atoms]:
    """Periodic in that many directions: declared so, and fully periodic across a void."""
    partly, fully = atoms.copy(), atoms.copy()
    periodic = [number < directions for number in range(3)]
    cell = atoms.cell.array
    partly.pbc = periodic
    partly.cell = cell * np.array(periodic)[:, None]
    # a void in the direction of the vector that is not periodic, wider than any cutoff
    fully.cell = [row if p else row / np.linalg.norm(row) * FAR for row, p in zip(cell, periodic)]
    fully.pbc = True
    return partly, fully
