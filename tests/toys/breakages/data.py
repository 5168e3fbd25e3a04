"""Data as they are found."""

from toys.breakage import breakage, command, set_value

BREAKAGES = [
    breakage(
        "learns_too_fast_by_default",
        set_value("default-hypers.yaml", "training.learning_rate", 30.0),
        fails="test_defaults_hold_for_many_molecules",
        says="composition alone",
        passes="test_forces_that_are_zero_by_symmetry test_training.py::test_loss_falls",
    ),
    breakage(
        "has_the_stress_of_crystals_alone",
        command(
            "mt_shared/data/structures.py",
            "self.pbc.any(axis=1)",
            "self.pbc.all(axis=1)",
        ),
        fails="test_stress_is_that_of_the_volume",
        says="RMSE of the stress",
        passes="test_forces_that_are_zero_by_symmetry",
    ),
]
