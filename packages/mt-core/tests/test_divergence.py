"""A training that leaves the finite numbers, or all sense, and one with nothing to choose by."""

import csv
import math
import re
import signal
from pathlib import Path

import pytest
import torch

from mt_shared.contract import read_checkpoint
from mt_shared.engine import trainer
from mt_shared.engine.optimization import Adam

# the same rate in a long and in a short training
CONSTANT = (
    "-r architecture.training.scheduler.type=constant -r architecture.training.warmup_fraction=0"
)
TOO_FAST = f"{CONSTANT} -r architecture.training.learning_rate=100"


def rows(folder: Path) -> list[dict[str, str]]:
    """What train.csv says of each epoch."""
    with (folder / "train.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def spoil(monkeypatch):
    """Spoil what the optimizer makes of given steps, counted from 1 over the whole run."""

    def patch(steps, value: float) -> None:
        counted, plain = iter(range(1, 10**6)), Adam.step

        def step(self) -> None:
            plain(self)
            if next(counted) in steps:
                with torch.no_grad():
                    self.parameters[0].fill_(value)

        monkeypatch.setattr(Adam, "step", step)

    return patch


def test_an_absurd_learning_rate_is_halved_until_it_holds(workspace, succeed, newest_run):
    out = succeed(f"train options.yaml {TOO_FAST} -r architecture.training.num_epochs=3")
    found = re.findall(r"In epoch (\d+), .*: back to the end of epoch (\d+), and on with", out)
    assert found, out
    assert all(int(at) == int(to) + 1 for at, to in found)
    for row in rows(newest_run()):
        factor = float(row["rate factor"])
        assert float(row["learning rate"]) == 100 * factor < 100
        assert math.isfinite(float(row["train loss"]))
    assert Path("model.pt").is_file()


@pytest.mark.parametrize(("value", "in_epoch"), [(math.nan, 1), (math.inf, 2), (math.nan, 3)])
def test_weights_that_are_no_numbers_cost_an_epoch(
    workspace, succeed, newest_run, spoil, value, in_epoch
):
    """In the last step of an epoch too, of which the loss knows nothing."""
    steps_of_epoch = math.ceil(24 / 8)
    spoil([in_epoch * steps_of_epoch], value)
    out = succeed(f"train options.yaml {CONSTANT} -r architecture.training.num_epochs=3")
    assert f"back to the end of epoch {in_epoch - 1}, and on with 0.5 of" in out
    rates = [float(row["rate factor"]) for row in rows(newest_run())]
    assert rates == [1.0] * (in_epoch - 1) + [0.5] * (4 - in_epoch)
    state = read_checkpoint(Path("model.ckpt"))["state"]
    assert all(bool(tensor.isfinite().all()) for tensor in state.values())


def test_without_a_validation_set_the_last_good_model_is_kept(workspace, succeed, spoil):
    spoil([8], math.nan)
    out = succeed(
        f"train options.yaml {CONSTANT} -r validation_set=0 -r architecture.training.num_epochs=2"
    )
    assert "back to the end of epoch 1" in out
    assert "Best model: epoch 2" in out


def test_a_restart_after_a_divergence_agrees(workspace, succeed, newest_run):
    succeed(f"train options.yaml {TOO_FAST} -r architecture.training.num_epochs=4")
    longer = rows(newest_run())
    succeed(f"train options.yaml -o half.pt {TOO_FAST} -r architecture.training.num_epochs=2")
    half = newest_run() / "latest.ckpt"
    out = succeed(
        f"train options.yaml -o rest.pt --restart {half} {TOO_FAST} "
        "-r architecture.training.num_epochs=4"
    )
    assert "of that of the options: the training has diverged" in out
    assert rows(newest_run()) == longer


def test_stopped_in_an_epoch_that_diverges_it_diverges_after_the_restart(
    workspace, mt, newest_run, spoil
):
    """The checkpoint has the state before the epoch, not what nothing can be made of."""
    spoil([4], math.nan)
    counted, plain = iter(range(10**6)), trainer.Trainer.transform

    def stop_in_time(self, batch, generator):
        if next(counted) == 5:
            signal.raise_signal(signal.SIGTERM)
        return plain(self, batch, generator)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.Trainer, "transform", stop_in_time)
        stopped = mt(f"train options.yaml {CONSTANT}")
    assert stopped.status == 128 + signal.SIGTERM
    checkpoint = read_checkpoint(newest_run() / "latest.ckpt")
    assert (checkpoint["trainer"]["epoch"], checkpoint["trainer"]["step"]) == (1, 0)
    assert all(bool(tensor.isfinite().all()) for tensor in checkpoint["state"].values())


