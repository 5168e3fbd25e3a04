"""Forces and stress as derivatives."""

from toys.breakage import adds, breakage, model
from toys.breakages.symmetries import FUNCTIONS

CROSSING = """
def through_the_boundary(vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
    inside = graph.positions[graph.neighbors] - graph.positions[graph.centers]
    crossing = ((vectors - inside).abs().sum(1, keepdim=True) > 1e-3).to(vectors.dtype)
    return neighborhood(fading(vectors) * crossing, graph)
"""

BREAKAGES = [
    breakage(
        "detaches_half_of_the_energy",
        model(adds("x - 0.1 * number_of_neighbors(vectors.detach(), graph)"), FUNCTIONS),
        fails="test_forces_are_derivatives",
        says="forces against finite differences",
        passes="test_net_force_is_zero test_symmetries.py::test_forces_follow[rotation] "
        "test_single_atom_has_no_forces",
    ),
    breakage(
        "detaches_edges_through_the_boundary",
        model(
            adds("x - 0.1 * through_the_boundary(vectors.detach(), graph)", reads_positions=True),
            FUNCTIONS + CROSSING,
        ),
        fails="test_forces_in_a_crystal_are_derivatives",
        says="forces against finite differences",
        passes="test_forces_are_derivatives test_net_force_is_zero "
        "test_symmetries.py::test_values_stay[rotation]",
    ),
    breakage(
        "detaches_the_cell",
        model(
            adds(
                "x + 0.01 * torch.det(graph.cells.detach())[graph.system].unsqueeze(1)",
                reads_positions=True,
            )
        ),
        fails="test_stress_is_a_derivative",
        says="stress against finite differences",
        passes="test_forces_are_derivatives test_forces_in_a_crystal_are_derivatives "
        "test_net_force_is_zero",
    ),
    breakage(
        "is_bound_to_the_origin",
        model(adds("x + 0.01 * graph.positions[:, :1]", reads_positions=True)),
        fails="test_net_force_is_zero",
        says="net force on",
        passes="test_forces_are_derivatives test_smooth_at_the_cutoff "
        "test_symmetries.py::test_values_stay[permutation]",
    ),
    breakage(
        "pushes_single_atoms",
        model(
            adds("x + place(vectors, graph) * float(len(vectors) == 0)", reads_positions=True),
            FUNCTIONS,
        ),
        fails="test_single_atom_has_no_forces",
        says="forces on a single atom",
        passes="test_forces_are_derivatives test_net_force_is_zero "
        "test_symmetries.py::test_values_stay[translation]",
    ),
    breakage(
        "counts_neighbors_within_the_cutoff",
        model(adds("x + 0.1 * neighborhood(torch.ones_like(vectors[:, :1]), graph)"), FUNCTIONS),
        fails="test_smooth_at_the_cutoff",
        says="energy of a molecule that an atom leaves at the cutoff",
        passes="test_forces_are_derivatives test_net_force_is_zero "
        "test_symmetries.py::test_values_stay[rotation]",
    ),
    breakage(
        "fades_out_with_a_slope",
        model(adds("x + 0.1 * neighborhood(4.0 - lengths(vectors), graph)"), FUNCTIONS),
        fails="test_smooth_at_the_cutoff",
        says="forces of a molecule that an atom leaves at the cutoff",
        passes="test_forces_are_derivatives test_net_force_is_zero "
        "test_symmetries.py::test_values_stay[rotation]",
    ),
]
