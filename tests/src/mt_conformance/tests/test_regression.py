"""What a kept checkpoint predicted when it was kept, it predicts for ever."""

from pathlib import Path

import torch

from mt_conformance import regression
from mt_conformance.inputs import Subject, abilities, needs
from mt_conformance.providing import not_provided
from mt_conformance.tests.comparing import assert_close
from mt_shared.options import resolve_hypers

SAME = 1e-9
"""On other processors and with other versions of torch."""


def check(found: regression.Values, subject: Subject, name: str) -> None:
    """Fail unless a model predicts the values that are kept under the name."""
    expected, what = regression.kept_values(subject, name), f"{regression.FOLDER}/{name}"
    if expected is None:
        not_provided(f"{what}.json; what it predicts is not compared", subject.name)
    for quantity, values in expected.items():
        assert_close(found[quantity], values, SAME, f"{quantity} of {what}")


@needs(abilities.double_precision)
def test_kept_checkpoints_predict_the_same(subject: Subject, kept: dict[str, Path]) -> None:
    """A model out of a checkpoint of any version predicts what it did when it was kept.

    IF IT FAILS: the meaning of a weight has changed. Raise `__checkpoint_version__`, and add to
    `upgrades.py` the function that turns old weights into new ones.
    """
    for name, file in kept.items():
        check(regression.predictions(regression.kept_model(subject, file)), subject, name)


@needs(abilities.epochs, abilities.double_precision)
def test_fresh_model_predicts_the_same(subject: Subject, kept: dict[str, Path]) -> None:
    """A model with the weights of a given seed predicts what it did when the values were kept.

    IF IT FAILS: the initialization or the model has changed, and trainings with the same seed will
    differ. If that was meant, remove `checkpoints/seeded.json`, write it again by
    `python -m mt_conformance.regression NAME`, and say so in the changelog.
    """
    check(regression.predictions(regression.seeded_model(subject)), subject, regression.SEEDED)


@needs(abilities.epochs)
def test_training_goes_on_from_kept_checkpoints(
    subject: Subject, kept: dict[str, Path], tmp_path: Path
) -> None:
    """A training goes on from a checkpoint of any version, for one epoch more.

    IF IT FAILS: the state of the trainer has changed. Raise its `__checkpoint_version__`, and turn
    the old state into the new one in its `upgrade_checkpoint`.
    """
    for name, file in kept.items():
        folder, what = tmp_path / name, f"{regression.FOLDER}/{name}.ckpt"
        folder.mkdir()
        try:
            finite = goes_on(subject, file, folder)
        except Exception as error:
            raise AssertionError(
                f"no training goes on from {what}: {type(error).__name__}: {error}"
            ) from error
        assert finite, f"after another epoch, the model of {what} predicts NaN"


def goes_on(subject: Subject, file: Path, folder: Path) -> bool:
    """Train for another epoch on labels at random; whether predictions are finite afterwards."""
    checkpoint = regression.upgraded(subject, file)
    given = {"model": checkpoint["model_hypers"], "training": checkpoint["trainer_hypers"]}
    before = resolve_hypers(subject.entry, given).training
    training = before | {"num_epochs": before["num_epochs"] + 1}
    model = regression.kept_model(subject, file, "restart")
    model = model.restart(model.dataset_info)
    trainer = subject.architecture.trainer_class.load_checkpoint(checkpoint, training, "restart")
    dataset = regression.random_dataset(model.dataset_info)
    dtype = regression.dtype_of(model)
    trainer.train(model, dtype, [torch.device("cpu")], [dataset], [dataset], folder)
    predicted = regression.predictions(model.eval()).values()
    return all(bool(torch.tensor(values).isfinite().all()) for values in predicted)
