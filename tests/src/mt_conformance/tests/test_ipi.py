"""The exported file in a second engine: i-PI, through its metatomic driver."""

from pathlib import Path

import numpy as np
import pytest

from mt_conformance.inputs import Examples, abilities, needs
from mt_conformance.runs import Gradients, IpiResults, Run, Runs, read_ipi_results, run_in_ipi
from mt_conformance.tests.comparing import assert_close

# its driver knows no inputs
pytestmark = needs(abilities.forces, abilities.no_inputs)

TOLERANCE = 1e-5
"""i-PI has eight digits in its files, and constants of nature of its own."""
MOST_DRIFT = 0.05
"""Of the total energy, by how far the potential energy goes up and down meanwhile."""


@pytest.fixture
def potential(runs: Runs) -> Run:
    """A trained potential, in float64 where that is supported."""
    return runs.trained(64 if abilities.double_precision(runs.subject.capabilities) else 32)


@pytest.fixture
def results(runs: Runs, potential: Run, examples: Examples) -> IpiResults:
    """Twenty steps of a molecule at constant energy."""

    def make(folder: Path) -> None:
        for path in (potential.model, potential.extensions):
            (folder / path.name).symlink_to(path)
        run_in_ipi(folder, potential.line_for("i-PI"), examples.ethanol()[0])

    return read_ipi_results(runs.get("ipi", make).folder)


@pytest.fixture
def expected(potential: Run, examples: Examples) -> Gradients:
    """Energy and forces of the first step."""
    return potential.exported().gradients(examples.ethanol())


def test_energies_in_ipi(results: IpiResults, expected: Gradients) -> None:
    """i-PI, by the line that a training prints, begins with the energy of the model elsewhere.

    IF IT FAILS: the driver asks for energies in eV of structures in angstrom, in a batch of one:
    do the capabilities of the exported model name its units?
    """
    assert_close(results.potential[:1], expected.energies, TOLERANCE, "energy in i-PI")


def test_forces_in_ipi(results: IpiResults, expected: Gradients) -> None:
    """i-PI gets the forces that the model has anywhere else.

    IF IT FAILS: as for the energies; the driver derives by positions and by strain at once.
    """
    assert_close(results.forces, expected.forces, TOLERANCE, "forces in i-PI")


def test_total_energy_is_kept_in_ipi(results: IpiResults) -> None:
    """At constant energy, the total energy stays while the potential energy goes up and down.

    IF IT FAILS: and the forces are derivatives of the energy (`test_gradients.py`), the energy
    depends on more than where the atoms are: on the step before, or on random numbers.
    """
    potential, drift = np.ptp(results.potential), np.ptp(results.conserved)
    assert drift <= MOST_DRIFT * potential, (
        f"the total energy goes {drift:.2e} eV up and down in i-PI, and the potential energy "
        f"{potential:.2e} eV"
    )
