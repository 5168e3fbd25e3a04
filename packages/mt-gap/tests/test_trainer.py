"""What a fit adapts to, what restart and fine-tuning mean, and what is refused."""

import csv
import logging
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from mt_gap.data import gather
from mt_gap.fitting import unexplained
from mt_gap.model import Gap
from mt_gap.sparse_points import candidates, choose_bases
from mt_gap.trainer import GapTrainer
from mt_shared.contract import DatasetInfo, Interrupted, TargetInfo, read_checkpoint
from mt_shared.data import TargetLabels
from mt_shared.errors import CheckpointError, DataError, OptionsError


def force_error(model, dataset):
    """Root mean square of what is left of the forces."""
    left = unexplained(model, gather(model, [dataset])).labels.gradients["positions"]
    return float(np.sqrt(np.nanmean(left**2)))


def energies_left(model, dataset):
    """What is left of the energies."""
    return unexplained(model, gather(model, [dataset])).labels.values[:, 0]


def restarted(file, hypers, context="restart"):
    """Model and trainer of a checkpoint."""
    checkpoint = read_checkpoint(file)
    model = Gap.load_checkpoint(checkpoint, context)
    return model, GapTrainer.load_checkpoint(checkpoint, hypers.training, context)


# ---- what a fit adapts to


def test_fewer_environments_than_sparse_points(train, dataset, frames, hypers, caplog):
    with caplog.at_level(logging.INFO):
        model = train(dataset(frames(2)), hypers({"krr": {"num_sparse_points": 500}}))
    assert "Sparse points: 12 (H 7, C 3, O 2)" in caplog.text
    assert "500 were asked for, but the data have 12 environments" in caplog.text
    assert sum(len(each.weights) for each in model.sparse_sums()) == 12


def test_copies_are_no_sparse_points(train, dataset, frames, hypers, caplog):
    """The same structures twice, with the same labels: it is said, and the fit is good."""
    twice = dataset(frames(4) * 2)
    with caplog.at_level(logging.INFO):
        model = train(twice, hypers({"krr": {"num_sparse_points": 500}}))
    assert "Sparse points: 24 (" in caplog.text
    assert "24 more would be copies of these" in caplog.text
    assert force_error(model, twice) < 0.3


def test_rare_elements_get_their_points(structures, frames):
    """Of many structures, the few with an element of their own are looked at."""
    many = frames(1) * 1000
    rare = many[0].copy()
    rare.numbers[2] = 7
    many[123] = many[124] = rare
    found = candidates(structures(many), num_points=10)
    assert found.num_systems < 400
    assert (found.types == 7).sum() == 2


def test_a_single_atom_can_be_fitted(train, dataset, frames, info):
    """Isolated atoms have no neighbors, no directions and no forces."""
    atom = frames(1)[0][2:3]
    atom.calc = frames(1)[0].calc
    model = train(dataset([atom]))
    np.testing.assert_allclose(energies_left(model, dataset([atom])), 0, atol=1e-6)


def test_energies_alone_can_be_fitted(train, dataset, frames):
    data = dataset(frames(8))
    alone = TargetLabels(data.labels["energy"].values)
    data = replace(data, labels={"energy": alone}, status={})
    left = energies_left(train(data), data)
    assert np.abs(left).max() < 0.1 * np.ptp(alone.values)


def test_missing_labels_are_left_out(train, dataset, frames):
    """A structure without labels changes nothing but the environments to choose from."""
    data = dataset(frames(6))
    labels = data.labels["energy"]
    values, forces = labels.values.copy(), labels.gradients["positions"].copy()
    values[2] = np.nan
    forces[5] = np.nan
    gappy = TargetLabels(values, labels.gradients | {"positions": forces})
    model = train(replace(data, labels={"energy": gappy}, status={}))
    assert force_error(model, data) < 0.3


