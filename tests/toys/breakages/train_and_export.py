"""What trains and what is exported are one function."""

from toys.breakage import adds, breakage, model
from toys.breakages.symmetries import FUNCTIONS

ONLY_DERIVATIVE = f"""{FUNCTIONS}

def only_derivative(x: torch.Tensor) -> torch.Tensor:
    return x - x.detach()
"""
PUSHES = "x + 0.1 * only_derivative(number_of_neighbors(vectors, graph))"

BREAKAGES = [
    breakage(
        "trains_with_other_forces_than_it_exports",
        model(adds(f"x if torch.jit.is_scripting() else {PUSHES}"), ONLY_DERIVATIVE),
        fails="test_errors_of_the_training_are_those_of_the_exported_model[forces]",
        says="RMSE of the forces in validation",
        also={
            "test_errors_of_the_training_are_those_of_the_exported_model[stress]": (
                "RMSE of the stress in validation"
            )
        },
        passes="test_errors_of_the_training_are_those_of_the_exported_model[energy] "
        "test_gradients.py::test_forces_are_derivatives test_gradients.py::test_net_force_is_zero",
    ),
    breakage(
        "has_other_forces_in_training_mode",
        model(adds(f"{PUSHES} if self.training else x"), ONLY_DERIVATIVE),
        fails="test_predictions_in_training_are_those_of_the_exported_model",
        says="forces in training",
        passes="test_errors_of_the_training_are_those_of_the_exported_model[forces] "
        "test_gradients.py::test_forces_are_derivatives",
    ),
    breakage(
        "reads_positions_without_saying_so",
        # of empty tensors it is zero: nothing but the check before the first step would see it
        model(adds("x + 0.01 * graph.positions.square().sum()")),
        fails="test_training.py::test_loss_falls",
        says="reads_positions = True",
        passes="test_package.py::test_package_loads_by_the_contract "
        "test_hypers.py::test_defaults_fit_the_schema",
    ),
]
