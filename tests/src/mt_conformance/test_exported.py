"""The exported file, where it is used: in a process that has nothing of ours."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from metatomic.torch import load_atomistic_model

from mt_conformance.abilities import both_precisions, double_precision, forces, needs, stress
from mt_conformance.comparing import assert_close
from mt_conformance.data import ETHANOL, ICE, Examples
from mt_conformance.models import ATOMIC_TYPES, preferred_dtype
from mt_conformance.predictor import Predictor, predictor_of
from mt_conformance.runs import Run, Runs
from mt_conformance.simulating import read_simulated
from mt_conformance.subjects import Subject
from mt_shared.contract import ModelInterface

PRECISIONS = [
    pytest.param(32, marks=needs(both_precisions), id="float32"),
    pytest.param(64, marks=needs(double_precision), id="float64"),
]


@pytest.fixture(params=PRECISIONS)
def run(request: pytest.FixtureRequest, runs: Runs) -> Run:
    """A trained potential, evaluated by ``mt eval`` and in ASE, in each precision."""
    return runs.potential(request.param)


@pytest.fixture
def tolerance(run: Run, subject: Subject) -> float:
    """How closely ASE must agree with ``mt eval``."""
    dtype = load_atomistic_model(str(run.model), str(run.extensions)).capabilities().dtype
    tolerances = subject.tolerances
    return tolerances.engine32 if dtype == "float32" else tolerances.engine64


def test_runs_without_our_packages(run: Run) -> None:
    """An exported model runs in a process that imported `metatomic_ase` alone.

    IF IT FAILS: the exported file refers to Python code or to an extension that is not beside it;
    what is scripted must not call anything that imports a package of ours.
    """
    ours = read_simulated(run.folder).ours
    assert ours == [], f"imported: {ours}"


def test_energies_in_ase(run: Run, tolerance: float) -> None:
    """ASE gives the energies of `mt eval`.

    IF IT FAILS: does the result depend on the size of the batch, or on the neighbor list having
    more entries than needed?
    """
    found = [result["energy"] for result in read_simulated(run.folder).results]
    assert_close(found, run.predicted().energies, tolerance, "energies in ASE")


@needs(forces)
def test_forces_in_ase(run: Run, tolerance: float) -> None:
    """ASE gives the forces of `mt eval`.

    IF IT FAILS: as for the energies; a difference of the forces alone is one of the derivatives.
    """
    results = read_simulated(run.folder).results
    found = np.concatenate([result["forces"] for result in results])
    assert_close(found, run.predicted().forces, tolerance, "forces in ASE")


@needs(stress)
def test_stress_in_ase(run: Run, tolerance: float) -> None:
    """ASE gives the stress of `mt eval`, for the structures that are periodic.

    IF IT FAILS: as for the forces; look at how the energy depends on the cell.
    """
    results = read_simulated(run.folder).results
    found = [result["stress"] for result in results if "stress" in result]
    assert_close(found, run.predicted().stress, tolerance, "stress in ASE")


def test_export_changes_nothing(
    subject: Subject, model: ModelInterface, exported: Predictor, examples: Examples
) -> None:
    """The exported file, in TorchScript, predicts what the model in Python predicts.

    IF IT FAILS: the two take different branches: look at `torch.jit.is_scripting()`.
    """
    structures = [*examples.structures(ETHANOL, 2), *examples.structures(ICE, 1)]
    module = predictor_of(model, exported.dtype)
    for name, output in exported.outputs.items():
        kind = output.sample_kind
        expected = module.values(structures, name, kind)
        found = exported.values(structures, name, kind)
        assert_close(found, expected, subject.tolerances.same, f"'{name}' after export")


def test_export_leaves_the_model(
    subject: Subject, model: ModelInterface, exported: Predictor
) -> None:
    """Exporting leaves the model in Python as it was: same dtype, same training mode.

    IF IT FAILS: export a copy (`copy.deepcopy(self).eval()`).
    """
    copied = copy.deepcopy(model).train()
    copied.export()
    assert copied.training, "export switched the model to evaluation mode"
    before = dict(model.state_dict())
    changed = [name for name, value in copied.state_dict().items() if not same(value, before[name])]
    assert not changed, f"changed by export: {changed[:5]}"


def same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return left.dtype == right.dtype and torch.equal(left, right)


def test_export_says_what_it_is(subject: Subject, exported_file: Path) -> None:
    """The exported file names elements, units, range, dtype and references.

    IF IT FAILS: fill `ModelCapabilities` from `dataset_info`, and use `__default_metadata__`
    where no metadata are given.
    """
    loaded = load_atomistic_model(str(exported_file), str(exported_file.parent / "extensions"))
    capabilities = loaded.capabilities()
    types, unit, dtype = capabilities.atomic_types, capabilities.length_unit, capabilities.dtype
    assert sorted(types) == list(ATOMIC_TYPES), f"atomic types are {types}, not {ATOMIC_TYPES}"
    assert unit == "angstrom", f"the unit of length is '{unit}'; expected angstrom"
    expected = str(preferred_dtype(subject)).removeprefix("torch.")
    assert dtype == expected, f"the dtype is {dtype}; expected {expected}"
    cutoffs = [options.cutoff for options in loaded.requested_neighbor_lists()]
    assert capabilities.interaction_range >= max(cutoffs, default=0.0), (
        f"the interaction range is {capabilities.interaction_range}, the cutoffs are {cutoffs}"
    )
    assert loaded.metadata().references["architecture"], "no references under 'architecture'"


@needs(both_precisions)
def test_precisions_agree(subject: Subject, model: ModelInterface, examples: Examples) -> None:
    """The same weights give nearly the same energies in float32 as in float64.

    IF IT FAILS: some step loses digits, such as a difference of large numbers.
    """
    structures = [*examples.structures(ETHANOL, 2), *examples.structures(ICE, 1)]
    expected = predictor_of(model, torch.float64).values(structures)
    single = predictor_of(copy.deepcopy(model).to(torch.float32), torch.float32)
    found = single.values(structures)
    sizes = torch.tensor([[len(atoms)] for atoms in structures])
    tolerance = subject.tolerances.precision
    assert_close(found / sizes, expected / sizes, tolerance, "energy by atom in float32")
