"""What a kept checkpoint predicted when it was kept, it predicts for ever."""

from __future__ import annotations

from pathlib import Path

import torch

from mt_conformance.inputs import Subject, double_precision, epochs, needs
from mt_conformance.providing import not_provided
from mt_conformance.regression import (
    FOLDER,
    SEEDED,
    Values,
    kept_model,
    kept_values,
    predictions,
    random_dataset,
    seeded_model,
    upgraded,
)
from mt_conformance.tests.comparing import assert_close
from mt_shared.options import resolve_hypers

SAME = 1e-9
"""On other processors and with other versions of torch."""


def check(found: Values, subject: Subject, name: str) -> None:
    """Fail unless a model predicts the values that are kept under the name."""
    expected = kept_values(subject, name)
    if expected is None:
        not_provided(f"{FOLDER}/{name}.json; what it predicts is not compared", subject.name)
    for quantity, values in expected.items():
        assert_close(found[quantity], values, SAME, f"{quantity} of {FOLDER}/{name}")


@needs(double_precision)
def test_kept_checkpoints_predict_the_same(subject: Subject, kept: dict[str, Path]) -> None:
    """A model out of a checkpoint of any version predicts what it did when it was kept.

    IF IT FAILS: the meaning of a weight has changed. Raise `__checkpoint_version__`, and add to
    `upgrades.py` the function that turns old weights into new ones.
    """
    for name, file in kept.items():
        check(predictions(kept_model(subject, file)), subject, name)


@needs(epochs, double_precision)
def test_fresh_model_predicts_the_same(subject: Subject, kept: dict[str, Path]) -> None:
    """A model with the weights of a given seed predicts what it did when the values were kept.

    IF IT FAILS: the initialization or the model has changed, and trainings with the same seed will
    differ. If that was meant, remove `checkpoints/seeded.json`, write it again by
    `python -m mt_conformance.regression NAME`, and say so in the changelog.
    """
    check(predictions(seeded_model(subject)), subject, SEEDED)


@needs(epochs)
def test_training_goes_on_from_kept_checkpoints(
    subject: Subject, kept: dict[str, Path], tmp_path: Path
) -> None:
    """A training goes on from a checkpoint of any version, for one epoch more.

    IF IT FAILS: the state of the trainer has changed. Raise its `__checkpoint_version__`, and turn
    the old state into the new one in its `upgrade_checkpoint`.
    """
    for name, file in kept.items():
        folder = tmp_path / name
        folder.mkdir()
        try:
            finite = goes_on(subject, file, folder)
        except Exception as error:
            raise AssertionError(
                f"no training goes on from {FOLDER}/{name}.ckpt: {type(error).__name__}: {error}"
            ) from error
        assert finite, f"after another epoch, the model of {FOLDER}/{name}.ckpt predicts NaN"


def goes_on(subject: Subject, file: Path, folder: Path) -> bool:
    """Train for another epoch on labels at random; whether predictions are finite afterwards."""
    checkpoint = upgraded(subject, file)
    given = {"model": checkpoint["model_hypers"], "training": checkpoint["trainer_hypers"]}
    before = resolve_hypers(subject.entry, given).training
    training = before | {"num_epochs": before["num_epochs"] + 1}
    model = kept_model(subject, file, "restart")
    model = model.restart(model.dataset_info)
    trainer = subject.architecture.trainer_class.load_checkpoint(checkpoint, training, "restart")
    dataset = random_dataset(model.dataset_info)
    dtype = getattr(torch, checkpoint["dtype"])
    trainer.train(model, dtype, [torch.device("cpu")], [dataset], [dataset], folder)
    energies = torch.tensor(predictions(model.eval())["energies"])
    return bool(energies.isfinite().all())
