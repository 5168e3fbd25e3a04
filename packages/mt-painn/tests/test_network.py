"""The network against the equations of the paper, one atom and one neighbor at a time."""

import math

import pytest
import torch
from torch.nn.functional import linear, silu

from mt_painn.model import Painn
from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import graph_of_edges
from mt_shared.options import merge_hypers
from mt_shared.registry import installed

CUTOFF = 4.0
HYPERS = {"cutoff": CUTOFF, "num_features": 5, "num_radial": 3, "num_layers": 3}
ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions",))
INFO = DatasetInfo("angstrom", (1, 6, 8), {"energy": ENERGY})


def make_model(**hypers) -> Painn:
    torch.manual_seed(0)
    merged = merge_hypers(installed()["painn"], {"model": HYPERS | hypers})
    return Painn(merged.model, INFO).to(torch.float64).eval()


def make_atoms(num_atoms: int = 7, seed: int = 0):
    """Edge vectors, species, centers, neighbors and systems of atoms at random."""
    generator = torch.Generator().manual_seed(seed)
    positions = 4.0 * torch.rand(num_atoms, 3, generator=generator, dtype=torch.float64)
    vectors = positions - positions[:, None]
    distances = vectors.norm(dim=2)
    centers, neighbors = torch.where((distances < CUTOFF) & (distances > 0.0))
    species = torch.arange(num_atoms) % 3
    return vectors[centers, neighbors], species.sort()[0], centers, neighbors, species * 0


def layers_of(model: Painn, atoms):
    """Scalars (A, F) and vectors (A, 3, F) after each message and each update."""
    vectors, species, centers, neighbors, _ = atoms
    basis, directions = model.basis(vectors)
    s = model.embedding(species)
    v = s.new_zeros(len(s), 3, s.shape[1])
    found = []
    for message, update in zip(model.messages, model.updates):
        s, v = message(s, v, basis, directions, centers, neighbors)
        found.append((s, v))
        s, v = update(s, v)
        found.append((s, v))
    return found


def plain_waves(distance: float, num_radial: int) -> torch.Tensor:
    """The constant and the waves, faded out."""
    x = distance / CUTOFF
    fade = 0.5 * (math.cos(math.pi * x) + 1.0)
    waves = [math.sin(n * math.pi * x) / (x * math.sqrt(n)) for n in range(1, num_radial + 1)]
    return fade * torch.tensor([1.0, *waves], dtype=torch.float64)


def features_of(model: Painn, atoms) -> torch.Tensor:
    """Of edge vectors, species, centers and neighbors."""
    return model.atomic_features(graph_of_edges(*atoms[:4]))


def plain_network(block, x: torch.Tensor) -> torch.Tensor:
    """W2 silu(W1 x + b1) + b2."""
    return linear(silu(linear(x, block[0].weight, block[0].bias)), block[2].weight, block[2].bias)


def plain_message(message, s, v, atoms):
    """Equations 7 and 8 of the paper, with v a list of three vectors (F) for each atom."""
    vectors, _, centers, neighbors, _ = atoms
    new_s, new_v = [x.clone() for x in s], [[x.clone() for x in each] for each in v]
    for vector, i, j in zip(vectors, centers.tolist(), neighbors.tolist()):
        distance = float(vector.norm())
        waves = plain_waves(distance, len(message.filter.weight[0]) - 1)
        gates = plain_network(message.context, s[j]) * (message.filter.weight @ waves)
        size = len(s[j])
        new_s[i] += gates[:size]
        for axis in range(3):
            new_v[i][axis] += gates[size : 2 * size] * vector[axis] / distance
            if len(gates) > 2 * size:
                new_v[i][axis] += gates[2 * size :] * v[j][axis]
    return new_s, new_v


def plain_update(update, s, v):
    """Equations 9 and 10."""
    new_s, new_v = [], []
    for scalars, components in zip(s, v):
        size = len(scalars)
        u = [update.mix.weight[:size] @ x for x in components]
        w = [update.mix.weight[size:] @ x for x in components]
        lengths = torch.sqrt(sum(x**2 for x in w) + 1e-8)
        gates = plain_network(update.gates, torch.cat([scalars, lengths]))
        products = sum(a * b for a, b in zip(u, w))
        new_s.append(scalars + gates[:size] + gates[size : 2 * size] * products)
        has_vectors = len(gates) > 2 * size
        moved = [x + gates[2 * size :] * y for x, y in zip(components, u)] if has_vectors else None
        new_v.append(moved or components)
    return new_s, new_v


