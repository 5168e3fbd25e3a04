"""Checkpoints of every version, which a package keeps in its folder ``checkpoints``."""

from toys.breakage import appended, breakage, keeps_a_checkpoint, model

BREAKAGES = [
    breakage(
        "has_kept_no_checkpoint_of_its_first_version",
        keeps_a_checkpoint("v2.ckpt"),
        fails="test_each_version_has_a_checkpoint",
        says="there is no checkpoint of version 1",
        passes="test_kept_checkpoints_load",
    ),
    breakage(
        "has_kept_half_a_checkpoint",
        appended("checkpoints/v1.ckpt", "half"),
        fails="test_kept_checkpoints_load",
        says="v1.ckpt does not load any more",
        passes="test_checkpoints.py::test_model_checkpoint_is_plain "
        "test_checkpoints.py::test_loaded_model_predicts_the_same[restart]",
    ),
    breakage(
        "saves_something_new_under_the_old_version",
        keeps_a_checkpoint("v1.ckpt"),
        model("""
            def get_checkpoint(self) -> Dict[str, Any]:
                return {**SoundModel.get_checkpoint(self), "something": 1}
        """),
        fails="test_saved_structure_needs_a_new_version",
        says="the saved structure has changed without a new version",
        passes="test_kept_checkpoints_load test_each_version_has_a_checkpoint "
        "test_checkpoints.py::test_model_checkpoint_is_plain",
    ),
]
