"""An experimental architecture on the shared trainer that has no ``schema-hypers.json``."""

import shutil
from pathlib import Path

import pytest

from mt_core.architectures.new_package import create
from mt_shared.options import read_yaml
from mt_shared.registry import find

HYPERS = """\
name: bare
model: {cutoff: 3.0, num_features: 8, num_radial: 4, zbl: false}
training: {checkpoint_interval: 1}
"""
OPTIONS = """\
seed: 0
architecture:
  name: bare
  training: {num_epochs: 2, atomic_baseline: {energy: {H: -10.0}}}
training_set:
  systems: {read_from: ethanol.xyz, length_unit: angstrom}
  targets:
    energy: {unit: eV, forces: true}
validation_set: 0.2
"""
OWN_TRAINER = """\
from mt_bare.model import BareModel as __model__
from mt_shared.contract import TrainerInterface


class OwnTrainer(TrainerInterface):
    __checkpoint_version__ = 1

    def train(self, *args):
        raise NotImplementedError

    def save_checkpoint(self, model, path):
        raise NotImplementedError

    @classmethod
    def load_checkpoint(cls, checkpoint, hypers, context):
        raise NotImplementedError


__trainer__ = OwnTrainer
__authors__ = __maintainers__ = [("A <a@b.org>", "@a")]
"""
MORE = ("-r", "architecture.training.num_epochs=3")


@pytest.fixture
def bare(workspace, tmp_path_factory, write_distribution, on_path) -> Path:
    """A working folder with options for an installed package without a schema."""
    source = tmp_path_factory.mktemp("bare") / "package"
    create("bare", str(source))
    package = source / "src" / "mt_bare"
    (package / "schema-hypers.json").unlink()
    (package / "default-hypers.yaml").write_text(HYPERS)
    write_distribution(source / "src", "mt-bare", "[mt.architectures]\nbare = mt_bare\n")
    on_path(source / "src")
    (workspace / "options.yaml").write_text(OPTIONS)
    return workspace


def test_it_trains_with_the_defaults_of_the_engine(bare, succeed, newest_run):
    shown = succeed("train options.yaml")
    assert "of 'bare' are unchecked, but for those of the shared trainer: it has no sch" in shown
    assert "epoch 2" in shown
    assert Path("model.pt").is_file()
    # what it trained with is written down as it was given: the rest is the trainer's
    training = read_yaml(newest_run() / "options_restart.yaml")["architecture"]["training"]
    given = {"num_epochs": 2, "atomic_baseline": {"energy": {"H": -10.0}}}
    assert training == {"checkpoint_interval": 1, **given}


def test_a_fault_in_a_hyper_of_the_engine_is_named(bare, refuse):
    error = refuse("train", "options.yaml", "-r", "architecture.training.batch_size=0")
    assert "architecture.training.batch_size: found 0, expected a whole number" in error


def test_a_name_that_nobody_reads_is_refused(bare, refuse):
    error = refuse("train", "options.yaml", "-r", "architecture.training.batchsize=3")
    assert "unknown key, did you mean 'batch_size'?" in error
    error = refuse("train", "options.yaml", "-r", "architecture.model.x=3")
    assert "unknown key, known here: cutoff, num_features, num_radial, zbl" in error
    error = refuse("train", "options.yaml", "-r", "architecture.training.finetune.methd=3")
    assert "architecture.training.finetune.methd" in error
    assert "unknown key, did you mean 'method'?" in error


def test_a_trainer_of_its_own_has_no_hypers_of_the_engine(bare, succeed, refuse):
    (bare / "options.yaml").write_text(OPTIONS.replace("  training:", "  #"))
    (find("bare").folder / "__init__.py").write_text(OWN_TRAINER)
    error = refuse("train", "options.yaml", "-r", "architecture.training.ema_decay=0.9")
    assert "architecture.training.ema_decay: unknown key, known here: checkpoint_inter" in error
    shown = succeed("train --dry-run options.yaml")
    assert "the values of the hypers of 'bare' are unchecked: it has no schema" in shown


def test_a_restart_may_change_what_the_engine_lets_change(bare, succeed, refuse):
    succeed("train options.yaml")
    restart = ("train", "options.yaml", "--restart", "auto", *MORE)
    assert "epoch 3" in succeed(*restart)
    error = refuse(*restart, "-r", "architecture.training.learning_rate=0.1")
    assert "--allow-changes" in error
    for fixed in ("training.scale_targets=false", "model.cutoff=4.0"):
        error = refuse(*restart, "--allow-changes", "-r", f"architecture.{fixed}")
        assert f"architecture.{fixed.partition('=')[0]}: " in error
        assert "(cannot change)" in error


def test_a_checkpoint_away_from_its_run_is_compared_with_what_the_trainer_completes(bare, succeed):
    succeed("train options.yaml")
    Path("away").mkdir()
    shutil.copy("model.ckpt", "away/model.ckpt")
    restart = ("train", "options.yaml", "--restart", "away/model.ckpt", *MORE)
    shown = succeed(*restart)
    assert shown.count("changed:") == 1
    assert "changed: architecture.training.num_epochs: 2 -> 3" in shown
