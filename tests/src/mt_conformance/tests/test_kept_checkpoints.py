"""Checkpoints of every version, which a package keeps in its folder ``checkpoints``."""

from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
import torch

from mt_conformance.inputs import Model, Subject
from mt_conformance.regression import (
    FOLDER,
    TRAINER_VERSION,
    kept_model,
    lacks,
    upgraded,
    version_of,
)
from mt_conformance.runs import Runs, predictor_of
from mt_conformance.tests.comparing import leaves
from mt_shared.contract import read_checkpoint


def cluster(model: Model) -> ase.Atoms:
    """Two atoms of each type that the model knows, a bond's length apart from their next ones."""
    numbers = [*model.dataset_info.atomic_types] * 2
    positions = 1.1 * np.arange(len(numbers))[:, None] * np.array([[1.0, 0.1, 0.2]])
    positions[::2, 2] += 0.5
    return ase.Atoms(numbers, positions)


def test_each_version_has_a_checkpoint(subject: Subject, runs: Runs, kept: dict[str, Path]) -> None:
    """There is a checkpoint, such as `checkpoints/v1.ckpt`, of each version of model and trainer.

    The newest, of the shared trainer, has averaged weights and a best state.

    IF IT FAILS: keep the checkpoint of a small training before the version is released, for nothing
    writes it afterwards: `python -m mt_conformance.regression NAME model.ckpt`. It says how to
    train; one beside another of the same version of the model is called `v1b.ckpt`.
    """
    model_class = subject.model_class
    there = {version_of(name) for name in kept}
    missing = sorted(set(range(1, model_class.__checkpoint_version__ + 1)) - there)
    assert not missing, (
        f"there is no checkpoint of version {missing[0]} of the model in {FOLDER}/; today's is in "
        f"{runs.reference().checkpoint}"
    )
    trained = {read_checkpoint(file).get(TRAINER_VERSION) for file in kept.values()}
    wanted = range(1, subject.architecture.trainer_class.__checkpoint_version__ + 1)
    # a trainer that does not derive from the shared one may count its versions elsewhere
    lacking = sorted(set(wanted) - trained) if trained != {None} else []
    assert not lacking, (
        f"there is no checkpoint of version {lacking[0]} of the trainer in {FOLDER}/; today's is "
        f"in {runs.reference().checkpoint}"
    )
    newest = list(kept)[-1]
    missing_parts = lacks(subject, kept[newest])
    assert not missing_parts, (
        f"{FOLDER}/{newest}.ckpt has no {' and no '.join(missing_parts)}: an upgrade that forgets "
        "their names would pass; keep one that has them beside it"
    )


def test_kept_checkpoints_load(subject: Subject, kept: dict[str, Path]) -> None:
    """A checkpoint of any version loads in every context, predicts, and gives back its trainer.

    IF IT FAILS: what is saved has changed since. Raise `__checkpoint_version__`, and let
    `upgrade_checkpoint` turn the old form into the new one (`upgrades.py`).
    """
    for name, file in kept.items():
        try:
            values = [predicted(subject, file, context) for context in ("restart", "export")]
            trainer_class = subject.architecture.trainer_class
            hypers = subject.resolved.training
            trainer_class.load_checkpoint(upgraded(subject, file), hypers, "restart")
        except Exception as error:
            raise AssertionError(
                f"{FOLDER}/{name}.ckpt does not load any more: {type(error).__name__}: {error}"
            ) from error
        assert all(bool(each.isfinite().all()) for each in values), (
            f"the model of {FOLDER}/{name}.ckpt predicts {[each.tolist() for each in values]}"
        )


def predicted(subject: Subject, file: Path, context: str) -> torch.Tensor:
    """Energies of a model in a checkpoint, (2, 1)."""
    model = kept_model(subject, file, context).to(subject.dtype)
    atoms = cluster(model)
    return predictor_of(model).values([atoms, atoms[: len(atoms) // 2]])


def test_saved_structure_needs_a_new_version(runs: Runs, kept: dict[str, Path]) -> None:
    """What is saved today has the names, shapes and dtypes of what was kept of the same version.

    IF IT FAILS: the saved structure has changed, as the message says, and checkpoints of released
    versions know nothing of it. Raise `__checkpoint_version__`, keep a checkpoint of the new
    version, and add to `upgrades.py` the function that turns old ones into new ones.
    """
    subject = runs.subject
    version = subject.model_class.__checkpoint_version__
    # the newest of that version, where there is one for each version of the trainer
    names = [name for name in kept if version_of(name) == version]
    if not names:
        pytest.skip(f"there is no {FOLDER}/v{version}.ckpt to compare with")
    name = names[-1]
    # of the whole only the keys: losses and random states change with each training
    today = dict.fromkeys(runs.reference().contents(), "")
    of_trainer = differences(dict.fromkeys(read_checkpoint(kept[name]), ""), today)
    # what is new in the model is new in the whole
    changes = sorted({*of_trainer, *changes_of_model(subject, kept[name])})
    assert not changes, (
        f"the saved structure has changed without a new version (still {name}): {changes[:5]}"
    )


def changes_of_model(subject: Subject, file: Path) -> list[str]:
    """What the model of a checkpoint of today's version saves otherwise than it was saved."""
    old = read_checkpoint(file)
    try:
        model = subject.model_class.load_checkpoint(read_checkpoint(file), "restart")
    except Exception as error:
        return [f"it does not load, {type(error).__name__}: {error}"]
    # what a model leaves empty is filled in by the trainer, as its best state
    new = {key: value for key, value in model.get_checkpoint().items() if value is not None}
    of_model = {key: old[key] for key in new if key in old}
    return differences(structure(of_model), structure(new))


def structure(checkpoint: dict[str, Any]) -> dict[str, str]:
    """What lies at each path: the shape and dtype of a tensor, or a plain value."""
    return {
        path: f"{value.dtype} {tuple(value.shape)}" if torch.is_tensor(value) else "a plain value"
        for path, value in leaves(checkpoint)
    }


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """In words, what is saved otherwise."""
    gone = [f"'{path}' is no longer saved" for path in old if path not in new]
    added = [f"'{path}' is new" for path in new if path not in old]
    changed = [
        f"'{path}' was {old[path]} and is {new[path]}"
        for path in old
        if path in new and old[path] != new[path]
    ]
    return sorted([*gone, *added, *changed])
