"""The quick tier: the tests that find most faults soonest, for while an architecture is written.

Two short trainings are all that it runs; the others look at models as they come from their class.
"""

EVERY = None
"""Every test of a file."""

QUICK: dict[str, tuple[str, ...] | None] = {
    "test_package.py": EVERY,
    "test_hypers.py": EVERY,
    "test_outputs.py": EVERY,
    "test_tensors.py": EVERY,
    "test_symmetries.py": ("test_values_stay", "test_forces_follow"),
    "test_gradients.py": EVERY,
    "test_precision.py": EVERY,
    "test_exported.py": (
        "test_export_changes_nothing",
        "test_export_leaves_the_model",
        "test_export_says_what_it_is",
        "test_nothing_is_felt_beyond_the_interaction_range",
        "test_a_local_model_sees_one_cutoff",
        "test_precisions_agree",
    ),
    "test_inputs.py": (
        "test_exported_model_asks_for_its_inputs",
        "test_predictions_depend_on_inputs",
    ),
    "test_train_and_export.py": EVERY,
    "test_training.py": ("test_loss_falls", "test_forces_are_better_than_none"),
    "test_checkpoints.py": EVERY,
    "test_new_types.py": (
        "test_old_types_keep_their_values",
        "test_new_types_have_values",
        "test_larger_model_comes_back_from_its_checkpoint",
    ),
}
"""By file, the names of the test functions."""


def is_quick(file: str, function: str) -> bool:
    """Whether a test belongs to the quick tier."""
    if file not in QUICK:
        return False
    names = QUICK[file]
    return names is EVERY or function in names
