"""Layers with weights of their own for each species."""

import pytest
import torch

from mt_shared.model import SpeciesLinear


def one_by_one(layer: SpeciesLinear, x: torch.Tensor, species: list[int]) -> torch.Tensor:
    rows = [layer.weight[t] @ row for t, row in zip(species, x)]
    if layer.bias is not None:
        rows = [row + layer.bias[t] for t, row in zip(species, rows)]
    return torch.stack(rows)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("in_features", [5, 3000], ids=["all at once", "one by one"])
def test_each_atom_has_the_weights_of_its_species(bias, in_features):
    layer = SpeciesLinear(in_features, 4, num_species=3, bias=bias)
    x = torch.randn(6, in_features)
    species = [2, 0, 2, 2, 0, 2]
    expected = one_by_one(layer, x, species)
    torch.testing.assert_close(layer(x, torch.tensor(species)), expected)
    torch.testing.assert_close(torch.jit.script(layer)(x, torch.tensor(species)), expected)


@pytest.mark.parametrize("in_features", [5, 3000], ids=["all at once", "one by one"])
def test_sorted_atoms_by_the_counts_of_their_species(in_features):
    layer = SpeciesLinear(in_features, 4, num_species=3, bias=True)
    x = torch.randn(6, in_features)
    expected = one_by_one(layer, x, [0, 0, 2, 2, 2, 2])
    torch.testing.assert_close(layer.by_counts(x, [2, 0, 4]), expected)


def test_one_species_stands_for_all_atoms():
    layer = SpeciesLinear(5, 4, num_species=1, bias=True)
    x = torch.randn(6, 5)
    species = torch.tensor([0, 2, 1, 0, 2, 2])
    torch.testing.assert_close(layer(x, species), one_by_one(layer, x, [0] * 6))


@pytest.mark.parametrize("in_features", [5, 3000])
def test_no_atoms(in_features):
    layer = SpeciesLinear(in_features, 4, num_species=3, bias=True)
    species = torch.zeros(0, dtype=torch.int64)
    assert layer(torch.zeros(0, in_features), species).shape == (0, 4)


def test_weights_start_as_those_of_a_linear_layer():
    torch.manual_seed(0)
    layer = SpeciesLinear(100, 200, num_species=3, bias=True)
    linear = torch.nn.Linear(100, 200)
    assert layer.weight.std().item() == pytest.approx(linear.weight.std().item(), rel=0.02)
    assert layer.weight.abs().max() <= 0.1
    assert layer.bias.abs().max() <= 0.1
