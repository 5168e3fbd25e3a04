"""From edges to features: what training, evaluation and TorchScript make of the same model."""

from typing import NamedTuple

import pytest
import torch

from mt_soap_bpnn.modules.features import SoapFeatures

FORCES = {torch.float32: 2e-5, torch.float64: 1e-11}


class Atoms(NamedTuple):
    vectors: torch.Tensor
    centers: torch.Tensor
    neighbors: torch.Tensor
    species: torch.Tensor


def make_atoms(counts: list[int], cutoff: float = 4.0, seed: int = 0) -> Atoms:
    generator = torch.Generator().manual_seed(seed)
    positions = 4.0 * torch.rand(sum(counts), 3, generator=generator, dtype=torch.float64)
    vectors = positions - positions[:, None]
    distances = vectors.norm(dim=2)
    centers, neighbors = torch.where((distances < cutoff) & (distances > 0.0))
    species = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    # in any order
    species = species[torch.randperm(len(species), generator=generator)]
    return Atoms(vectors[centers, neighbors], centers, neighbors, species)


def make_model(legacy: bool = True, layers: int = 2, layernorm: bool = True) -> SoapFeatures:
    torch.manual_seed(0)
    model = SoapFeatures(
        cutoff=4.0,
        width=0.5,
        max_radial=3,
        max_angular=3,
        num_species=3,
        num_layers=layers,
        num_neurons=8,
        layernorm=layernorm,
        legacy=legacy,
    )
    return model.double()


def value_and_force(model, atoms: Atoms) -> tuple[torch.Tensor, torch.Tensor]:
    vectors = atoms.vectors.detach().requires_grad_()
    value = model(vectors, *atoms[1:]).square().sum()
    (force,) = torch.autograd.grad(value, vectors, create_graph=True)
    return value, force


def loss_gradients(model, atoms: Atoms) -> list[torch.Tensor]:
    value, force = value_and_force(model, atoms)
    return torch.autograd.grad(value + force.square().sum(), list(model.parameters()))


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("layernorm", [True, False])
@pytest.mark.parametrize("counts", [[3, 4, 2], [0, 5, 0], [2, 0, 1]])
def test_training_and_evaluation_agree(legacy, layernorm, counts):
    model, atoms = make_model(legacy, layernorm=layernorm), make_atoms(counts)
    trained, evaluated = loss_gradients(model.train(), atoms), loss_gradients(model.eval(), atoms)
    torch.testing.assert_close(trained, evaluated, rtol=1e-9, atol=1e-11)
    for training, evaluation in zip(
        value_and_force(model.train(), atoms), value_and_force(model.eval(), atoms)
    ):
        torch.testing.assert_close(training, evaluation)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_script_and_eager_agree(legacy, dtype):
    model = make_model(legacy).to(dtype).eval()
    script = torch.jit.script(model)
    # several sizes, several times: the executor specialises on what it saw first
    for seed, counts in enumerate([[3, 4, 2], [1, 0, 0], [5, 1, 1], [3, 4, 2]] * 2):
        atoms = make_atoms(counts, seed=seed)
        atoms = atoms._replace(vectors=atoms.vectors.to(dtype))
        value, force = value_and_force(model, atoms)
        scripted_value, scripted_force = value_and_force(script, atoms)
        torch.testing.assert_close(scripted_value, value)
        tolerance = FORCES[dtype] * value.item()
        torch.testing.assert_close(scripted_force, force, rtol=FORCES[dtype], atol=tolerance)


@pytest.mark.parametrize("train", [True, False])
def test_gradients_are_those_of_finite_differences(train):
    model, atoms = make_model().train(train), make_atoms([1, 2, 1])
    vectors = atoms.vectors.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: model(v, *atoms[1:]), vectors)


@pytest.mark.parametrize("legacy", [True, False])
def test_second_derivatives_in_evaluation_are_those_of_finite_differences(legacy):
    model, atoms = make_model(legacy).eval(), make_atoms([1, 1, 1])
    vectors = atoms.vectors.requires_grad_()
    assert torch.autograd.gradgradcheck(lambda v: model(v, *atoms[1:]), vectors, atol=1e-4)


@pytest.mark.parametrize("legacy", [True, False])
def test_features_are_invariant_under_rotation_and_inversion(legacy):
    model, atoms = make_model(legacy), make_atoms([3, 4, 2])
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    features = model(*atoms)
    for transformation in (rotation, -rotation):
        rotated = atoms._replace(vectors=atoms.vectors @ transformation)
        torch.testing.assert_close(model(*rotated), features)


def test_single_precision_is_kept():
    model, atoms = make_model(), make_atoms([3, 4, 2])
    exact = model(*atoms)
    single = model.float()(atoms.vectors.float(), *atoms[1:])
    assert (single - exact).abs().max() < 5e-6 * exact.abs().max()


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("train", [True, False])
def test_atom_without_neighbors_has_features_and_no_force(legacy, train):
    model, atoms = make_model(legacy).train(train), make_atoms([0, 1, 0])
    value, force = value_and_force(model, atoms)
    assert torch.isfinite(value)
    assert force.shape == (0, 3)


def test_neighbor_that_crosses_the_cutoff_changes_features_smoothly():
    model = make_model().eval()
    pair = make_atoms([1, 1, 0])
    direction = pair.vectors / pair.vectors.norm(dim=1, keepdim=True)
    inside, outside = (model(direction * r, *pair[1:]) for r in (4.0 - 1e-6, 4.0 + 1e-6))
    torch.testing.assert_close(inside, outside, atol=1e-8, rtol=0.0)


def test_species_of_neighbors_matters():
    model, atoms = make_model(), make_atoms([3, 4, 2])
    other = atoms._replace(species=atoms.species.flip(0))
    assert not torch.allclose(model(*other), model(*atoms))


@pytest.mark.parametrize("legacy", [True, False])
def test_without_layers_the_features_are_the_descriptor(legacy):
    model, atoms = make_model(legacy, layers=0), make_atoms([3, 4, 2])
    features = model(*atoms)
    assert features.shape == (9, model.num_features)
    torch.testing.assert_close(features.mean(dim=1), torch.zeros(9, dtype=torch.float64))


def test_all_parameters_are_used():
    for legacy in (True, False):
        model = make_model(legacy)
        for (name, _), gradient in zip(
            model.named_parameters(), loss_gradients(model, make_atoms([3, 4, 2]))
        ):
            assert gradient.abs().max() > 0.0, name
