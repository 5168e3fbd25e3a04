"""Derivatives of the energy of the exported model, by finite differences."""

from itertools import product

import ase
import numpy as np
import torch

from mt_conformance.inputs import ATOMIC_TYPES, Examples, Subject, abilities, edge_cases, needs
from mt_conformance.runs import Predictor
from mt_conformance.tests.comparing import assert_close

STEP = 1e-4
"""In angstrom, and without unit for a strain: the error is of the order of its square."""

STEPS = (-STEP, STEP)


def moved(atoms: ase.Atoms, atom: int, axis: int, step: float) -> ase.Atoms:
    """With one coordinate of one atom changed."""
    changed = atoms.copy()
    changed.positions[atom, axis] += step
    return changed


def strained(atoms: ase.Atoms, row: int, column: int, step: float) -> ase.Atoms:
    """With one entry of the strain: r becomes r (1 + strain), the vectors of the cell too."""
    changed = atoms.copy()
    strain = np.eye(3)
    strain[row, column] += step
    changed.set_cell(atoms.cell.array @ strain, scale_atoms=False)
    changed.positions = atoms.positions @ strain
    return changed


def slopes(predictor: Predictor, structures: list[ase.Atoms]) -> torch.Tensor:
    """Central differences (N, 3) of the energies of structures, all in one batch.

    :param structures: by component, axis, and step, the last one fastest
    """
    energies = predictor.values(structures).reshape(-1, 3, 2)
    return (energies[:, :, 1] - energies[:, :, 0]) / (2 * STEP)


def check_forces(
    subject: Subject, predictor: Predictor, atoms: ase.Atoms, number: int | None = None
) -> None:
    """Fail unless forces on all or the first atoms are minus the differences of the energy."""
    some = range(len(atoms))[:number]
    expected = -slopes(predictor, [moved(atoms, *one) for one in product(some, range(3), STEPS)])
    found = predictor.gradients([atoms]).forces[:number]
    tolerance = subject.tolerances.finite_differences
    assert_close(found, expected, tolerance, "forces against finite differences")


def check_stress(subject: Subject, predictor: Predictor, atoms: ase.Atoms) -> None:
    """Fail unless the derivative by strain, stress times volume, is that of the differences."""
    entries = product(range(3), range(3), STEPS)
    expected = slopes(predictor, [strained(atoms, *entry) for entry in entries])
    found = predictor.gradients([atoms]).strain[0]
    tolerance = subject.tolerances.finite_differences
    assert_close(found, expected, tolerance, "stress against finite differences")


@needs(abilities.forces, abilities.double_precision)
def test_forces_are_derivatives(subject: Subject, exported: Predictor, examples: Examples) -> None:
    """Forces are minus the finite differences of the energy, for a molecule.

    IF IT FAILS: look for detached tensors, in-place changes, custom backward functions (gradcheck).
    """
    check_forces(subject, exported, examples.ethanol()[0])


@needs(abilities.forces, abilities.double_precision)
def test_forces_in_a_crystal_are_derivatives(
    subject: Subject, exported: Predictor, examples: Examples
) -> None:
    """Forces are minus the finite differences of the energy, for some atoms of a crystal.

    IF IT FAILS: and the test of the molecule does not, look at edges across the boundary.
    """
    check_forces(subject, exported, examples.ice()[0], number=2)


@needs(abilities.stress, abilities.double_precision)
def test_stress_is_a_derivative(subject: Subject, exported: Predictor, examples: Examples) -> None:
    """The derivative of the energy by strain, stress times volume, by finite differences.

    IF IT FAILS: is the cell used other than by edge vectors? Are these detached?
    """
    check_stress(subject, exported, examples.ice()[0])


@needs(abilities.forces)
def test_net_force_is_zero(same: float, exported: Predictor, examples: Examples) -> None:
    """The forces on all atoms of a structure add up to zero.

    IF IT FAILS: an atom feels something that does not feel it back, such as a fixed origin.
    """
    for atoms in examples.both(1, 1):
        total = exported.gradients([atoms]).forces.sum(0)
        assert_close(total, np.zeros(3), same, f"net force on {atoms.symbols}")


@needs(abilities.forces)
def test_single_atom_has_no_forces(same: float, exported: Predictor) -> None:
    """An atom without neighbors feels no force.

    IF IT FAILS: NaN is the slope of a norm or root at zero; else energies depend on the place.
    """
    for atomic_number in ATOMIC_TYPES:
        found = exported.gradients([edge_cases.single_atom(atomic_number)]).forces
        assert_close(found, np.zeros((1, 3)), same, "forces on a single atom")


@needs(abilities.forces, abilities.double_precision)
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
    atom = edge_cases.single_atom(1)
    atom.positions[0] = outermost + np.array([distance, 0.0, 0.0])
    both: ase.Atoms = molecule + atom
    return both
