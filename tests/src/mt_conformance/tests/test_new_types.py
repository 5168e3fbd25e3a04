"""A model that meets atomic types it was not made for."""

from pathlib import Path

import ase
import pytest
import torch

from mt_conformance.inputs import ATOMIC_TYPES, ETHANOL, Examples, Model, Subject, abilities, needs
from mt_conformance.runs import Run, Runs, exported_predictor, predictor_of, train
from mt_conformance.tests.comparing import assert_close, assert_finite, assert_identical

NITROGEN, CHLORINE = 7, 17

pytestmark = needs(abilities.finetuning())


@pytest.fixture(scope="module")
def larger(model: Model, subject: Subject) -> Model:
    """The model, made ready for two more atomic types, one after the other."""
    torch.manual_seed(1)
    for new in (NITROGEN, CHLORINE):
        info = subject.dataset_info(tuple(sorted([*ATOMIC_TYPES, new])))
        model = model.restart(info)
    return model.eval()


def with_new_types(atoms: ase.Atoms) -> ase.Atoms:
    """The structure with a nitrogen and a chlorine in the place of its first atoms."""
    changed = atoms.copy()
    changed.numbers[:2] = (NITROGEN, CHLORINE)
    return changed


def test_old_types_keep_their_values(
    subject: Subject, model: Model, larger: Model, same: float, examples: Examples
) -> None:
    """Structures of the old types have the values and the forces that they had before.

    IF IT FAILS: every number that belongs to an atomic type must follow it to its new place, and
    nothing that is computed of old types may depend on how many types there are.
    """
    predictors = [predictor_of(each) for each in (model, larger)]
    before, after = (each.values(examples.both()) for each in predictors)
    assert_close(after, before, same, f"'{subject.main.name}' in the larger model")
    if abilities.forces(subject.capabilities):
        before, after = (each.gradients(examples.both()).forces for each in predictors)
        assert_close(after, before, same, "forces in the larger model")


def test_new_types_have_values(larger: Model, examples: Examples) -> None:
    """A structure with the new types has finite values of its own.

    IF IT FAILS: does `restart(dataset_info)` return a model of all types, old and new?
    """
    structure = examples.ethanol()[0]
    predictor = predictor_of(larger)
    old, new = (predictor.values([each]) for each in (structure, with_new_types(structure)))
    assert_finite(new, "predictions")
    # more than the order of a sum does
    change = float((new - old).abs().max())
    assert change > 1e-6, f"nitrogen and chlorine change nothing: {change:.1e}"


@needs(abilities.epochs)
def test_finetuning_meets_new_types(runs: Runs, examples: Examples, tmp_path: Path) -> None:
    """Fine-tuned on structures with a type that it has never seen, the exported model predicts
    those, and structures of the types that it knew.

    IF IT FAILS: and the other tests of this file do not, the new type is lost on the way to the
    exported model: the best weights of the training belong to the larger model.
    """
    # ethanol with nitrogen in the place of oxygen, and none of the oxygen that the model knows
    labelled = map(runs.subject.main.labelled, examples.frames(ETHANOL)[60:70])
    frames = [frame.replace("\nO ", "\nN ") for frame in labelled]
    runs.write_frames(tmp_path / "new.xyz", frames)
    finetune = {"read_from": str(runs.reference().checkpoint)}
    data = runs.data_set("new.xyz")
    options = runs.options(data, num_epochs=1, batch_size=4, finetune=finetune)
    train(tmp_path, options)
    exported = Run(tmp_path).exported_model()
    known = sorted(exported.capabilities().atomic_types)
    wanted = sorted([*ATOMIC_TYPES, NITROGEN])
    assert known == wanted, f"the exported model knows the types {known}; expected {wanted}"
    old = examples.ethanol()[0]
    new = old.copy()
    new.symbols[new.symbols == "O"] = "N"
    assert_finite(exported_predictor(exported).values([old, new]), "predictions")


def test_larger_model_comes_back_from_its_checkpoint(larger: Model, examples: Examples) -> None:
    """A checkpoint of a model that was extended predicts the same, to the last digit.

    IF IT FAILS: does the order in which types were learnt matter? Then keep it in the checkpoint.
    """
    structure = examples.ethanol()[0]
    structures = [structure, with_new_types(structure)]
    again = type(larger).load_checkpoint(larger.get_checkpoint(), "export").eval()
    found, expected = (predictor_of(each).values(structures) for each in (again, larger))
    assert_identical(found, expected)
