"""What training, restart and fine-tuning are for a fit in closed form, which has no epochs."""

from toys.breakage import breakage, trainer

BREAKAGES = [
    breakage(
        "fits_with_numbers_from_the_system",
        trainer(
            """
            def _fit(self, model, batch):
                super()._fit(model, batch)
                model.weights *= 1.0 + 1e-6 * random.SystemRandom().random()
        """,
            "import random",
        ),
        fails="test_training.py::test_seed_gives_the_same_numbers",
        says="train.csv differs",
        passes="test_finetuning_is_better_than_a_fit_to_few_data "
        "test_checkpoints.py::test_model_checkpoint_is_plain",
        base="closed_form",
    ),
    breakage(
        "fits_again_at_a_restart",
        trainer("""
            @classmethod
            def load_checkpoint(cls, checkpoint, hypers, context):
                again = "again" if context == "restart" else context
                return super().load_checkpoint(checkpoint, hypers, again)
        """),
        fails="test_restart_of_a_fit_changes_nothing",
        says="train.csv differs",
        passes="test_finetuning_is_better_than_a_fit_to_few_data "
        "test_checkpoints.py::test_training_checkpoint_is_plain",
        base="closed_form",
    ),
    breakage(
        "finetunes_nothing",
        trainer("""
            def train(self, model, *arguments):
                if self.context == "finetune":
                    model.weights.zero_()
                    self.context = "new"
                super().train(model, *arguments)
        """),
        fails="test_finetuning_is_better_than_a_fit_to_few_data",
        says="errors on new structures",
        passes="test_restart_of_a_fit_changes_nothing "
        "test_checkpoints.py::test_training_checkpoint_is_plain",
        base="closed_form",
    ),
]
