"""Vectors and spherical tensors, where an architecture names them among its targets."""

from toys.breakage import Change, breakage, model, set_value
from toys.breakages.symmetries import FUNCTIONS

# the sound toy has scalars alone: here are vectors for it, a weighted sum over the edges
VECTORS = """
def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
    targets = dataset_info.targets.items()
    scalars = {name: target for name, target in targets if target.is_scalar}
    super().__init__(hypers, replace(dataset_info, targets=scalars))
    self.dataset_info = dataset_info
    self.mixing = torch.nn.ParameterDict()
    for name, target in targets:
        if name not in scalars:
            size = (hypers["num_radial"], target.num_subtargets)
            self.mixing[name] = torch.nn.Parameter(torch.randn(size))
            self.outputs[name] = ModelOutput(sample_kind="atom")

def forward(
    self,
    systems: List[System],
    outputs: Dict[str, ModelOutput],
    selected_atoms: Optional[Labels] = None,
) -> Dict[str, TensorMap]:
    scalars = {name: output for name, output in outputs.items() if name not in self.mixing}
    results = SoundModel.forward(self, systems, scalars, selected_atoms) if scalars else {}
    for name in outputs:
        if name not in scalars:
            results[name] = self.vectors(systems, name, outputs[name].sample_kind)
    return results

def vectors(self, systems, name, kind):
    inputs = torch.jit.annotate(List[str], [])
    graph = graph_from_systems(
        systems, self.neighbor_list, self.type_to_species, inputs, False, False
    )
    vectors = graph.vectors
    weights = self.pair_features.basis(lengths(vectors)) @ self.mixing[name]
    weights = weights * graph.species[graph.neighbors].unsqueeze(1)
    terms = vectors.unsqueeze(2) * weights.unsqueeze(1)
    zeros = terms.new_zeros((len(graph.species), *terms.shape[1:]))
    values = zeros.index_add(0, graph.centers, terms)
    if kind == "atom":
        samples = Labels(["system", "atom"], atom_samples(systems))
    else:
        values = values.new_zeros((len(systems), *values.shape[1:])).index_add(
            0, graph.system, values
        )
        samples = Labels.range("system", len(systems))
    components = [Labels.range("xyz", 3)]
    properties = Labels.range("vector", values.shape[2])
    block = TensorBlock(values, samples, components, properties)
    return TensorMap(Labels.range("_", 1), [block])
"""
IMPORTS = "from metatensor.torch import TensorBlock\n"


def with_vectors(old: str, new: str) -> Change:
    """A model of vectors with some of its text replaced."""
    assert old in VECTORS
    return model(VECTORS.replace(old, new), IMPORTS + FUNCTIONS)


NAMES_VECTORS = set_value("capabilities.yaml", "targets.cartesian", ["system", "atom"])

BREAKAGES = [
    breakage(
        "labels_vectors_by_direction",
        NAMES_VECTORS,
        with_vectors('Labels.range("xyz", 3)', 'Labels.range("direction", 3)'),
        fails="test_tensors_are_labelled[cartesian-system]",
        says="expected [Labels",
        passes="test_tensors_are_not_zero[cartesian-system] "
        "test_tensors_follow[cartesian-system-rotation] "
        "test_tensors_follow[cartesian-system-inversion]",
    ),
    breakage(
        "has_vectors_that_are_zero",
        NAMES_VECTORS,
        with_vectors("@ self.mixing[name]", "@ (0.0 * self.mixing[name])"),
        fails="test_tensors_are_not_zero[cartesian-atom]",
        says="all values are zero",
        passes="test_tensors_are_labelled[cartesian-atom] "
        "test_tensors_follow[cartesian-atom-rotation]",
    ),
    breakage(
        "has_vectors_that_do_not_turn",
        NAMES_VECTORS,
        with_vectors("vectors.unsqueeze(2) *", "vectors.abs().unsqueeze(2) *"),
        fails="test_tensors_follow[cartesian-atom-rotation]",
        says="after a change of rotation",
        passes="test_tensors_are_labelled[cartesian-atom] "
        "test_tensors_are_not_zero[cartesian-atom] "
        "test_tensors_follow[cartesian-atom-translation]",
    ),
]
