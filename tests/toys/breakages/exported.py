"""The exported file, where it is used: in a process that has nothing of ours."""

from toys.breakage import adds, beside_the_command, breakage, copied, model, set_value
from toys.breakages.symmetries import FUNCTIONS

# of a batch; an engine has one structure at a time
OTHERS = "(float(len(graph.num_atoms)) - 1.0)"
ONLY_DERIVATIVE = """
def only_derivative(x: torch.Tensor) -> torch.Tensor:
    return x - x.detach()
"""

MESSAGES = f"""{FUNCTIONS}

def of_neighbors(vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
    numbers = number_of_neighbors(vectors, graph)
    return neighborhood(fading(vectors) * numbers[graph.neighbors], graph)
"""

BREAKAGES = [
    breakage(
        "is_imported_with_torch",
        beside_the_command("mt_backend.py", "def begin():\n    pass\n"),
        beside_the_command(
            "mt_backend-0.1.dist-info/entry_points.txt",
            "[torch.backends]\nbackend = mt_backend:begin\n",
        ),
        beside_the_command(
            "mt_backend-0.1.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: mt-backend\nVersion: 0.1\n",
        ),
        fails="test_runs_without_our_packages[float64]",
        says="imported: ['mt_backend']",
        passes="test_values_in_ase[float64] test_forces_in_ase[float64] "
        "test_stress_in_ase[float64]",
    ),
    breakage(
        "has_no_eye_for_atoms_in_one_place",
        model(
            copied("mt_shared.model.base.BaseModel.forward"),
            "from mt_shared.data import Graph\nfrom mt_shared.data.graph import opposite_edges\n\n"
            + copied(
                "mt_shared.data.graph.graph_from_systems",
                ("    _refuse_coincident_atoms(all_vectors)\n", ""),
            ),
        ),
        fails="test_atoms_in_one_place_are_refused",
        says="DID NOT RAISE",
        passes="test_export_changes_nothing test_export_leaves_the_model",
    ),
    breakage(
        "sees_the_size_of_the_batch",
        model(adds(f"x + 0.01 * {OTHERS}")),
        fails="test_values_in_ase[float64]",
        says="'energy' in ASE",
        passes="test_runs_without_our_packages[float64] test_forces_in_ase[float64] "
        "test_stress_in_ase[float64]",
    ),
    breakage(
        "has_forces_that_see_the_size_of_the_batch",
        model(
            adds(f"x + {OTHERS} * only_derivative(square_of_x(vectors, graph))"),
            FUNCTIONS + ONLY_DERIVATIVE,
        ),
        fails="test_forces_in_ase[float64]",
        says="forces in ASE",
        passes="test_runs_without_our_packages[float64] test_values_in_ase[float64]",
    ),
    breakage(
        "has_a_stress_that_sees_the_size_of_the_batch",
        model(
            adds(
                f"x + {OTHERS} * only_derivative(graph.cells[:, 0, :1].square())[graph.system]",
                reads_positions=True,
            ),
            ONLY_DERIVATIVE,
        ),
        fails="test_stress_in_ase[float64]",
        says="stress in ASE",
        passes="test_runs_without_our_packages[float64] test_values_in_ase[float64] "
        "test_forces_in_ase[float64]",
    ),
    breakage(
        "is_another_model_in_torchscript",
        model(adds("x + 0.5 if torch.jit.is_scripting() else x")),
        fails="test_export_changes_nothing",
        says="'energy' after export",
        passes="test_export_leaves_the_model test_export_says_what_it_is test_precisions_agree",
    ),
    breakage(
        "is_changed_by_its_export",
        model("""
            def export(self, metadata=None):
                self.eval()
                return SoundModel.export(self, metadata)
        """),
        fails="test_export_leaves_the_model",
        says="export switched the model to evaluation mode",
        passes="test_export_changes_nothing test_export_says_what_it_is test_precisions_agree",
    ),
    breakage(
        "sees_less_far_than_it_does",
        model("""
            def interaction_range(self) -> float:
                return 1.0
        """),
        fails="test_export_says_what_it_is",
        says="the interaction range is 1.0, the cutoffs are",
        passes="test_export_changes_nothing test_export_leaves_the_model test_precisions_agree",
    ),
    breakage(
        "passes_messages_beyond_its_range",
        set_value("capabilities.yaml", "locality", "message_passing"),
        model(adds("x + 0.1 * of_neighbors(vectors, graph)"), MESSAGES),
        fails="test_nothing_is_felt_beyond_the_interaction_range",
        says="though interaction_range() is",
        passes="test_export_changes_nothing test_export_says_what_it_is test_precisions_agree "
        "test_outputs.py::test_far_apart_adds_up[module]",
    ),
    breakage(
        "passes_messages_and_calls_itself_local",
        model(
            adds("x + 0.1 * of_neighbors(vectors, graph)")
            + """
def interaction_range(self) -> float:
    return 2 * self.cutoff
""",
            MESSAGES,
        ),
        fails="test_a_local_model_sees_one_cutoff",
        says="though capabilities.yaml says locality: local",
        passes="test_nothing_is_felt_beyond_the_interaction_range test_export_changes_nothing "
        "test_export_says_what_it_is",
    ),
    breakage(
        "has_whole_numbers_first",
        model("""
            def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
                SoundModel.__init__(self, hypers, dataset_info)
                numbers = self.no_numbers
                del self.no_numbers
                self.register_buffer("no_numbers", numbers, persistent=False)
        """),
        fails="test_metatomic_averages_over_rotations",
        says="must be orthogonal",
        passes="test_metatomic_sums_outputs test_export_changes_nothing "
        "test_export_says_what_it_is",
        base="closed_form",
    ),
    breakage(
        "asks_for_neighbors_where_nobody_looks",
        model("""
            def requested_neighbor_lists(self) -> List[NeighborListOptions]:
                return torch.jit.annotate(List[NeighborListOptions], [])

            def export(self, metadata=None):
                exported = SoundModel.export(self, metadata)
                self.neighbor_list.length_unit = "angstrom"
                exported._requested_neighbor_lists = [self.neighbor_list]
                return exported
        """),
        fails="test_metatomic_sums_outputs",
        says="neighbor",
        passes="test_metatomic_averages_over_rotations test_export_changes_nothing "
        "test_export_says_what_it_is",
    ),
    breakage(
        "subtracts_large_numbers",
        model(adds("x + (number_of_neighbors(vectors, graph) + 1e6) - 1e6"), FUNCTIONS),
        fails="test_precisions_agree",
        says="'energy' by atom in float32",
        passes="test_export_changes_nothing test_export_leaves_the_model "
        "test_export_says_what_it_is",
    ),
]
