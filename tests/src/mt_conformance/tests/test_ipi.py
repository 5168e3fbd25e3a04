"""The exported file in a second engine: i-PI, through its metatomic driver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from metatomic.torch import load_atomistic_model

from mt_conformance.inputs import ETHANOL, Examples, double_precision, forces, needs
from mt_conformance.runs import Driven, Gradients, Run, Runs, drive, exported_predictor, read_driven
from mt_conformance.tests.comparing import assert_close

pytestmark = needs(forces)

TOLERANCE = 1e-5
"""i-PI has eight digits in its files, and constants of nature of its own."""
MOST_DRIFT = 0.05
"""Of the total energy, by how far the potential energy goes up and down meanwhile."""


@pytest.fixture
def potential(runs: Runs) -> Run:
    """A trained potential, in float64 where that is supported."""
    return runs.potential(64 if double_precision(runs.subject.capabilities) else 32)


@pytest.fixture
def driven(runs: Runs, potential: Run, examples: Examples) -> Driven:
    """Twenty steps of a molecule at constant energy."""

    def make(folder: Path) -> None:
        atoms = examples.structures(ETHANOL, 1)[0]
        drive(folder, potential.model, potential.extensions, atoms)

    return read_driven(runs.get("ipi", make).folder)


@pytest.fixture
def expected(potential: Run, examples: Examples) -> Gradients:
    """Energy and forces of the first step."""
    model = load_atomistic_model(str(potential.model), str(potential.extensions))
    return exported_predictor(model).gradients(examples.structures(ETHANOL, 1))


def test_energies_in_ipi(driven: Driven, expected: Gradients) -> None:
    """i-PI begins with the energy that the model has anywhere else.

    IF IT FAILS: the driver asks for energies in eV of structures in angstrom, in a batch of one:
    do the capabilities of the exported model name its units?
    """
    assert_close(driven.potential[:1], expected.energies, TOLERANCE, "energy in i-PI")


def test_forces_in_ipi(driven: Driven, expected: Gradients) -> None:
    """i-PI gets the forces that the model has anywhere else.

    IF IT FAILS: as for the energies; the driver takes the derivative by positions and by strain at
    once.
    """
    assert_close(driven.forces, expected.forces, TOLERANCE, "forces in i-PI")


def test_total_energy_is_kept_in_ipi(driven: Driven) -> None:
    """At constant energy, the total energy stays while the potential energy goes up and down.

    IF IT FAILS: and the forces are derivatives of the energy (`test_gradients.py`), the energy
    depends on more than where the atoms are: on the step before, or on random numbers.
    """
    potential, drift = np.ptp(driven.potential), np.ptp(driven.conserved)
    assert drift <= MOST_DRIFT * potential, (
        f"the total energy goes {drift:.2e} eV up and down in i-PI, and the potential energy "
        f"{potential:.2e} eV"
    )
