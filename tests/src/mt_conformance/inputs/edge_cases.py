"""Structures at the edge of what a model meets: alone, tiny, large, open, stretched."""

from collections.abc import Sequence

import ase
import numpy as np

FAR = 60.0
"""An empty distance (angstrom) beyond any cutoff of the tiny hypers."""


def single_atom(atomic_number: int) -> ase.Atoms:
    """One atom in the void."""
    return ase.Atoms([atomic_number], [[0.2, -0.1, 0.4]])


def far_apart(first: ase.Atoms, second: ase.Atoms) -> ase.Atoms:
    """Both in one structure, without any pair between them within reach."""
    moved = second.copy()
    moved.positions[:, 0] += first.positions[:, 0].max() - second.positions[:, 0].min() + FAR
    both: ase.Atoms = first + moved
    return both


def tiny_cell() -> ase.Atoms:
    """Two atoms in a skewed cell with edges of about 2 angstrom, smaller than any cutoff."""
    cell = [[2.0, 0.1, 0.0], [0.3, 2.1, -0.2], [0.0, 0.4, 1.9]]
    return ase.Atoms("OH", [[0.1, 0.0, 0.2], [1.0, 0.9, 1.1]], cell=cell, pbc=True)


def chain(length: float, link: float, numbers: Sequence[int]) -> ase.Atoms:
    """Atoms on a line, from its one end to the other, neighbors at most a link apart."""
    # the number of links is rounded up, and there is one point more than links
    places = np.linspace(0.0, length, int(length / link) + 2)
    return ase.Atoms(np.resize(numbers, len(places)), np.outer(places, [1.0, 0.0, 0.0]))


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
    periodic = np.arange(3) < directions
    cell = atoms.cell.array
    partly.pbc = periodic
    partly.cell = cell * periodic[:, None]
    # a void in the direction of the vector that is not periodic, wider than any cutoff
    void = FAR * cell / np.linalg.norm(cell, axis=1, keepdims=True)
    fully.cell = np.where(periodic[:, None], cell, void)
    fully.pbc = True
    return partly, fully
