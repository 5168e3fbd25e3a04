"""What a model reads of structures and atoms beside positions and types: ``extra_data``."""

from pathlib import Path

import ase
import numpy as np
import pytest
from metatomic.torch import AtomisticModel

from mt_conformance.inputs import ETHANOL, Examples, LabelledTarget, Subject, abilities, needs
from mt_conformance.runs import Predictor, Run, Runs, evaluate, run_in_ase, train
from mt_conformance.tests.comparing import assert_close, assert_finite

pytestmark = needs(abilities.inputs)

NUM_FRAMES = 10


def with_inputs(atoms: ase.Atoms, subject: Subject, number: int) -> ase.Atoms:
    """The structure with other inputs than the usual ones, by a number from 1 on."""
    changed = atoms.copy()
    for name, each in subject.inputs.items():
        if not each.info.per_atom:
            changed.info[name] = float(number)
        elif name == "mass":
            changed.set_masses(atoms.get_masses() + number)
        else:
            momenta = np.random.default_rng(number).normal(size=(len(atoms), 3))
            changed.set_momenta(momenta)
    return changed


def test_exported_model_asks_for_its_inputs(
    subject: Subject, exported_model: AtomisticModel
) -> None:
    """The exported model asks an engine for what `capabilities.yaml` names, in its unit.

    IF IT FAILS: let `requested_inputs()` give what `dataset_info.inputs` has, as `BaseModel` does.
    """
    requested = exported_model.requested_inputs(use_new_names=True)
    assert set(requested) == set(subject.inputs), (
        f"the exported model asks for {sorted(requested)}; expected {sorted(subject.inputs)}"
    )
    for name, each in subject.inputs.items():
        kind = requested[name].sample_kind
        assert kind == each.info.sample_kind, (
            f"'{name}' is asked for by {kind}; expected {each.info.sample_kind}"
        )


def test_predictions_depend_on_inputs(
    subject: Subject, predictor: Predictor, examples: Examples
) -> None:
    """Another charge, or whatever else is read, gives the same structure another prediction.

    IF IT FAILS: is the input connected to the network? What no prediction depends on is better
    struck off `inputs` in `capabilities.yaml`.
    """
    atoms = examples.ethanol()[0]
    usual, other = (predictor.values([each]) for each in (atoms, with_inputs(atoms, subject, 1)))
    assert_finite(other, f"predictions with other values of {', '.join(subject.inputs)}")
    change = float((other - usual).abs().max())
    assert change > 1e-6, f"other values of {', '.join(subject.inputs)} change {change:.1e}"


@pytest.fixture
def varied(subject: Subject, examples: Examples) -> list[ase.Atoms]:
    """Structures that differ in their inputs."""
    structures = enumerate(examples.ethanol(NUM_FRAMES))
    return [with_inputs(atoms, subject, 1 + number % 3) for number, atoms in structures]


@pytest.fixture
def run(runs: Runs, main: LabelledTarget, varied: list[ase.Atoms]) -> Run:
    """A training on these structures, with what is predicted for them."""

    def make(folder: Path) -> None:
        frames = list(map(main.labelled, runs.examples.frames(ETHANOL)[:NUM_FRAMES]))
        runs.write_frames(folder / "ethanol.xyz", frames, varied)
        data = runs.data_set("ethanol.xyz")
        train(folder, runs.options(data, num_epochs=2, batch_size=4))
        evaluate(folder, data, "predicted.xyz", "predicted.mts")
        run_in_ase(folder, main, ["ethanol.xyz"])

    return runs.get("inputs", make)


@pytest.fixture
def tolerance(run: Run, subject: Subject) -> float:
    """How closely predictions of one model have to agree."""
    return subject.tolerances.engine(run.exported().dtype)


def test_inputs_reach_the_evaluation(
    run: Run,
    main: LabelledTarget,
    varied: list[ase.Atoms],
    examples: Examples,
    tolerance: float,
) -> None:
    """Trained with `extra_data`, the model gets those of a file in `mt eval`.

    IF IT FAILS: a model reads `graph.inputs[name]`, or `system.get_data(name)` of its systems, and
    nothing that it remembers of the training.
    """
    found, exported = run.predicted(main).values, run.exported()
    expected = exported.values(varied)
    assert_close(found, expected, tolerance, f"'{main.name}' by mt eval")
    usual = exported.values(examples.ethanol(NUM_FRAMES))
    change = float((usual - expected).abs().max())
    assert change > 1e-6, f"a trained model gives other values for other inputs by {change:.1e}"


@needs(abilities.inputs_in_ase)
def test_inputs_reach_the_model_in_ase(run: Run, main: LabelledTarget, tolerance: float) -> None:
    """`atoms.info["charge"]` changes what the exported model predicts in ASE as it does in
    `mt eval`.

    IF IT FAILS: what the model asks for has another name, unit or kind of samples than in training.
    """
    found = np.concatenate([result["values"] for result in run.in_ase()["results"]])
    expected = run.predicted(main).values
    assert_close(found, expected, tolerance, f"'{main.name}' in ASE")
