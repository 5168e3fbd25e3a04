"""What trains and what is exported are one function: energies, forces and stress of both agree."""

import copy
from typing import Any

import ase
import numpy as np
import pytest
import torch

from mt_conformance.inputs import (
    ATOMIC_TYPES,
    ENERGY,
    Examples,
    Model,
    Subject,
    abilities,
    as_dataset,
    as_labels,
    needs,
    needs_shared_trainer,
    of_each_periodicity,
)
from mt_conformance.runs import Run, Runs, exported_predictor
from mt_conformance.tests.comparing import assert_close
from mt_shared.data import Normalization, TargetLabels, species_of
from mt_shared.engine import set_baseline, store_for

pytestmark = needs(abilities.energies)

MILLI = 1e3
"""From eV to meV, in which errors are reported."""
QUANTITIES = [
    "energy",
    pytest.param("forces", marks=needs(abilities.forces)),
    pytest.param("stress", marks=needs(abilities.stress)),
]


def errors_of(run: Run, quantity: str) -> np.ndarray:
    """Of what `mt eval` predicts for the structures of the validation; of energies, by atom."""
    structures, energies, forces, strain = run.validated()
    if quantity == "energy":
        labels = [atoms.get_potential_energy() for atoms in structures]
        sizes = [len(atoms) for atoms in structures]
        return MILLI * (energies[:, 0] - labels) / sizes
    if quantity == "forces":
        return MILLI * (forces - np.concatenate([atoms.get_forces() for atoms in structures]))
    errors = [
        found / atoms.get_volume() - atoms.get_stress(voigt=False)
        for found, atoms in zip(strain, structures)
        if atoms.pbc.all()
    ]
    return MILLI * np.stack(errors)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_errors_of_the_training_are_those_of_the_exported_model(
    runs: Runs, subject: Subject, quantity: str
) -> None:
    """After one epoch on molecules, slabs and crystals, the errors of the validation in the last
    row of `train.csv` are those of `mt eval`.

    IF IT FAILS: does the model differ between training, evaluation and TorchScript? Has it a
    derivative that the trainer takes otherwise than an engine, by positions and cell? A trainer of
    your own reports what `mt_shared.engine.metrics_of` says, as `val forces RMSE [meV/A]`.
    """
    run = runs.validated()
    expected = float(np.sqrt(np.mean(errors_of(run, quantity) ** 2)))
    found = run.column(f"^val {quantity} RMSE")[-1]
    tolerance = subject.tolerances.training(run.exported().dtype)
    assert_close(found, expected, tolerance, f"RMSE of the {quantity} in validation (meV, A)")


@needs_shared_trainer
@needs(abilities.forces)
def test_predictions_in_training_are_those_of_the_exported_model(
    subject: Subject, model: Model, examples: Examples
) -> None:
    """What the loss compares with the labels, in training mode, is what an engine gets: energies,
    forces and stress of a molecule, a slab and a crystal.

    IF IT FAILS: and the errors after an epoch agree, look at what depends on training mode
    (`self.training`, dropout, which `HYPERS` in `conformance.py` can switch off), and at `predict`
    of the trainer.
    """
    structures = [atoms for kind in of_each_periodicity(examples).values() for atoms in kind[:1]]
    copied: Any = copy.deepcopy(model)
    composition = np.arange(len(ATOMIC_TYPES), dtype=np.float64)[:, None]
    set_baseline(copied, ENERGY, Normalization(composition, 2.0))
    found = predicted_in_training(subject, copied, structures)
    expected = exported_predictor(copied.export()).gradients(structures)
    same = subject.tolerances.same
    assert_close(found["energies"], expected.energies, same, "energies in training")
    assert_close(found["forces"], expected.forces, same, "forces in training")
    if abilities.stress(subject.capabilities):
        assert_close(found["strain"], expected.strain, same, "stress times volume in training")


def predicted_in_training(
    subject: Subject, model: Any, structures: list[ase.Atoms]
) -> dict[str, torch.Tensor]:
    """Energies (S,), forces (A, 3) and dE/d(strain) (S, 3, 3), as an engine has them."""
    gradients = {"positions": np.zeros((sum(map(len, structures)), 3))}
    if abilities.stress(subject.capabilities):
        gradients["strain"] = np.zeros((len(structures), 3, 3))
    labels = TargetLabels(np.zeros((len(structures), 1)), gradients)
    inputs = as_labels(subject.inputs, structures)
    dataset = as_dataset(structures, {ENERGY: labels}, "molecule, slab and crystal", inputs)
    info = model.dataset_info
    store = store_for(model, [dataset], info, subject.dtype)
    batch = store.batch(torch.arange(len(store)))
    trainer: Any = subject.architecture.trainer_class(subject.resolved.training)
    prediction = trainer.predict(model.train(), batch)[ENERGY]
    # as in training, scale and composition are left out
    baseline = model.baselines[ENERGY]
    species = species_of(dataset.structures, info.atomic_types)
    composition = baseline.composition[torch.from_numpy(species), 0]
    offset = torch.zeros(len(structures), dtype=torch.float64)
    offset = offset.index_add(0, batch.graph.system, composition)
    scaled = {name: each.detach() * baseline.scale for name, each in prediction.gradients.items()}
    return {
        "energies": prediction.values[:, 0].detach() * baseline.scale + offset,
        "forces": -scaled["positions"],
        "strain": scaled.get("strain", torch.zeros(0)),
    }
