"""Checkpoints: what is in them, and that they bring back what was saved."""

from toys.breakage import breakage, command, model, trainer


def saves_too(entry: str) -> str:
    """The method of a model that saves something more."""
    return f"""
def get_checkpoint(self) -> Dict[str, Any]:
    return {{**SoundModel.get_checkpoint(self), {entry}}}
"""


BREAKAGES = [
    breakage(
        "saves_objects_of_torch",
        model(saves_too('"kind": torch.float64')),
        fails="test_model_checkpoint_is_plain",
        says="neither tensors nor plain values: ['kind']",
        passes="test_checkpoint_names_its_architecture test_metadata_survive_plain_values "
        "test_todays_checkpoint_needs_no_upgrade",
    ),
    breakage(
        "has_a_trainer_that_saves_objects_of_torch",
        trainer("""
            def _checkpoint(self, model):
                checkpoint = super()._checkpoint(model)
                return {**checkpoint, "trainer": {**checkpoint["trainer"], "kind": torch.float64}}
        """),
        # what writes checkpoints refuses it already, and of that the suite is not to depend
        command("mt_shared/contract/checkpoints.py", "    _refuse_objects(checkpoint)\n", ""),
        fails="test_training_checkpoint_is_plain",
        says="neither tensors nor plain values: ['trainer.kind']",
        passes="test_model_checkpoint_is_plain test_checkpoint_needs_no_code_to_be_read "
        "test_newer_checkpoint_is_refused[trainer]",
    ),
    breakage(
        "saves_objects_of_python",
        model(
            saves_too('"where": Path("somewhere")')
            + """
def save_checkpoint(self, path: Path) -> None:
    torch.save(self.get_checkpoint(), path)
""",
            "from pathlib import Path",
        ),
        fails="test_checkpoint_needs_no_code_to_be_read",
        says="Weights only load failed",
        passes="test_checkpoint_names_its_architecture test_metadata_survive_plain_values "
        "test_todays_checkpoint_needs_no_upgrade",
    ),
    breakage(
        "saves_under_another_name",
        model(saves_too('"architecture": "another"')),
        fails="test_checkpoint_names_its_architecture",
        says="'architecture' of the checkpoint is 'another'",
        passes="test_model_checkpoint_is_plain test_dataset_info_comes_back "
        "test_loaded_model_predicts_the_same[export]",
    ),
    breakage(
        "forgets_the_unit_of_length",
        model("""
            @classmethod
            def load_checkpoint(cls, checkpoint, context):
                info = {**checkpoint["dataset_info"], "length_unit": "nm"}
                return super().load_checkpoint({**checkpoint, "dataset_info": info}, context)
        """),
        fails="test_dataset_info_comes_back",
        says="came back otherwise: [\"length_unit: 'nm'",
        passes="test_loaded_model_predicts_the_same[restart] test_model_checkpoint_is_plain "
        "test_todays_checkpoint_needs_no_upgrade",
    ),
    breakage(
        "has_metadata_of_its_own_kind",
        model(
            "__default_metadata__ = Metadata()",
            """
            class Metadata:
                name, description, authors, extra = "toy", "", (), {"year": 2026}
                references = {"architecture": ["a paper"], "implementation": ["a package"]}
            """,
        ),
        fails="test_metadata_survive_plain_values",
        says="year",
        passes="test_checkpoint_names_its_architecture test_package.py::test_people_are_named "
        "test_todays_checkpoint_needs_no_upgrade",
    ),
    breakage(
        "draws_numbers_that_are_not_saved",
        model("""
            def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
                super().__init__(hypers, dataset_info)
                noise = 0.1 * torch.randn_like(self.pair_features.basis.centers_R)
                self.pair_features.basis.centers_R += noise
        """),
        fails="test_loaded_model_predicts_the_same[restart]",
        says="instead of",
        passes="test_model_checkpoint_is_plain test_dataset_info_comes_back "
        "test_outputs.py::test_batches_agree[module]",
    ),
    breakage(
        "finetunes_from_nothing",
        model("""
            @classmethod
            def load_checkpoint(cls, checkpoint, context):
                model = super().load_checkpoint(checkpoint, context)
                if context == "finetune":
                    model.pair_features.mix.reset_parameters()
                return model
        """),
        fails="test_loaded_model_predicts_the_same[finetune]",
        says="instead of",
        passes="test_loaded_model_predicts_the_same[restart] "
        "test_loaded_model_predicts_the_same[export] test_dataset_info_comes_back",
    ),
    breakage(
        "restarts_with_new_weights",
        model("""
            def restart(self, dataset_info: DatasetInfo):
                self.pair_features.mix.reset_parameters()
                return SoundModel.restart(self, dataset_info)
        """),
        fails="test_restart_with_equal_data_changes_nothing",
        says="instead of",
        passes="test_loaded_model_predicts_the_same[restart] test_dataset_info_comes_back",
    ),
    breakage(
        "refuses_an_element_without_its_number",
        model("""
            def restart(self, dataset_info: DatasetInfo):
                if dataset_info.atomic_types != self.dataset_info.atomic_types:
                    raise DataError("these data do not fit the model")
                return SoundModel.restart(self, dataset_info)
        """),
        fails="test_restart_with_a_new_element",
        says="the error does not name the element 17",
        passes="test_restart_with_equal_data_changes_nothing test_restart_with_a_new_target "
        "test_loaded_model_predicts_the_same[restart]",
    ),
    breakage(
        "changes_when_it_gets_an_element",
        model("""
            def _extended(self, atomic_types):
                model = SoundModel._extended(self, atomic_types)
                model.pair_features.mix.reset_parameters()
                return model
        """),
        fails="test_restart_with_a_new_element",
        says="values after adding an element",
        passes="test_restart_with_equal_data_changes_nothing test_restart_with_a_new_target",
    ),
    breakage(
        "makes_nothing_of_a_new_target",
        model("""
            def restart(self, dataset_info: DatasetInfo):
                known = self.dataset_info.targets
                return SoundModel.restart(self, replace(dataset_info, targets=known))
        """),
        fails="test_restart_with_a_new_target",
        says="the new target is no output",
        passes="test_restart_with_equal_data_changes_nothing test_restart_with_a_new_element",
    ),
    breakage(
        "reads_newer_checkpoints",
        model("""
            @classmethod
            def upgrade_checkpoint(cls, checkpoint):
                return checkpoint
        """),
        fails="test_newer_checkpoint_is_refused[model]",
        says="DID NOT RAISE",
        passes="test_newer_checkpoint_is_refused[trainer] test_todays_checkpoint_needs_no_upgrade "
        "test_training_checkpoint_is_plain",
    ),
    breakage(
        "has_a_trainer_that_reads_newer_checkpoints",
        trainer("""
            @classmethod
            def upgrade_checkpoint(cls, checkpoint):
                return checkpoint
        """),
        fails="test_newer_checkpoint_is_refused[trainer]",
        says="DID NOT RAISE",
        passes="test_newer_checkpoint_is_refused[model] test_todays_checkpoint_needs_no_upgrade",
    ),
    breakage(
        "upgrades_what_is_new",
        model("""
            @classmethod
            def upgrade_checkpoint(cls, checkpoint):
                return {**checkpoint, "upgraded": True}
        """),
        fails="test_todays_checkpoint_needs_no_upgrade",
        says="upgraded although it is of today's version: ['upgraded']",
        passes="test_model_checkpoint_is_plain test_loaded_model_predicts_the_same[restart]",
    ),
    breakage(
        "is_restarted_from_another_architecture",
        command(
            "mt_core/training/start_points.py",
            'if checkpoint["architecture"] != name:',
            "if False:",
        ),
        fails="test_checkpoint_of_another_architecture_is_refused",
        says="expected an error from `mt train",
        passes="test_training_checkpoint_is_plain test_newer_checkpoint_is_refused[model]",
    ),
    breakage(
        "hands_out_its_parameters",
        model("""
            def get_checkpoint(self) -> Dict[str, Any]:
                state = {name: tensor.detach() for name, tensor in self.state_dict().items()}
                return {**SoundModel.get_checkpoint(self), "state": state}
        """),
        fails="test_changing_a_loaded_model_leaves_the_checkpoint",
        says="changed with the model",
        passes="test_model_checkpoint_is_plain test_loaded_model_predicts_the_same[restart] "
        "test_restart_with_equal_data_changes_nothing",
    ),
]