def test_users_can_forbid_it(workspace, refuse, newest_run, spoil):
    spoil([5], math.nan)
    error = refuse(f"train options.yaml {CONSTANT} -r architecture.training.on_divergence=stop")
    assert "in epoch 2, the loss became nan, and on_divergence is 'stop'" in error
    assert "latest.ckpt" in error
    checkpoint = read_checkpoint(newest_run() / "latest.ckpt")
    assert checkpoint["trainer"]["epoch"] == 1
    assert all(bool(tensor.isfinite().all()) for tensor in checkpoint["state"].values())


def test_a_training_that_always_diverges_delivers_the_best_model(workspace, succeed, spoil):
    spoil(range(5, 10**6), math.nan)
    out = succeed(f"train options.yaml {CONSTANT}")
    assert out.count("back to the end of epoch 1") == 10
    assert "the training ends here" in out
    assert "Best model: epoch 1" in out


def test_one_that_diverges_from_the_start_has_no_best_model(workspace, refuse, spoil):
    spoil(range(1, 10**6), math.nan)
    error = refuse("train options.yaml")
    assert "the first epoch diverged at every learning rate" in error
    assert not Path("model.pt").exists()


def test_a_model_with_an_infinite_error_is_never_the_best(workspace, mt, newest_run, monkeypatch):
    """Finite in training, not on the validation set."""
    plain = trainer.predict

    def overflowing(model, batch, training):
        predictions = plain(model, batch, training)
        if not training:
            predictions["energy"].values.fill_(math.nan)
        return predictions

    monkeypatch.setattr(trainer, "predict", overflowing)
    outcome = mt("train options.yaml")
    assert outcome.status == 1
    assert outcome.out.count("the error on the validation set is not finite") == 2
    assert "no epoch had a finite error on the validation set" in outcome.err
    assert read_checkpoint(newest_run() / "latest.ckpt")["best_state"] is None


@pytest.mark.parametrize("metric", ["rmse_prod", "mae_prod", "loss"])
def test_a_validation_set_without_labels_chooses_nothing(
    workspace, succeed, frames, write_xyz, metric
):
    for frame in frames[:8]:
        frame[1] = re.sub(r"energy=\S+ ", "", frame[1]).replace(":forces:R:3", ":other:R:3")
    write_xyz(frames[:8], "unlabelled.xyz")
    write_xyz(frames[8:], "ethanol.xyz")
    validation = (
        "{systems: {read_from: unlabelled.xyz, length_unit: angstrom}, "
        "targets: {energy: {unit: eV, forces: true, allow_missing: true}}}"
    )
    settings = (f"architecture.training.best_model_metric={metric}", f"validation_set={validation}")
    out = succeed("train", "options.yaml", "-r", settings[0], "-r", settings[1])
    assert "The validation set has no labels of what is trained: the last model is kept" in out
    assert "Best model: epoch 2" in out


@pytest.mark.parametrize(
    "option", ["scheduler.type=plateau", "early_stopping_patience=3"], ids=lambda each: each
)
def test_what_waits_for_progress_needs_a_validation_set(workspace, refuse, option):
    error = refuse(f"train options.yaml -r validation_set=0 -r architecture.training.{option}")
    assert "waits for progress on the validation set, which is empty" in error
