"""Translation, rotation, inversion, permutation, choice of image: for values, and for forces."""

from toys.breakage import Breakage, adds, appended, breakage, model, set_value

FUNCTIONS = """
def lengths(vectors: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(vectors, dim=1, keepdim=True)


def fading(vectors: torch.Tensor) -> torch.Tensor:
    return (4.0 - lengths(vectors)) ** 2 / 16.0


def neighborhood(terms: torch.Tensor, graph: Graph) -> torch.Tensor:
    zeros = torch.zeros((len(graph.species), terms.shape[1]), dtype=terms.dtype)
    return zeros.index_add(0, graph.centers, terms)


def number_of_neighbors(vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
    return neighborhood(fading(vectors), graph)


def square_of_x(vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
    return neighborhood(fading(vectors) * vectors[:, :1] ** 2, graph)


def handedness(vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
    d = lengths(vectors)
    a = neighborhood(fading(vectors) * vectors, graph)
    b = neighborhood(fading(vectors) * d * vectors, graph)
    c = neighborhood(fading(vectors) * d * d * vectors, graph)
    return (torch.linalg.cross(a, b) * c).sum(1, keepdim=True)


def place(vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
    return graph.positions.square().sum(1, keepdim=True)


def distance_from_the_center(vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
    return (graph.positions - graph.positions.mean(0)).square().sum(1, keepdim=True)


def place_in_the_list(vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
    places = torch.arange(len(graph.species), dtype=vectors.dtype)
    return places.unsqueeze(1) * number_of_neighbors(vectors, graph)


def length_of_the_cell(vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
    a = graph.cells[:, 0].square().sum(1, keepdim=True)
    return a[graph.system] * number_of_neighbors(vectors, graph)
"""

# what a term must depend on to break one symmetry and no other
DEPENDS_ON = {
    "translation": "place",
    "rotation": "square_of_x",
    "inversion": "handedness",
    "permutation": "place_in_the_list",
    "periodic images": "distance_from_the_center",
    "choice of the cell": "length_of_the_cell",
}


ON_POSITIONS = ("place", "distance_from_the_center", "length_of_the_cell")


def of_values(symmetry: str) -> Breakage:
    function = DEPENDS_ON[symmetry]
    return breakage(
        f"depends_on_{function}",
        model(adds(f"x + 0.01 * {function}(vectors, graph)", function in ON_POSITIONS), FUNCTIONS),
        fails=f"test_values_stay[{symmetry}]",
        says=f"after a change of {symmetry}",
        passes=kept(symmetry, "test_values_stay"),
    )


def of_forces(symmetry: str) -> Breakage:
    """The term is zero, and its derivative is not."""
    function = DEPENDS_ON[symmetry]
    body = adds("x + 0.01 * (only_derivative(vectors, graph))", function in ON_POSITIONS)
    functions = f"""{FUNCTIONS}

def only_derivative(vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
    term = {function}(vectors, graph)
    return term - term.detach()
"""
    return breakage(
        f"has_forces_that_depend_on_{function}",
        model(body, functions),
        fails=f"test_forces_follow[{symmetry}]",
        says=f"after a change of {symmetry}",
        passes=[f"test_values_stay[{symmetry}]", *kept(symmetry, "test_forces_follow")],
    )


def kept(symmetry: str, test: str) -> list[str]:
    """Symmetries that a broken one leaves alone."""
    # an atom in another image is translated by itself
    broken = {symmetry, "periodic images"} if symmetry == "translation" else {symmetry}
    return [f"{test}[{other}]" for other in DEPENDS_ON if other not in broken]


NOT_TURNED = breakage(
    "is_not_turned_in_its_training",
    set_value("capabilities.yaml", "symmetries.rotation", "augmentation"),
    appended("conformance.py", "NUM_EPOCHS_TO_LEARN = 400"),
    model("""
        def features(self, graph: Graph) -> torch.Tensor:
            stretched = torch.tensor([0.9, 1.0, 1.0], dtype=graph.vectors.dtype)
            longer = graph.vectors * stretched
            return self.pair_features(longer, graph.species, graph.centers, graph.neighbors)
    """),
    fails="test_augmentation_teaches_rotations",
    says="forces on turned structures are off by",
    passes="test_training.py::test_tiny_set_is_learnt test_values_stay[translation] "
    "test_forces_follow[permutation]",
)

BREAKAGES = [make(symmetry) for make in (of_values, of_forces) for symmetry in DEPENDS_ON]
BREAKAGES += [NOT_TURNED]