def plain_layers(model: Painn, atoms):
    s = list(model.embedding.weight[atoms[1]])
    v = [[torch.zeros_like(each)] * 3 for each in s]
    for message, update in zip(model.messages, model.updates):
        s, v = plain_message(message, s, v, atoms)
        yield s, v
        s, v = plain_update(update, s, v)
        yield s, v


def stacked(v) -> torch.Tensor:
    return torch.stack([torch.stack(components) for components in v])


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_every_message_and_update_is_that_of_the_paper(num_layers):
    model, atoms = make_model(num_layers=num_layers), make_atoms()
    found = layers_of(model, atoms)
    assert len(found) == 2 * num_layers
    for (s, v), (plain_s, plain_v) in zip(found, plain_layers(model, atoms)):
        torch.testing.assert_close(s, torch.stack(plain_s))
        torch.testing.assert_close(v, stacked(plain_v))
    torch.testing.assert_close(features_of(model, atoms), found[-1][0])


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["rotation", "with inversion"])
def test_vectors_turn_with_the_structure_and_scalars_stay(sign):
    model, atoms = make_model(), make_atoms()
    matrix, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    matrix = sign * matrix * torch.linalg.det(matrix)
    turned = (atoms[0] @ matrix.T, *atoms[1:])
    for (s, v), (turned_s, turned_v) in zip(layers_of(model, atoms), layers_of(model, turned)):
        assert v.abs().max() > 1e-3, "vectors of zero say nothing"
        torch.testing.assert_close(turned_s, s)
        torch.testing.assert_close(turned_v, torch.einsum("ij,ajf->aif", matrix, v))


def test_an_atom_is_felt_as_many_cutoffs_away_as_there_are_layers():
    """A chain: its first atom feels the third bond with three layers, not with two."""
    for num_layers, expected in ((2, False), (3, True)):
        model = make_model(num_layers=num_layers)
        lengths = torch.tensor([3.0, 3.0, 3.0], dtype=torch.float64, requires_grad=True)
        ends = torch.tensor([0, 1, 2])
        vectors = torch.stack([lengths, 0 * lengths, 0 * lengths], dim=1)
        edges = (torch.cat([ends, ends + 1]), torch.cat([ends + 1, ends]))
        species = torch.zeros(4, dtype=torch.int64)
        features = features_of(model, (torch.cat([vectors, -vectors]), species, *edges))
        (gradient,) = torch.autograd.grad(features[0].sum(), lengths)
        assert bool(gradient[2] != 0) is expected
        assert model.interaction_range() == num_layers * CUTOFF


def test_message_fades_out_at_the_cutoff_with_its_slope():
    model = make_model()
    vectors = torch.tensor([[CUTOFF, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    values = model.basis(vectors)[0]
    torch.testing.assert_close(values, torch.zeros_like(values))
    (slope,) = torch.autograd.grad(values.sum(), vectors)
    torch.testing.assert_close(slope, torch.zeros_like(slope))


def test_an_atom_alone_has_finite_features():
    model = make_model()
    none = torch.zeros(0, dtype=torch.int64)
    vectors = torch.zeros(0, 3, dtype=torch.float64, requires_grad=True)
    features = features_of(model, (vectors, torch.tensor([1]), none, none))
    assert bool(features.isfinite().all())
    torch.autograd.grad(features.sum(), list(model.updates[0].parameters()))


def test_all_parameters_are_used():
    model, atoms = make_model(), make_atoms()
    features = [module for name, module in model.named_children() if name != "heads"]
    for module in features:
        for name, parameter in module.named_parameters():
            value = features_of(model, atoms).square().sum()
            (gradient,) = torch.autograd.grad(value, parameter)
            assert gradient.abs().max() > 0.0, name


def test_script_and_python_agree_in_forces_and_their_derivatives():
    model = make_model()
    script = torch.jit.script(model)
    for seed, num_atoms in enumerate([7, 1, 4, 7]):
        vectors, *rest = make_atoms(num_atoms, seed)
        vectors.requires_grad_()
        weights = list(model.messages.parameters())
        results = []
        for network in (model, script):
            value = features_of(network, (vectors, *rest)).square().sum()
            (force,) = torch.autograd.grad(value, vectors, create_graph=True)
            loss = value + force.square().sum()
            results.append((value, force, torch.autograd.grad(loss, weights, allow_unused=True)))
        torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("new", [(7,), (3, 17)])
def test_structures_of_old_types_keep_their_features_with_new_types(new):
    model, atoms = make_model(), make_atoms()
    extended = model.restart(DatasetInfo("angstrom", tuple(sorted((1, *new))), {})).eval()
    types = torch.tensor(model.atomic_types)[atoms[1]]
    again = (atoms[0], extended.type_to_species[types], *atoms[2:])
    torch.testing.assert_close(features_of(extended, again), features_of(model, atoms))
