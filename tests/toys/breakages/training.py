"""Training by the command ``mt train``."""

from toys.breakage import appended, breakage, command, copied, model, trainer

BREAKAGES = [
    breakage(
        "climbs",
        trainer("""
            def after_backward(self, model):
                for parameter in model.parameters():
                    parameter.grad.neg_()
        """),
        fails="test_loss_falls",
        says="the loss went from",
        passes="test_checkpoints.py::test_training_checkpoint_is_plain "
        "test_checkpoints.py::test_newer_checkpoint_is_refused[trainer]",
    ),
    breakage(
        "learns_nothing",
        trainer("""
            def after_backward(self, model):
                for parameter in model.parameters():
                    parameter.grad.zero_()
        """),
        appended("conformance.py", "NUM_EPOCHS_TO_LEARN = 10"),
        fails="test_tiny_set_is_learnt",
        says="epochs on four structures is",
        also={"test_data.py::test_forces_that_are_zero_by_symmetry": "composition alone"},
        passes="test_checkpoints.py::test_loaded_model_predicts_the_same[restart] "
        "test_package.py::test_package_loads_by_the_contract",
    ),
    breakage(
        "takes_gradients_for_forces",
        trainer(
            """
            def predict(self, model, batch):
                return {
                    name: replace(found, gradients={k: -v for k, v in found.gradients.items()})
                    for name, found in super().predict(model, batch).items()
                }
        """,
            "from dataclasses import replace",
        ),
        fails="test_forces_are_better_than_none",
        says="of no forces",
        passes="test_loss_falls test_checkpoints.py::test_training_checkpoint_is_plain",
    ),
    breakage(
        "draws_numbers_from_the_system",
        trainer(
            """
            def transform(self, batch, generator):
                noise = random.SystemRandom().random()
                vectors = batch.graph.vectors * (1.0 + 1e-6 * noise)
                return replace(batch, graph=batch.graph._replace(vectors=vectors))
        """,
            "import random\nfrom dataclasses import replace",
        ),
        fails="test_seed_gives_the_same_numbers",
        says="train.csv differs",
        passes="test_several_targets test_target_of_atoms",
    ),
    breakage(
        "multiplies_nan_by_zero",
        trainer(
            """
            def predict(self, model, batch):
                return {
                    name: replace(found, values=found.values + 0.0 * found.values * labels.values)
                    for name, found in super().predict(model, batch).items()
                    for labels in [batch.targets[name]]
                }
        """,
            "from dataclasses import replace",
        ),
        fails="test_missing_labels_are_masked",
        says="the loss became nan",
        passes="test_checkpoints.py::test_loaded_model_predicts_the_same[restart] "
        "test_package.py::test_package_loads_by_the_contract",
    ),
    breakage(
        "loses_labels_silently",
        command("mt_shared/data/readers/labels.py", "if len(systems) and strict:", "if False:"),
        fails="test_missing_labels_are_refused",
        says="expected an error from `mt train",
        passes="test_checkpoints.py::test_loaded_model_predicts_the_same[restart] "
        "test_package.py::test_package_loads_by_the_contract",
    ),
    breakage(
        "predicts_nan",
        model(
            copied(
                "mt_shared.model.base.BaseModel.forward",
                (
                    "return collect(",
                    'if "mtt::of-structure" in atomic:\n'
                    '        atomic["mtt::of-structure"] *= float("nan")\n'
                    "    return collect(",
                ),
            )
        ),
        fails="test_several_targets",
        says="the error of 'mtt::of-structure' is inf",
        passes="test_target_of_atoms",
    ),
    breakage(
        "mixes_up_atoms",
        model(
            copied("mt_shared.model.base.BaseModel.forward"),
            copied(
                "mt_shared.model.outputs.collect",
                ("values.to(dtype), Labels", "values.flip(0).to(dtype), Labels"),
            ),
        ),
        fails="test_target_of_atoms",
        says="a mean of each element has",
        passes="test_several_targets test_symmetries.py::test_values_stay[rotation]",
    ),
    breakage(
        "finetunes_new_weights",
        model("""
            @classmethod
            def load_checkpoint(cls, checkpoint, context):
                model = super().load_checkpoint(checkpoint, context)
                if context == "finetune":
                    model.pair_features.mix.reset_parameters()
                    model.pair_features.filter.reset_parameters()
                return model
        """),
        fails="test_finetuning_starts_from_what_is_known",
        says="after an epoch of fine-tuning",
        passes="test_loss_falls test_forces_are_better_than_none",
    ),
    breakage(
        "forgets_the_composition",
        model(
            copied(
                "mt_shared.model.base.BaseModel.forward",
                ("baseline(atomic[name], graph.species)", "atomic[name] * baseline.scale"),
            )
        ),
        fails="test_composition_is_learnt_exactly",
        says="composition",
        passes="test_symmetries.py::test_values_stay[rotation]",
    ),
]
