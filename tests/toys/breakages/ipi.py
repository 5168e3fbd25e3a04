"""The exported file in a second engine: i-PI, through its metatomic driver."""

from toys.breakage import adds, breakage, model
from toys.breakages.symmetries import FUNCTIONS

BREAKAGES = [
    breakage(
        "is_in_other_units_than_its_data",
        model("""
            def supported_outputs(self) -> Dict[str, ModelOutput]:
                for name, target in self.dataset_info.targets.items():
                    if target.is_energy:
                        self.outputs[name].unit = "kcal/mol"
                return self.outputs
        """),
        fails="test_energies_in_ipi",
        says="energy in i-PI",
        also={"test_forces_in_ipi": "forces in i-PI"},
        passes="test_total_energy_is_kept_in_ipi test_exported.py::test_values_in_ase[float64]",
    ),
    breakage(
        "has_forces_that_are_no_derivatives",
        model(
            adds("x + only_derivative(number_of_neighbors(vectors, graph))"),
            FUNCTIONS
            + """
def only_derivative(x: torch.Tensor) -> torch.Tensor:
    return x - x.detach()
""",
        ),
        fails="test_total_energy_is_kept_in_ipi",
        says="the total energy goes",
        passes="test_energies_in_ipi test_forces_in_ipi",
    ),
]
