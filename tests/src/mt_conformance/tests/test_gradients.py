"""Derivatives of the energy of the exported model, by finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import ase
import numpy as np
import torch

from mt_conformance.inputs import (
    ATOMIC_TYPES,
    Examples,
    Subject,
    double_precision,
    forces,
    needs,
    single_atom,
    stress,
)
from mt_conformance.runs import Predictor
from mt_conformance.tests.comparing import assert_close

STEP = 1e-4
"""In angstrom, and without unit for a strain: the error is of the order of its square."""

Change = Callable[[ase.Atoms, float], None]


def differences(predictor: Predictor, atoms: ase.Atoms, changes: Iterable[Change]) -> torch.Tensor:
    """Central differences of the energy (number of changes,), by a step of each change."""
    # all in one batch, pairs side by side
    structures = []
    for change in changes:
        for step in (-STEP, STEP):
            moved = atoms.copy()
            change(moved, step)
            structures.append(moved)
    energies = predictor.values(structures).reshape(-1, 2)
    return (energies[:, 1] - energies[:, 0]) / (2 * STEP)


def moves(atoms: ase.Atoms) -> list[Change]:
    """Each coordinate of each atom."""

    # a function for each, since a closure would see the last values of a loop only
    def change(atom: int, axis: int) -> Change:
        def apply(moved: ase.Atoms, step: float) -> None:
            moved.positions[atom, axis] += step

        return apply

    return [change(atom, axis) for atom in range(len(atoms)) for axis in range(3)]


def strains() -> list[Change]:
    """Each entry of the strain: r becomes r (1 + strain), the vectors of the cell too."""

    def change(row: int, column: int) -> Change:
        def apply(strained: ase.Atoms, step: float) -> None:
            matrix = np.eye(3)
            matrix[row, column] += step
            strained.set_cell(strained.cell.array @ matrix, scale_atoms=False)
            strained.positions = strained.positions @ matrix

        return apply

    return [change(row, column) for row in range(3) for column in range(3)]


def check_forces(
    subject: Subject, predictor: Predictor, atoms: ase.Atoms, number: int | None = None
) -> None:
    """Fail unless forces on all or the first atoms are minus the differences of the energy."""
    some = moves(atoms)[: None if number is None else 3 * number]
    expected = -differences(predictor, atoms, some).reshape(-1, 3)
    found = predictor.gradients([atoms]).forces[:number]
    tolerance = subject.tolerances.finite_differences
    assert_close(found, expected, tolerance, "forces against finite differences")


def check_stress(subject: Subject, predictor: Predictor, atoms: ase.Atoms) -> None:
    """Fail unless the derivative by strain, stress times volume, is that of the differences."""
    expected = differences(predictor, atoms, strains()).reshape(3, 3)
    found = predictor.gradients([atoms]).strain[0]
    tolerance = subject.tolerances.finite_differences
    assert_close(found, expected, tolerance, "stress against finite differences")


@needs(forces, double_precision)
def test_forces_are_derivatives(subject: Subject, exported: Predictor, examples: Examples) -> None:
    """Forces are minus the finite differences of the energy, for a molecule.

    IF IT FAILS: look for detached tensors, in-place changes and custom backward functions
    (`torch.autograd.gradcheck` finds which).
    """
    check_forces(subject, exported, examples.ethanol()[0])


@needs(forces, double_precision)
def test_forces_in_a_crystal_are_derivatives(
    subject: Subject, exported: Predictor, examples: Examples
) -> None:
    """Forces are minus the finite differences of the energy, for some atoms of a crystal.

    IF IT FAILS: and the test of the molecule does not, look at edges across the boundary.
    """
    check_forces(subject, exported, examples.ice()[0], number=2)


@needs(stress, double_precision)
def test_stress_is_a_derivative(subject: Subject, exported: Predictor, examples: Examples) -> None:
    """The derivative of the energy by strain, stress times volume, by finite differences.

    IF IT FAILS: is the cell connected to the energy other than through the edge vectors? Are
    vectors of the cell detached?
    """
    check_stress(subject, exported, examples.ice()[0])


@needs(forces)
def test_net_force_is_zero(same: float, exported: Predictor, examples: Examples) -> None:
    """The forces on all atoms of a structure add up to zero.

    IF IT FAILS: an atom feels something that does not feel it back, such as a fixed origin.
    """
    structures = examples.both(1, 1)
    for atoms in structures:
        total = exported.gradients([atoms]).forces.sum(0)
        assert_close(total, np.zeros(3), same, f"net force on {atoms.symbols}")


@needs(forces)
def test_single_atom_has_no_forces(same: float, exported: Predictor) -> None:
    """An atom without neighbors feels no force.

    IF IT FAILS: and it is NaN, a norm or a root of zero has no derivative; else the energy depends
    on where the atom is.
    """
    for atomic_number in ATOMIC_TYPES:
        found = exported.gradients([single_atom(atomic_number)]).forces
        assert_close(found, np.zeros((1, 3)), same, "forces on a single atom")


@needs(forces, double_precision)
def test_smooth_at_the_cutoff(subject: Subject, exported: Predictor, examples: Examples) -> None:
    """Energy and forces do not jump where an atom leaves the neighborhood of another.

    IF IT FAILS: everything that an edge adds must go to zero at the cutoff with its slope. A
    limit on the number of neighbors jumps as well.
    """
    molecule = examples.ethanol()[0]
    for options in exported.requested:
        # a step over the cutoff so small that what is smooth changes by nothing
        crossing = [_at_distance(molecule, options.cutoff + h) for h in (-1e-6, 1e-6)]
        inside, outside = exported.gradients(crossing[:1]), exported.gradients(crossing[1:])
        tolerance = subject.tolerances.smooth
        what = f"of a molecule that an atom leaves at the cutoff of {options.cutoff}"
        assert_close(inside.energies, outside.energies, tolerance, f"energy {what}")
        assert_close(inside.forces, outside.forces, tolerance, f"forces {what}")


def _at_distance(molecule: ase.Atoms, distance: float) -> ase.Atoms:
    """The molecule and an atom at this distance of its outermost atom, and no nearer to others."""
    # beyond the atom with the largest x, along x: all other atoms are further away
    outermost = molecule.positions[np.argmax(molecule.positions[:, 0])]
    atom = single_atom(1)
    atom.positions[0] = outermost + np.array([distance, 0.0, 0.0])
    both: ase.Atoms = molecule + atom
    return both
