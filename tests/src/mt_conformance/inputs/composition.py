"""Molecules whose energies are sums over their atoms of a number for each element."""

from __future__ import annotations

import ase
import numpy as np
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

ENERGIES = {1: -13.5, 6: -1027.75, 8: -2041.25}
"""In eV, of an atom; of the size of total energies, without a rounding error."""
NAMES = (
    *("CH4", "H2O", "CH3OH", "C2H6", "C2H4", "C2H2", "CO2", "H2CO"),
    *("CH3CH2OH", "HCOOH", "H2O2", "CH3OCH3", "CH3CHO", "C3H8", "CH3COOH"),
)


def molecules() -> tuple[list[ase.Atoms], list[float]]:
    """Molecules of hydrogen, carbon and oxygen, and their energies."""
    structures = [molecule(name) for name in NAMES]
    return structures, [energy(atoms) for atoms in structures]


def energy(atoms: ase.Atoms) -> float:
    """The sum over the atoms."""
    return float(sum(ENERGIES[number] for number in atoms.numbers))


def labelled(atoms: ase.Atoms) -> ase.Atoms:
    """The molecule with its energy, and forces of zero."""
    copied = atoms.copy()
    forces = np.zeros((len(atoms), 3))
    copied.calc = SinglePointCalculator(copied, energy=energy(atoms), forces=forces)
    return copied
