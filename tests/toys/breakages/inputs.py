"""What a model reads of structures and atoms beside positions and types."""

from toys.breakage import breakage, command, edited, model

CHARGED = "charged"

BREAKAGES = [
    breakage(
        "does_not_look_at_its_charge",
        edited("model.py", 'graph.inputs["charge"]', '0.0 * graph.inputs["charge"]'),
        fails="test_predictions_depend_on_inputs[module]",
        says="other values of charge change",
        passes="test_exported_model_asks_for_its_inputs "
        "test_outputs.py::test_labels_and_shapes[module]",
        base=CHARGED,
    ),
    breakage(
        "does_not_ask_for_its_charge",
        model("""
            def requested_inputs(self) -> Dict[str, ModelOutput]:
                return torch.jit.annotate(Dict[str, ModelOutput], {})
        """),
        fails="test_exported_model_asks_for_its_inputs",
        says="the exported model asks for []; expected ['charge']",
        passes="test_package.py::test_capabilities_agree_with_the_model "
        "test_checkpoints.py::test_model_checkpoint_is_plain",
        base=CHARGED,
    ),
    breakage(
        "gets_no_charge_in_its_evaluation",
        command(
            "mt_shared/data/systems.py",
            "values = torch.from_numpy(labels.values)",
            "values = torch.zeros_like(torch.from_numpy(labels.values))",
        ),
        fails="test_inputs_reach_the_evaluation",
        says="'energy' by mt eval",
        also={"test_inputs_reach_the_model_in_ase": "'energy' in ASE"},
        passes="test_exported_model_asks_for_its_inputs test_predictions_depend_on_inputs[module]",
        base=CHARGED,
    ),
]
