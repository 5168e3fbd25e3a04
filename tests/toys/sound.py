"""Sound toys that are written otherwise than the templates, and so prove doors of their own.

With each change, ``tests/repository/test_sound_toys.py`` runs the tests that are named here, and on
``VECTORS`` the whole suite; on the others that runs every night, with the cross product of the
broken ones (``python tests/toys/cross.py``).
"""

from toys.breakage import Breakage


def sound(name: str, base: str = "epochs", tests: str = "") -> Breakage:
    """A toy with nothing broken: these tests pass, and none fails.

    :param base: what it is made of, as in :class:`Breakage`
    """
    return Breakage(name, fails={}, passes=tuple(tests.split()), changes=(), base=base)


# what goes through the adapter: what it predicts and exports
_OF_MODELS = """
test_exported.py::test_forces_in_ase[float32]
test_exported.py::test_stress_in_ase[float32]
test_exported.py::test_values_in_ase[float32]
test_gradients.py::test_forces_are_derivatives
test_gradients.py::test_stress_is_a_derivative
test_new_types.py::test_old_types_keep_their_values
test_outputs.py::test_atoms_sum_to_the_structure
test_outputs.py::test_batches_agree
test_outputs.py::test_selected_atoms
"""
# and each way of training, saving and continuing once, by a trainer's own loop too
_OF_TRAININGS = """
test_data.py::test_forces_that_are_zero_by_symmetry
test_data.py::test_stress_is_that_of_the_volume
test_exported.py::test_atoms_in_one_place_are_refused
test_checkpoints.py::test_changing_a_loaded_model_leaves_the_checkpoint
test_checkpoints.py::test_loaded_model_predicts_the_same
test_checkpoints.py::test_newer_checkpoint_is_refused
test_checkpoints.py::test_restart_with_a_new_target
test_checkpoints.py::test_restart_with_equal_data_changes_nothing
test_checkpoints.py::test_training_checkpoint_is_plain
test_finetuning.py::test_method_trains_and_exports[full]
test_finetuning.py::test_restart_equals_no_restart[full]
test_interruption.py::test_restart_equals_no_restart[SIGTERM]
test_interruption.py::test_sigterm_saves_and_leaves
test_package.py::test_package_loads_by_the_contract
test_train_and_export.py::test_errors_of_the_training_are_those_of_the_exported_model
test_training.py::test_several_targets
test_training.py::test_target_of_atoms
"""

PORTABLE = sound("portable", "portable", _OF_MODELS + _OF_TRAININGS)
"""A model that only has ``forward``, trained by the shared trainer."""
OWN_LOOP = sound("own_loop", "own_loop", _OF_TRAININGS)
"""The same model, with a trainer that loops over samples."""

_OF_INPUTS = """
test_inputs.py::test_exported_model_asks_for_its_inputs
test_inputs.py::test_inputs_reach_the_evaluation
test_inputs.py::test_inputs_reach_the_model_in_ase
test_inputs.py::test_predictions_depend_on_inputs
test_exported.py::test_values_in_ase[float64]
test_interruption.py::test_restart_equals_no_restart[SIGTERM]
test_new_types.py::test_old_types_keep_their_values
test_train_and_export.py::test_predictions_in_training_are_those_of_the_exported_model
"""
_OF_A_FIT = """
test_closed_form.py::test_finetuning_is_better_than_a_fit_to_few_data
test_closed_form.py::test_restart_of_a_fit_changes_nothing
test_command_line.py::test_eval_writes_files
test_train_and_export.py::test_errors_of_the_training_are_those_of_the_exported_model
test_training.py::test_composition_is_learnt_exactly
"""

CHARGED = sound("charged", "charged", _OF_INPUTS)
"""A potential that depends on the total charge of a structure."""
CLOSED_FORM = sound("fitted", "closed_form", _OF_A_FIT)
"""A fit in one step."""
VECTORS = sound("vectors_alone", "vectors")
"""Vectors of atoms, without energies."""
GENERATED = sound("as_generated")
"""What ``mt new --mlip`` writes, and the broken toys are made of."""
SOUND = [PORTABLE, OWN_LOOP, CHARGED, CLOSED_FORM]
