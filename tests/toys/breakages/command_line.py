"""The commands, as a user types them."""

from toys.breakage import breakage, command, copied, model, set_value, trainer

BREAKAGES = [
    breakage(
        "tidies_up_behind_itself",
        trainer("""
            def train(self, model, dtype, devices, training, validation, folder):
                super().train(model, dtype, devices, training, validation, folder)
                (folder / "train.csv").unlink()
        """),
        command("mt_core/training/summary.py", "in LAMMPS:", "in another engine:"),
        command(
            "mt_core/evaluation/prediction_files.py",
            "write(file, list(",
            "write(file, _moved(",
        ),
        command(
            "mt_core/evaluation/prediction_files.py",
            "# ---- metatensor",
            "def _moved(images):\n"
            "    images = list(images)\n"
            "    for atoms in images:\n"
            "        atoms.calc.results['energy'] += 0.1\n"
            "    return images\n\n\n"
            "# ---- metatensor",
        ),
        fails="test_train_leaves_its_files",
        says="there is no train.csv in the folder of the run",
        also={
            "test_train_says_how_to_use_the_model": "nothing is said of LAMMPS",
            "test_eval_writes_files": "'energy' in predicted.xyz",
        },
        passes="test_exported.py::test_values_in_ase[float64] "
        "test_exported.py::test_forces_in_ase[float64]",
    ),
    breakage(
        "prints_a_line_that_does_not_run",
        command(
            "mt_core/training/summary.py",
            "MetatomicCalculator({arguments})",
            "MetatomicCalculator({arguments}, no_such_option=True)",
        ),
        set_value("capabilities.yaml", "extensions", True),
        fails="test_the_line_for_ase_runs",
        says="no_such_option",
        also={"test_extensions_are_where_it_is_said": "says extensions: True"},
        passes="test_train_leaves_its_files test_train_says_how_to_use_the_model "
        "test_eval_writes_files",
    ),
    breakage(
        "predicts_vectors_from_a_file_that_is_not_there",
        command("mt_core/training/summary.py", "eval.yaml", "evaluate.yaml"),
        fails="test_the_line_for_mt_eval_runs",
        says="evaluate.yaml",
        passes="test_train_leaves_its_files test_eval_writes_files",
        base="vectors",
    ),
    breakage(
        "is_another_model_each_time_it_is_loaded",
        model(
            """
            @classmethod
            def load_checkpoint(cls, checkpoint, context):
                model = super().load_checkpoint(checkpoint, context)
                if context == "export":
                    for baseline in model.baselines.values():
                        baseline.composition += random.SystemRandom().random()
                return model
        """,
            "import random",
        ),
        fails="test_export_gives_the_trained_model",
        says="'energy': ",
        also={"test_eval_takes_a_checkpoint": "'energy' of the checkpoint"},
        passes="test_exported.py::test_values_in_ase[float64] test_train_leaves_its_files "
        "test_eval_writes_files",
    ),
    breakage(
        "forgets_what_it_was_trained_on",
        command(
            "mt_core/evaluation/predictions.py",
            "trained_targets(model).items() if name in outputs",
            "trained_targets(model).items() if name == outputs",
        ),
        command(
            "mt_core/evaluation/predictions.py",
            'else ("", output.sample_kind)',
            'else ("", "system")',
        ),
        fails="test_eval_needs_no_labels",
        says="bare.mts` ended with status 1",
        passes="test_export_gives_the_trained_model test_eval_writes_files",
        base="vectors",
    ),
    breakage(
        "fails_in_an_engine",
        model(
            copied(
                "mt_shared.model.base.BaseModel.forward",
                (
                    "return collect(",
                    "if torch.jit.is_scripting():\n"
                    '        raise ValueError("no engine can call this")\n'
                    "    return collect(",
                ),
            )
        ),
        fails="test_dry_run_leaves_nothing",
        says="fails where an engine would call it",
        passes="test_package.py::test_package_loads_by_the_contract "
        "test_checkpoints.py::test_model_checkpoint_is_plain",
    ),
    breakage(
        "claims_all_elements",
        model(
            copied(
                "mt_shared.model.base.BaseModel.export",
                ("atomic_types=self.atomic_types", "atomic_types=list(range(1, 100))"),
            )
        ),
        fails="test_unknown_element_is_refused",
        says="chlorine.xyz",
        passes="test_export_gives_the_trained_model test_eval_writes_files",
    ),
    breakage(
        "writes_a_file_where_it_is_tried",
        trainer("""
            def dry_run(self, *arguments):
                Path("notes.txt").write_text("tried")
                return super().dry_run(*arguments)
        """),
        set_value("schema-hypers.json", "properties.model.additionalProperties", True),
        command("mt_core/architectures/capability_check.py", "if not lacking:", "if True:"),
        fails="test_dry_run_leaves_nothing",
        says="it left",
        also={
            "test_misspelt_hyper_stops_the_training": "expected an error from `mt train",
            "test_missing_ability_is_refused": "expected the words",
        },
        passes="test_hypers.py::test_defaults_fit_the_schema "
        "test_checkpoints.py::test_model_checkpoint_is_plain",
    ),
]
