"""A training that is stopped and continued is a training that was not stopped."""

from toys.breakage import breakage, trainer

# for breakages that show in fine-tuning as well
GOES_ON_WITH_ANOTHER_SEED = trainer("""
    def _restore(self, run, saved):
        super()._restore(run, saved)
        run.seed += 1
""")

BREAKAGES = [
    breakage(
        "goes_on_with_another_seed",
        GOES_ON_WITH_ANOTHER_SEED,
        fails="test_restart_equals_no_restart[SIGKILL]",
        says="the numbers in train.csv differ from epoch",
        also={
            "test_finetuning.py::test_restart_equals_no_restart[heads]": (
                "the numbers in train.csv differ from epoch"
            )
        },
        passes="test_training.py::test_loss_falls "
        "test_finetuning.py::test_method_trains_and_exports[heads]",
    ),
    breakage(
        "leaves_as_if_it_had_ended",
        trainer("""
            def _interrupt(self, run, stop, folder):
                raise SystemExit(0)
        """),
        fails="test_sigterm_saves_and_leaves",
        says="the status is 0, not 143",
        passes="test_restart_equals_no_restart[SIGTERM] test_training.py::test_loss_falls",
    ),
    breakage(
        "cannot_go_on",
        trainer("""
            @classmethod
            def load_checkpoint(cls, checkpoint, hypers, context):
                raise UserError("this checkpoint cannot be read")
        """),
        fails="test_killed_at_any_moment",
        says="a training that was to be killed failed by itself",
        passes="test_checkpoints.py::test_model_checkpoint_is_plain",
    ),
]
