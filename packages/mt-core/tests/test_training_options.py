"""Options of the engine, each obeyed: what it does can be seen in the run."""

import csv
from pathlib import Path

import pytest

SLOW_START = "-r architecture.training.warmup_fraction=0"
ALL_OF_IT = (
    f"{SLOW_START} -r architecture.training.ema_decay=0.9 "
    "-r architecture.training.gradient_clip_norm=1.0 -r architecture.training.optimizer=adamw "
    "-r architecture.training.weight_decay=0.01 -r architecture.training.scheduler.type=plateau "
    "-r architecture.training.scheduler.patience=1"
)


def rows(run: Path) -> list[dict[str, str]]:
    """The epochs of a run, as train.csv has them."""
    with (run / "train.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_continued_training_equals_a_longer_one(workspace, succeed, newest_run):
    """With averaged weights, clipping, decay and a plateau schedule in the checkpoint."""
    succeed(f"train options.yaml {ALL_OF_IT} -r architecture.training.num_epochs=4")
    longer = rows(newest_run())
    succeed(f"train options.yaml -o half.pt {ALL_OF_IT} -r architecture.training.num_epochs=2")
    half = newest_run() / "latest.ckpt"
    succeed(
        f"train options.yaml -o rest.pt --restart {half} {ALL_OF_IT} "
        "-r architecture.training.num_epochs=4"
    )
    assert rows(newest_run()) == longer


def test_averaged_weights_are_what_is_validated(workspace, succeed, newest_run):
    succeed(f"train options.yaml {SLOW_START}")
    plain = rows(newest_run())
    succeed(f"train options.yaml -o ema.pt {SLOW_START} -r architecture.training.ema_decay=0.99")
    averaged = rows(newest_run())
    assert [row["train loss"] for row in averaged] == [row["train loss"] for row in plain]
    assert [row["val loss"] for row in averaged] != [row["val loss"] for row in plain]


def test_early_stopping_ends_a_training_without_progress(workspace, succeed, newest_run):
    out = succeed(
        f"train options.yaml {SLOW_START} -r architecture.training.early_stopping_patience=2 "
        "-r architecture.training.learning_rate=1e-30 -r architecture.training.num_epochs=50"
    )
    # at this rate no weight changes, so that no epoch after the first is better
    assert len(rows(newest_run())) == 3
    assert "Stopped after epoch 3: no progress in validation" in out


def test_a_plateau_lowers_the_learning_rate(workspace, succeed, newest_run):
    succeed(
        f"train options.yaml {SLOW_START} -r architecture.training.scheduler.type=plateau "
        "-r architecture.training.scheduler.patience=1 -r architecture.training.num_epochs=6 "
        "-r architecture.training.learning_rate=1e-30"
    )
    rates = [float(row["learning rate"]) for row in rows(newest_run())]
    assert rates == pytest.approx([1e-30, 1e-30, 1e-30, 5e-31, 5e-31, 2.5e-31])


def test_batches_by_number_of_atoms(workspace, succeed, newest_run):
    """Ethanol has 9 atoms: at most 18 are two a batch, as batch_size 2 says."""
    succeed("train options.yaml -r architecture.training.batch_size=2")
    by_size = rows(newest_run())
    succeed("train options.yaml -o atoms.pt -r architecture.training.max_atoms_per_batch=20")
    assert rows(newest_run()) == by_size


def test_mean_absolute_errors_on_request(workspace, succeed, newest_run):
    succeed("train options.yaml -r architecture.training.log_mae=true")
    (row, *_) = rows(newest_run())
    assert float(row["val forces MAE [meV/A]"]) < float(row["val forces RMSE [meV/A]"])


@pytest.mark.parametrize("loss", ["mae", "huber", "{energy: {weight: 10.0, forces: {type: mae}}}"])
def test_the_loss_that_is_asked_for(loss, workspace, succeed, newest_run):
    succeed("train options.yaml")
    default = rows(newest_run())
    succeed("train", "options.yaml", "-o", "x.pt", "-r", f"architecture.training.loss={loss}")
    assert rows(newest_run())[0]["train loss"] != default[0]["train loss"]


def test_float64_all_the_way(workspace, succeed):
    from mt_core import load_model

    succeed("train options.yaml -r base_precision=64")
    assert load_model("model.pt").capabilities().dtype == "float64"


def test_legacy_false_trains_and_exports(workspace, succeed):
    """The other form of SOAP-BPNN: embedded species, one network for all."""
    assert "model.pt" in succeed("train options.yaml -r architecture.model.legacy=false")
