"""The option ``zbl``: repulsion of nuclei (Ziegler, Biersack, Littmark) as a baseline."""

from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
import pytest

from mt_conformance.inputs import (
    Examples,
    Model,
    SharedFolders,
    Subject,
    abilities,
    as_frames,
    edge_cases,
    labelled,
    needs,
    needs_option,
    new_model,
    repulsion,
)
from mt_conformance.runs import Predictor, Runs, predictor_of, train
from mt_conformance.tests.comparing import assert_close
from mt_conformance.tests.test_gradients import check_forces, check_stress
from mt_shared.options import deep_merge

pytestmark = [needs_option("zbl"), needs(abilities.energies)]

PAIRS = ["HH", "CH", "CO", "OO"]
NEAR = [1e-3, 1e-2, 0.05]
APART = 3.0
"""In angstrom: beyond the repulsion of two of these atoms."""
SQUEEZE = 0.75
"""Bonds of this times their length are well within the repulsion."""
CRUSH = 0.5
"""The same for the atoms of the tiny cell and their images."""


def published(distance: float, first: int, second: int) -> float:
    """The energy (eV) of two nuclei at a distance in angstrom, with all four exponentials."""
    # in units of the universal screening length, a = 0.8854 a_0 / (Z_1^0.23 + Z_2^0.23)
    x = distance * (first**0.23 + second**0.23) / (0.8854 * 0.529177210903)
    coefficients = np.array([0.18175, 0.50986, 0.28022, 0.02817])
    exponents = np.array([3.19980, 0.94229, 0.40290, 0.20162])
    screening = float((coefficients * np.exp(-exponents * x)).sum())
    # e^2 / (4 pi epsilon_0) in eV angstrom
    return 14.3996454784936 * first * second / distance * screening


def pair(symbols: str, distance: float) -> ase.Atoms:
    """Two atoms in the void."""
    return ase.Atoms(symbols, [[0.0, 0.0, 0.0], [0.0, 0.0, distance]])


def squeezed(atoms: ase.Atoms) -> ase.Atoms:
    """The molecule with shorter bonds."""
    changed = atoms.copy()
    changed.positions *= SQUEEZE
    return changed


@pytest.fixture(scope="session")
def repelling(subject: Subject) -> Subject:
    """The architecture with the option switched on."""
    return replace(subject, hypers=deep_merge(subject.hypers, {"model": {"zbl": True}}))


@pytest.fixture(scope="session")
def with_repulsion(repelling: Subject) -> Predictor:
    """A model with random weights, those of the model without."""
    return predictor_of(new_model(repelling))


@pytest.fixture(scope="session")
def repelling_runs(repelling: Subject, examples: Examples, shared_folders: SharedFolders) -> Runs:
    return Runs(repelling, examples, shared_folders)


@needs(abilities.double_precision)
@pytest.mark.parametrize("symbols", PAIRS)
def test_adds_the_published_repulsion(
    with_repulsion: Predictor, model: Model, symbols: str
) -> None:
    """Two atoms near each other have the published energy more than without the option.

    IF IT FAILS: hand `hypers["zbl"]` to `BaseModel`, and let its `forward` be.
    """
    without = predictor_of(model)
    structures = [pair(symbols, distance) for distance in NEAR]
    found = (with_repulsion.values(structures) - without.values(structures))[:, 0]
    numbers = structures[0].numbers
    expected = [published(distance, *numbers) for distance in NEAR]
    assert_close(found, expected, 1e-8, f"repulsion of {symbols}")


@needs(abilities.forces, abilities.double_precision)
def test_forces_of_the_repulsion_are_derivatives(
    subject: Subject, with_repulsion: Predictor, examples: Examples
) -> None:
    """Forces are minus the finite differences of the energy in a squeezed molecule.

    IF IT FAILS: and the test of the molecule without the option does not, the energy of the
    repulsion was added to something detached from the edge vectors.
    """
    check_forces(subject, with_repulsion, squeezed(examples.ethanol()[0]))


@needs(abilities.stress, abilities.double_precision)
def test_stress_of_the_repulsion_is_a_derivative(
    subject: Subject, with_repulsion: Predictor
) -> None:
    """The derivative by strain agrees with finite differences in a squeezed crystal.

    IF IT FAILS: as for the forces; are the edges across the boundary there?
    """
    atoms = edge_cases.tiny_cell()
    atoms.set_cell(CRUSH * atoms.cell.array, scale_atoms=True)
    check_stress(subject, with_repulsion, atoms)


@needs(abilities.forces)
@pytest.mark.parametrize("symbols", PAIRS)
def test_trained_model_repels(repelling_runs: Runs, symbols: str) -> None:
    """After training and export, two atoms repel each other with nearly the published energy.

    IF IT FAILS: the first test of this file says whether the model has a repulsion at all. If it
    has, something else in the model grows without bounds where atoms meet.
    """
    run = repelling_runs.trained_on("repelling", slice(12), num_epochs=2, batch_size=2)
    predictor = run.exported()
    distances = np.geomspace(NEAR[0], NEAR[-1], 12)
    found = predictor.gradients([pair(symbols, distance) for distance in (*distances, APART)])
    # what the two atoms have apart is no repulsion
    energies = (found.energies[:-1] - found.energies[-1]).numpy()
    assert (np.diff(energies) < 0).all(), f"the energies of {symbols} do not rise: {energies}"
    # two rows a pair, the second of each; without the last pair, which is apart
    on_second = found.forces[1:-2:2, 2]
    assert bool((on_second > 0).all()), f"forces on the second atom of {symbols}: {on_second}"
    numbers = pair(symbols, 1.0).numbers
    expected = [published(distance, *numbers) for distance in distances]
    what = f"repulsion of {symbols} after a training"
    np.testing.assert_allclose(energies, expected, rtol=0.05, err_msg=what)


def test_labels_that_are_repulsion_leave_nothing_to_learn(repelling_runs: Runs) -> None:
    """Trained on energies and forces of the repulsion alone, the model is exact at once.

    IF IT FAILS: take the repulsion off the labels before anything is fitted to them:
    `mt_shared.engine.repulsion.without_repulsion`, for the validation set too.
    """
    capabilities = repelling_runs.subject.capabilities

    def make(folder: Path) -> None:
        molecules = [squeezed(atoms) for atoms in repelling_runs.examples.ethanol(10)]
        frames = [labelled(atoms, *repulsion(atoms)) for atoms in molecules]
        repelling_runs.write_frames(folder / "squeezed.xyz", as_frames(frames))
        data = repelling_runs.data_set("squeezed.xyz")
        options = repelling_runs.options(data, num_epochs=1, batch_size=2)
        train(folder, options)

    run = repelling_runs.get("only-repulsion", make)
    quantity = repelling_runs.subject.learnt_quantity
    error, baseline = run.errors(quantity)
    found = {"the model": error}
    if abilities.epochs(capabilities):
        # the trainer takes the repulsion off the validation set by itself
        found["validation"] = run.column(f"^val {quantity} RMSE")[-1]
    for where, error in found.items():
        assert error < 1e-3 * baseline, (
            f"the error of {quantity} in {where} is {error:.4g}, and that of the composition alone "
            f"{baseline:.4g}: the repulsion was not taken off the labels"
        )
