"""What a kept checkpoint predicted when it was kept."""

import os
import subprocess
import sys

from toys.breakage import Toy, adds, breakage, edited, keeps_a_checkpoint, model, trainer


def keeps_its_predictions(toy: Toy) -> None:
    """Beside each checkpoint what the toy predicts, as it is up to here."""
    name = toy.module.removeprefix("mt_")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "mt_conformance.regression", name],
        env=os.environ | {"PYTHONPATH": str(toy.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


BREAKAGES = [
    breakage(
        "gives_old_weights_another_meaning",
        keeps_a_checkpoint("v1.ckpt"),
        keeps_its_predictions,
        model(adds("x + 0.001")),
        fails="test_kept_checkpoints_predict_the_same",
        says="energies of checkpoints/v1",
        also={"test_fresh_model_predicts_the_same": "energies of checkpoints/seeded"},
        passes="test_training_goes_on_from_kept_checkpoints "
        "test_kept_checkpoints.py::test_kept_checkpoints_load "
        "test_kept_checkpoints.py::test_saved_structure_needs_a_new_version",
    ),
    breakage(
        "begins_with_other_weights",
        keeps_a_checkpoint("v1.ckpt"),
        keeps_its_predictions,
        model("""
            def __init__(self, hypers, dataset_info):
                torch.rand(1)
                super().__init__(hypers, dataset_info)
        """),
        fails="test_fresh_model_predicts_the_same",
        says="energies of checkpoints/seeded",
        passes="test_kept_checkpoints_predict_the_same test_training_goes_on_from_kept_checkpoints",
    ),
    breakage(
        "wants_more_of_an_old_training",
        keeps_a_checkpoint("v1.ckpt"),
        keeps_its_predictions,
        trainer("""
            @classmethod
            def load_checkpoint(cls, checkpoint, hypers, context):
                checkpoint["trainer"]["momentum"]
                return super().load_checkpoint(checkpoint, hypers, context)
        """),
        fails="test_training_goes_on_from_kept_checkpoints",
        says="no training goes on from checkpoints/v1.ckpt: KeyError: 'momentum'",
        passes="test_kept_checkpoints_predict_the_same test_fresh_model_predicts_the_same",
    ),
    breakage(
        "forgets_the_trainer_when_it_renames",
        keeps_a_checkpoint("v1.ckpt"),
        edited("model.py", "self.mix", "self.blend"),
        model(
            """
            __checkpoint_version__ = 2

            @classmethod
            def checkpoint_upgrades(cls):
                return {1: renamed}
        """,
            """
            from mt_shared.model import rename_parameters

            def renamed(checkpoint):
                names = {"pair_features.mix": "pair_features.blend"}
                return {**rename_parameters(checkpoint, names), "trainer": checkpoint["trainer"]}
        """,
        ),
        fails="test_training_goes_on_from_kept_checkpoints",
        says="no training goes on from checkpoints/v1.ckpt: CheckpointError: the optimizer",
        passes="test_kept_checkpoints.py::test_kept_checkpoints_load",
    ),
]