def test_atomic_baseline_is_obeyed(train, dataset, frames, hypers):
    fixed = {"energy": {"H": -1.5, "8": -3.0}}
    model = train(dataset(frames(6)), hypers(training={"atomic_baseline": fixed}))
    composition = model.baselines["energy"].composition[:, 0].tolist()
    assert composition[0] == -1.5
    assert composition[2] == -3.0
    assert composition[1] != 0.0


# ---- what it leaves


def test_report_has_one_row(train, dataset, frames, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        train(dataset(frames(6)))
    with (tmp_path / "train.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert 0 < float(row["train forces RMSE [meV/A]"]) < 500
    assert row["val forces RMSE [meV/A]"] == "nan"
    assert "fit | energy" in caplog.text
    assert "(val -) meV/A" in caplog.text
    assert "nan" not in caplog.text


# ---- restart


def test_restart_of_a_fit_that_is_done_gives_the_same_model(
    train, dataset, frames, hypers, tmp_path, caplog
):
    data = dataset(frames(6))
    first = train(data)
    model, trainer = restarted(tmp_path / "model.ckpt", hypers())
    with caplog.at_level(logging.INFO):
        train(data, model=model, trainer=trainer)
    assert "Nothing is left to do" in caplog.text
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_interrupted_fit_begins_anew(train, dataset, frames, hypers, tmp_path, monkeypatch):
    """SIGTERM between two batches: a whole checkpoint, and after a restart the same model."""
    data = dataset(frames(6))
    expected = train(data)
    number = iter(range(100))

    def batches(structures):
        for index in range(structures.num_systems):
            if next(number) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            yield np.array([index])

    monkeypatch.setattr("mt_gap.fitting.batches", batches)
    with pytest.raises(Interrupted) as stopped:
        train(data)
    monkeypatch.undo()
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    model, trainer = restarted(stopped.value.checkpoint, hypers())
    assert not model.is_fitted
    train(data, model=model, trainer=trainer)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_restart_with_other_options_is_refused(train, dataset, frames, hypers, tmp_path):
    data = dataset(frames(4))
    train(data)
    model, trainer = restarted(tmp_path / "model.ckpt", hypers(training={"regularizer": 0.1}))
    with pytest.raises(OptionsError, match="fit anew without --restart"):
        train(data, model=model, trainer=trainer)


def test_restart_with_other_data_is_refused(train, dataset, frames, hypers, tmp_path):
    train(dataset(frames(4)))
    model, trainer = restarted(tmp_path / "model.ckpt", hypers())
    with pytest.raises(CheckpointError, match="other data"):
        train(dataset(frames(6)), model=model, trainer=trainer)


# ---- fine-tuning


def test_finetuning_adds_what_the_model_does_not_explain(train, dataset, frames, hypers, tmp_path):
    """Other labels for other structures: better than before, and than without the old model."""
    good = hypers({"soap": {"basis": {"max_angular": 3}}, "krr": {"num_sparse_points": 200}})
    train(dataset(frames(80)[::2]), good)
    few, new = (slightly_other(dataset(frames(n, seed=n)[::2])) for n in (8, 20))
    old, trainer = restarted(tmp_path / "model.ckpt", good, "finetune")
    before = force_error(old, new)
    points = [each.points.clone() for each in old.sparse_sums()]
    tuned = train(few, good, model=old, trainer=trainer)
    scratch = train(few, good)
    assert force_error(tuned, new) < 0.7 * before
    assert force_error(tuned, new) < 0.7 * force_error(scratch, new)
    for kept, each in zip(points, tuned.sparse_sums()):
        assert torch.equal(kept, each.points[: len(kept)])
        assert len(each.points) > len(kept)


def test_interrupted_finetuning_begins_anew(train, dataset, frames, hypers, tmp_path, monkeypatch):
    """What is left of it is the model that it began with."""
    train(dataset(frames(6)))
    start, few = tmp_path / "start.ckpt", slightly_other(dataset(frames(4, seed=20)))
    shutil.copyfile(tmp_path / "model.ckpt", start)
    old, trainer = restarted(start, hypers(), "finetune")
    expected = train(few, model=old, trainer=trainer)

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return choose_bases(*arguments)

    old, trainer = restarted(start, hypers(), "finetune")
    monkeypatch.setattr("mt_gap.fitting.choose_bases", interrupted)
    with pytest.raises(Interrupted) as stopped:
        train(few, model=old, trainer=trainer)
    monkeypatch.undo()
    model, trainer = restarted(stopped.value.checkpoint, hypers())
    train(few, model=model, trainer=trainer)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def slightly_other(data):
    """Labels of another method: larger forces, energies shifted atom by atom."""
    labels = data.labels["energy"]
    gradients = {name: 1.3 * array for name, array in labels.gradients.items()}
    values = 1.3 * labels.values + 5.0 * data.structures.atoms_per_system[:, None]
    return replace(data, labels={"energy": TargetLabels(values, gradients)}, status={})


def test_finetuning_from_an_interrupted_fit_is_refused(train, dataset, frames, hypers, tmp_path):
    model = Gap(hypers().model, train(dataset(frames(2))).dataset_info)
    trainer = GapTrainer(hypers().training)
    trainer._state = {"finished": False}
    trainer.save_checkpoint(model, tmp_path / "unfinished.ckpt")
    with pytest.raises(CheckpointError, match="interrupted"):
        restarted(tmp_path / "unfinished.ckpt", hypers(), "finetune")


def test_new_elements_are_refused(train, dataset, frames, info):
    model = train(dataset(frames(2)))
    larger = DatasetInfo("angstrom", (1, 6, 7, 8), info.targets)
    with pytest.raises(DataError, match=r"\[7\].*fit a new model to old and new data together"):
        model.restart(larger)


# ---- what is refused


@pytest.mark.parametrize(
    "target",
    [TargetInfo("energy", "eV", sample_kind="atom"), TargetInfo("energy", "eV", num_subtargets=2)],
    ids=["of atoms", "several numbers"],
)
def test_targets_that_are_no_sum_are_refused(hypers, target):
    info = DatasetInfo("angstrom", (1, 6, 8), {"energy": target})
    with pytest.raises(DataError, match="one number for each structure"):
        Gap(hypers().model, info)


def test_second_target_is_refused(hypers, info):
    targets = info.targets | {"mtt::other": TargetInfo()}
    with pytest.raises(DataError, match="cannot get 'mtt::other' beside it"):
        Gap(hypers().model, DatasetInfo("angstrom", (1, 6, 8), targets))


@pytest.mark.parametrize(
    ("model", "training", "words"),
    [
        ({"krr": {"degree": 0}}, {}, "degree"),
        ({"krr": {"num_sparse_points": 0}}, {}, "num_sparse_points"),
        ({"soap": {"density": {"center_atom_weight": 0.0}}}, {}, "unit length"),
        ({}, {"regularizer": 0.0}, "regularizer"),
        ({}, {"num_epochs": 10}, "num_epochs"),
        ({}, {"finetune": {"method": "full"}}, "residual"),
    ],
)
def test_hypers_that_make_no_sense_are_refused(hypers, model, training, words):
    with pytest.raises(OptionsError, match=words):
        hypers(model, training)


def test_options_of_metatrain_need_no_change(hypers):
    """Every option of metatrain's gap, as its documentation writes them."""
    model = {
        "soap": {
            "cutoff": {"radius": 5.0, "smoothing": {"type": "ShiftedCosine", "width": 1.0}},
            "density": {
                "type": "Gaussian",
                "center_atom_weight": 1.0,
                "width": 0.3,
                "scaling": {"type": "Willatt2018", "rate": 1.0, "scale": 2.0, "exponent": 7.0},
            },
            "basis": {
                "type": "TensorProduct",
                "max_angular": 6,
                "radial": {"type": "Gto", "max_radial": 7},
            },
        },
        "krr": {"degree": 2, "num_sparse_points": 500},
        "zbl": False,
    }
    training = {"regularizer": 0.001, "regularizer_forces": None}
    resolved = hypers(model, training)
    assert resolved.model["soap"] == model["soap"]
    assert resolved.training["regularizer"] == 0.001
