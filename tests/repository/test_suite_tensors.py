"""The suite's checks of tensors, on a model that is right and on models that are wrong.

No architecture of this repository predicts tensors yet; the model here is a sum over neighbors.
"""

import numpy as np
import pytest
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, NeighborListOptions

from mt_conformance.inputs import (
    GUISES,
    Examples,
    Tolerances,
    blocks_of,
    irrep_matrix,
    real_harmonics,
)
from mt_conformance.runs import Predictor
from mt_conformance.tests import test_tensors
from mt_conformance.tests.test_tensors import NAME, Tensors
from mt_shared.contract import Cartesian, Spherical, TargetInfo

SAME = Tolerances().same
NEIGHBORS = NeighborListOptions(cutoff=3.0, full_list=True, strict=True)
TYPES = {
    "vector": Cartesian(1),
    "matrix": Cartesian(2),
    "spherical": Spherical(((0, 1), (1, 1), (2, 1))),
}


class SumOverNeighbors:
    """Sums over neighbors of a tensor of the edge times Z exp(-d) and Z exp(-2 d), as an output.

    :param wrong: ``xyz`` for components of l = 1 in that order, ``parity`` for a vector that an
        inversion leaves, ``names`` for another label of the components, ``zero``
    """

    def __init__(self, target: TargetInfo, wrong: str = ""):
        self.target = target
        self.wrong = wrong

    def __call__(self, systems, outputs, selected_atoms):
        per_atom = outputs[NAME].sample_kind == "atom"
        blocks = []
        for keys, components in blocks_of(self.target.type):
            parts = [self.of_atoms(system, keys) for system in systems]
            rows = parts if per_atom else [part.sum(0, keepdim=True) for part in parts]
            blocks.append(self.labelled(torch.cat(rows), systems, components, per_atom))
        keys = [keys for keys, _ in blocks_of(self.target.type)]
        values = torch.tensor([list(each.values()) for each in keys], dtype=torch.int32)
        return {NAME: TensorMap(Labels(list(keys[0]), values), blocks)}

    def of_atoms(self, system, keys):
        """(A, C, ..., 2)"""
        block = system.get_neighbor_list(NEIGHBORS)
        edges = block.values[:, :, 0].detach()
        distances = edges.norm(dim=1)
        tensors = torch.from_numpy(self.of_edges(edges.numpy(), keys))
        weights = torch.stack([torch.exp(-distances), torch.exp(-2 * distances)], dim=1)
        # else the two directions of a pair would cancel in the vector of a structure
        neighbors = block.samples.column("second_atom").to(torch.int64)
        weights = weights * system.types[neighbors][:, None]
        if self.wrong == "zero":
            weights = 0 * weights
        terms = torch.einsum("e...,ep->e...p", tensors, weights)
        sums = torch.zeros((len(system), *terms.shape[1:]), dtype=terms.dtype)
        return sums.index_add(0, block.samples.column("first_atom").to(torch.int64), terms)

    def of_edges(self, edges, keys):
        """(E, C, ...)"""
        if self.wrong == "parity":
            edges = edges * np.sign(edges[:, :1])
        if isinstance(self.target.type, Spherical):
            harmonics = real_harmonics(keys["o3_lambda"], edges)
            swapped = self.wrong == "xyz" and keys["o3_lambda"] == 1
            return harmonics[:, [2, 0, 1]] if swapped else harmonics
        if self.target.type.rank == 1:
            return edges
        return edges[:, :, None] * edges[:, None, :]

    def labelled(self, values, systems, components, per_atom):
        if per_atom:
            rows = [[i, atom] for i, system in enumerate(systems) for atom in range(len(system))]
            samples = Labels(["system", "atom"], torch.tensor(rows, dtype=torch.int32))
        else:
            samples = Labels.range("system", len(systems))
        if self.wrong == "names":
            components = [
                Labels([f"component_{i}"], each.values) for i, each in enumerate(components)
            ]
        return TensorBlock(values, samples, components, Labels.range("tensor", values.shape[-1]))


def tensors(kind: str, sample_kind: str, wrong: str = "") -> Tensors:
    target = TargetInfo(sample_kind=sample_kind, type=TYPES[kind], num_subtargets=2)
    output = {NAME: ModelOutput(sample_kind=sample_kind)}
    model = SumOverNeighbors(target, wrong)
    return Tensors(Predictor(model, [NEIGHBORS], {}, output, torch.float64, False), target)


each_kind = pytest.mark.parametrize("kind", TYPES)
each_sample_kind = pytest.mark.parametrize("sample_kind", ["system", "atom"])


@each_kind
@each_sample_kind
def test_a_right_model_passes(kind, sample_kind):
    right = tensors(kind, sample_kind)
    test_tensors.test_tensors_are_labelled(right, Examples())
    test_tensors.test_tensors_are_not_zero(right, Examples())
    for symmetry in GUISES:
        test_tensors.test_tensors_follow(SAME, right, Examples(), symmetry)


@each_sample_kind
def test_another_order_of_the_components_is_found(sample_kind):
    wrong = tensors("spherical", sample_kind, "xyz")
    with pytest.raises(AssertionError, match=r"'o3_lambda': 1.* after a change of rotation"):
        test_tensors.test_tensors_follow(SAME, wrong, Examples(), "rotation")


@pytest.mark.parametrize("kind", ["vector", "spherical"])
def test_a_wrong_parity_is_found(kind):
    wrong = tensors(kind, "atom", "parity")
    with pytest.raises(AssertionError, match="after a change of inversion"):
        test_tensors.test_tensors_follow(SAME, wrong, Examples(), "inversion")


@each_kind
def test_other_labels_are_found(kind):
    with pytest.raises(AssertionError, match="the components of"):
        test_tensors.test_tensors_are_labelled(tensors(kind, "atom", "names"), Examples())


@each_kind
def test_a_model_of_nothing_is_found(kind):
    with pytest.raises(AssertionError, match="all values are zero"):
        test_tensors.test_tensors_are_not_zero(tensors(kind, "atom", "zero"), Examples())


@pytest.mark.parametrize("degree", range(4))
def test_matrices_of_irreps_are_orthogonal_and_follow_one_another(degree):
    first, second = (np.linalg.qr(np.random.default_rng(i).normal(size=(3, 3)))[0] for i in (1, 2))
    product = irrep_matrix(degree, 1, first) @ irrep_matrix(degree, 1, second)
    np.testing.assert_allclose(product, irrep_matrix(degree, 1, first @ second), atol=1e-12)
    identity = np.eye(2 * degree + 1)
    np.testing.assert_allclose(product @ product.T, identity, atol=1e-12)
    parity = (-1) ** degree
    np.testing.assert_allclose(irrep_matrix(degree, 1, -np.eye(3)), parity * identity, atol=1e-12)
    np.testing.assert_allclose(irrep_matrix(degree, -1, -np.eye(3)), -parity * identity, atol=1e-12)


def test_a_vector_is_a_spherical_tensor_in_the_order_y_z_x():
    vectors = np.random.default_rng(0).normal(size=(5, 3))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = np.sqrt(3 / (4 * np.pi)) * unit[:, [1, 2, 0]]
    np.testing.assert_allclose(real_harmonics(1, vectors), expected, atol=1e-14)
