"""Checkpoints: what is in them, and that they bring back what was saved."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mt_conformance.inputs import ATOMIC_TYPES, Examples, Model, Subject, abilities, needs
from mt_conformance.runs import OPTIONS, Runs, mt, predictor_of
from mt_conformance.tests.comparing import assert_close, assert_identical, differences, leaves
from mt_shared.contract import (
    DatasetInfo,
    TargetInfo,
    metadata_from_dict,
    metadata_to_dict,
    read_checkpoint,
    write_checkpoint,
)
from mt_shared.errors import CheckpointError, UserError

Values = Callable[[Model], torch.Tensor]
PLAIN = (str, int, float, bool, type(None), torch.Tensor)


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    """A file with the checkpoint of the model."""
    file = tmp_path / "saved.ckpt"
    model.save_checkpoint(file)
    return file


@pytest.fixture
def loaded(saved: Path, model: Model) -> Model:
    """A copy of the model by way of a file."""
    return load(model, read_checkpoint(saved), "restart")


@pytest.fixture
def values(examples: Examples) -> Values:
    """The main target of three structures by any model."""
    return lambda model: predictor_of(model).values(examples.ethanol(3))


def load(like: Model, checkpoint: dict[str, Any], context: str) -> Model:
    """A model of the same class in evaluation mode."""
    return type(like).load_checkpoint(checkpoint, context).eval()


def check_plain(checkpoint: dict[str, Any]) -> None:
    """Fail if something in the checkpoint is neither a tensor nor a plain value."""
    foreign = [path for path, value in leaves(checkpoint) if type(value) not in PLAIN]
    assert not foreign, f"neither tensors nor plain values: {foreign[:5]}"


def test_model_checkpoint_is_plain(model: Model) -> None:
    """The checkpoint of a model holds tensors and plain values, nothing else.

    IF IT FAILS: the message names the places; turn what is there into numbers, strings, lists and
    dictionaries (`to_dict`, `metadata_to_dict`, `.tolist()`, a parameter's `.detach()`).
    """
    check_plain(model.get_checkpoint())


def test_training_checkpoint_is_plain(runs: Runs) -> None:
    """So does the checkpoint that a training leaves, with the state of its trainer.

    IF IT FAILS: see above; the trainer's part is written by its `save_checkpoint`.
    """
    check_plain(runs.reference().contents())


def test_checkpoint_needs_no_code_to_be_read(saved: Path) -> None:
    """`torch.load(..., weights_only=True)` reads the file.

    IF IT FAILS: write it with `mt_shared.contract.write_checkpoint` and keep to plain values.
    """
    torch.load(saved, weights_only=True)


def test_checkpoint_names_its_architecture(subject: Subject, model: Model) -> None:
    """`mt export` finds the architecture of a checkpoint by its name in the file.

    IF IT FAILS: begin `get_checkpoint()` with `mt_shared.contract.checkpoint_header(type(self))`.
    """
    checkpoint = model.get_checkpoint()
    header = {"architecture": subject.name, "distribution": subject.entry.distribution}
    for key, name in header.items():
        found = checkpoint.get(key)
        assert found == name, f"'{key}' of the checkpoint is '{found}'; expected '{name}'"


def test_dataset_info_comes_back(model: Model, loaded: Model) -> None:
    """Units, elements and targets survive a checkpoint.

    IF IT FAILS: save `dataset_info.to_dict()` and read it with `DatasetInfo.from_dict`.
    """
    expected = model.dataset_info.to_dict()
    changed = differences(loaded.dataset_info.to_dict(), expected)
    assert not changed, f"came back otherwise: {changed}"
    assert DatasetInfo.from_dict(expected) == model.dataset_info, "to_dict leaves something out"


def test_metadata_survive_plain_values(subject: Subject) -> None:
    """Metadata turn to plain values and back.

    IF IT FAILS: `__default_metadata__` holds something that metatomic's ModelMetadata does not.
    """
    values = metadata_to_dict(subject.architecture.model_class.__default_metadata__)
    changed = differences(metadata_to_dict(metadata_from_dict(values)), values)
    assert not changed, f"came back otherwise: {changed}"


@pytest.mark.parametrize("context", ["restart", "finetune", "export"])
def test_loaded_model_predicts_the_same(
    model: Model, saved: Path, values: Values, context: str
) -> None:
    """In every context, a model out of a checkpoint predicts what it predicted, to the last bit.

    IF IT FAILS: is all state in parameters and buffers? What is derived from hypers must be
    derived again in `__init__`, and in the same dtype.
    """
    assert_identical(values(load(model, read_checkpoint(saved), context)), values(model))


def test_restart_with_equal_data_changes_nothing(
    model: Model, loaded: Model, values: Values
) -> None:
    """`restart` with an equal `DatasetInfo` leaves predictions as they are, to the last bit.

    IF IT FAILS: `restart` must not initialize anything that the model has.
    """
    restarted = loaded.restart(DatasetInfo.from_dict(model.dataset_info.to_dict())).eval()
    assert_identical(values(restarted), values(model))
    changed = differences(restarted.dataset_info.to_dict(), model.dataset_info.to_dict())
    assert not changed, f"the data set info has changed: {changed}"


def test_restart_with_a_new_element(
    subject: Subject, model: Model, loaded: Model, values: Values
) -> None:
    """An element that the model has never seen is refused, or added without changing the others.

    IF IT FAILS: raise `mt_shared.errors.DataError` with the element, or extend what the model knew.
    """
    more = subject.dataset_info((*ATOMIC_TYPES, 17))
    try:
        restarted = loaded.restart(more).eval()
    except UserError as error:
        refusal = str(error)
    else:
        what, same = "values after adding an element", subject.tolerances.same
        assert_close(values(restarted), values(model), same, what)
        return
    assert "17" in refusal, f"the error does not name the element 17: {refusal}"


@needs(abilities.several_targets)
def test_restart_with_a_new_target(
    subject: Subject, model: Model, loaded: Model, values: Values
) -> None:
    """A new target becomes an output, and the old ones stay as they are.

    IF IT FAILS: `restart` must build what the new target needs, and leave the rest alone.
    """
    info = subject.dataset_info()
    new = TargetInfo(sample_kind=subject.main.info.sample_kind, type=subject.main.info.type)
    more = replace(info, targets=info.targets | {"mtt::new": new})
    restarted = loaded.restart(more).eval().to(subject.dtype)
    assert "mtt::new" in restarted.supported_outputs(), "the new target is no output"
    assert_identical(values(restarted), values(model))


@pytest.mark.parametrize("part", ["model", "trainer"])
def test_newer_checkpoint_is_refused(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """A checkpoint of a newer version is refused, with what to install.

    IF IT FAILS: implement `upgrade_checkpoint` with `mt_shared.contract.upgrade_by_version`.
    """
    subject = runs.subject
    cls = getattr(subject.architecture, f"{part}_class")
    # to an installation one version behind, today's checkpoint is a newer one
    monkeypatch.setattr(cls, "__checkpoint_version__", cls.__checkpoint_version__ - 1)
    checkpoint = runs.reference().contents()
    with pytest.raises(CheckpointError, match="pip install") as refusal:
        cls.upgrade_checkpoint(checkpoint)
    assert subject.entry.distribution in str(refusal.value), (
        f"the error does not name {subject.entry.distribution}: {refusal.value}"
    )


def test_todays_checkpoint_needs_no_upgrade(subject: Subject, model: Model) -> None:
    """A checkpoint of the current version passes `upgrade_checkpoint` as it is.

    IF IT FAILS: `upgrade_checkpoint` must begin with the version that the checkpoint has.
    """
    checkpoint = model.get_checkpoint()
    upgraded = subject.architecture.model_class.upgrade_checkpoint(model.get_checkpoint())
    changed = dict(leaves(upgraded)).keys() ^ dict(leaves(checkpoint)).keys()
    assert not changed, f"upgraded although it is of today's version: {sorted(changed)}"


def test_checkpoint_of_another_architecture_is_refused(runs: Runs, tmp_path: Path) -> None:
    """A restart from the checkpoint of another architecture is refused, both names said.

    IF IT FAILS: the checkpoint of this architecture lacks the name in its header.
    """
    run = runs.reference()
    foreign = run.contents() | {"architecture": "someone_elses"}
    write_checkpoint(foreign, tmp_path / "foreign.ckpt")
    arguments = ("train", OPTIONS, "--restart", tmp_path / "foreign.ckpt")
    refused = mt(*arguments, folder=run.folder)
    refused.check_refused("someone_elses", runs.subject.name)


def test_changing_a_loaded_model_leaves_the_checkpoint(model: Model, saved: Path) -> None:
    """A checkpoint that was taken stays as it is while the model goes on.

    IF IT FAILS: `get_checkpoint` must copy (`.detach().clone()`), not hand out its parameters.
    """
    copy = load(model, read_checkpoint(saved), "restart")
    checkpoint = copy.get_checkpoint()
    tensors = {path: value for path, value in leaves(checkpoint) if torch.is_tensor(value)}
    before = {path: value.clone() for path, value in tensors.items()}
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.add_(1.0)
    changed = [path for path, value in tensors.items() if not torch.equal(value, before[path])]
    assert not changed, f"changed with the model: {changed[:5]}"
