"""Fine-tuning by each method that an architecture names in its capabilities."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from mt_conformance.inputs import ETHANOL, Examples, Subject, abilities, needs
from mt_conformance.runs import Run, Runs, train
from mt_conformance.tests.comparing import assert_close, assert_finite
from mt_conformance.tests.test_interruption import check_same

NEW = "mtt::new"
NUM_EPOCHS = 3
NOT_IN_THE_REFERENCE = slice(60, 80)


METHODS = [
    pytest.param(name, marks=needs(abilities.epochs, abilities.finetuning(name)))
    for name in ("full", "heads", "lora")
]
FREEZING = METHODS[1:]


def finetuning_options(
    runs: Runs, folder: Path, name: str, target: str | None = None, **training: Any
) -> dict[str, Any]:
    """Three epochs by a method, from the reference, on structures that it has not seen.

    :param target: a name for the labels, by default that of the reference
    """
    runs.write(folder / "new.xyz", ETHANOL, NOT_IN_THE_REFERENCE)
    hypers = {"num_epochs": NUM_EPOCHS, "batch_size": 4, "checkpoint_interval": 1} | training
    hypers["finetune"] = {"read_from": str(runs.reference().checkpoint), "method": name}
    return runs.options(runs.data_set("new.xyz", target), **hypers)


def finetuned(runs: Runs, name: str) -> Run:
    """The reference, fine-tuned by a method."""
    return runs.get(
        f"finetuned-{name}", lambda folder: train(folder, finetuning_options(runs, folder, name))
    )


@pytest.mark.parametrize("name", METHODS)
def test_method_trains_and_exports(runs: Runs, examples: Examples, name: str) -> None:
    """Each method trains: the loss is finite, and the exported model is not the one it began with.

    IF IT FAILS: does the method leave anything to train, and does `export` give a plain model?
    """
    run = finetuned(runs, name)
    losses = run.column("train loss")
    assert len(losses) == NUM_EPOCHS, f"{len(losses)} epochs were trained; expected {NUM_EPOCHS}"
    assert all(math.isfinite(loss) for loss in losses), f"the losses are {losses}"
    structures = examples.ethanol(2)
    before, after = (each.exported().values(structures) for each in (runs.reference(), run))
    assert_finite(after, "predictions")
    assert not torch.equal(before, after), "the model predicts what it predicted before"


@pytest.mark.parametrize("name", METHODS)
def test_restart_equals_no_restart(runs: Runs, tmp_path: Path, name: str) -> None:
    """Fine-tuning that goes on from its second epoch ends with the same numbers, bit for bit.

    IF IT FAILS: a restart must train the same parameters and have the same layers; what decides
    on them has to follow from options, model and data.
    """
    whole = finetuned(runs, name)
    # of three epochs with a checkpoint each: the last is the third, the one before the second
    (second,) = whole.folder.glob("outputs/*/*/previous.ckpt")
    train(tmp_path, finetuning_options(runs, tmp_path, name), "--restart", str(second))
    check_same(Run(tmp_path), whole)


@pytest.mark.parametrize("name", FREEZING)
def test_frozen_weights_keep_their_bits(runs: Runs, subject: Subject, name: str) -> None:
    """What `heads` and `lora` freeze is in the new model to the last bit.

    IF IT FAILS: leave out of the optimizer what is frozen; a decay of zero gradients moves it too.
    """
    model_class = subject.model_class
    before = model_class.load_checkpoint(runs.reference().contents(), "finetune")
    after = model_class.load_checkpoint(finetuned(runs, name).contents(), "restart")
    # by value, not by name: lora may give what it freezes another name
    tensors = [parameter.detach() for parameter in after.parameters()]
    kept = [
        parameter.numel()
        for parameter in before.parameters()
        if any(torch.equal(parameter, tensor) for tensor in tensors)
    ]
    assert kept, f"'{name}' has changed every parameter"
    trained = sum(tensor.numel() for tensor in tensors) - sum(kept)
    assert trained, f"'{name}' has changed no parameter"


@needs(abilities.epochs, abilities.finetuning("heads"), abilities.several_targets)
def test_heads_on_a_new_target_leave_the_old_one(runs: Runs, tmp_path: Path) -> None:
    """With `heads`, a new target gets a head, and the old target is predicted as before, exactly.

    IF IT FAILS: `restart` must add a head for the new target, and leave alone what both share.
    """
    train(tmp_path, finetuning_options(runs, tmp_path, "heads", NEW))
    structures = runs.examples.ethanol(3)
    before, after = runs.reference().exported(), Run(tmp_path).exported()
    assert NEW in after.outputs, f"the outputs are {sorted(after.outputs)}"
    new = after.values(structures, NEW, runs.subject.main.info.sample_kind)
    old = after.values(structures)
    assert torch.equal(old, before.values(structures)), "the old target has changed"
    assert not torch.equal(new, old), "the new target is the old one"


@needs(abilities.epochs, abilities.finetuning("heads"), abilities.several_targets)
def test_heads_are_inherited(runs: Runs, examples: Examples, tmp_path: Path) -> None:
    """`inherit_heads` gives a new target the head of an old one, before anything is trained.

    IF IT FAILS: copy head, scale and composition; only the composition is then fitted again.
    """
    options = finetuning_options(runs, tmp_path, "heads", NEW, num_epochs=1, learning_rate=1e-12)
    options["architecture"]["training"]["finetune"]["inherit_heads"] = {NEW: runs.subject.main.name}
    train(tmp_path, options)
    structures, model = examples.ethanol(5), Run(tmp_path).exported()
    # NEW has the kind of the old one, of which an exported model may say less
    kind = runs.subject.main.info.sample_kind
    difference = model.values(structures, NEW, kind) - model.values(structures)
    # one molecule: another composition is the same for all structures
    by_structure = difference.reshape(len(structures), -1)
    constant = by_structure.mean(0).expand_as(by_structure)
    assert_close(by_structure, constant, 1e-3, "the difference of the two targets")
