"""What was trained is delivered, whatever comes after it."""

from toys.breakage import breakage, command

BREAKAGES = [
    breakage(
        "delivers_after_the_final_evaluation",
        command(
            "mt_core/training/run.py",
            "deliver(model, trainer, folder, output, extensions)",
            "deliver(model, trainer, folder, folder / output.name, extensions)",
        ),
        fails="test_model_is_there_before_the_final_evaluation",
        says="no line says how to evaluate the model",
        passes="test_checkpoints.py::test_model_checkpoint_is_plain",
    ),
]
