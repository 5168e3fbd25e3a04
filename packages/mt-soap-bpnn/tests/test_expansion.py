"""The spherical expansion against a sum over the neighbors, one by one."""

import pytest
import torch

from mt_soap_bpnn.modules.expansion import (
    FixedExpansion,
    SphericalExpansion,
    slots_of_edges,
    to_slots,
)

NUM_ATOMS = 5
NUM_CHANNELS = 2


@pytest.fixture
def expansion() -> SphericalExpansion:
    radial = {"cutoff": 4.0, "width": 0.5, "max_radial": 3, "max_angular": 2}
    return SphericalExpansion(NUM_CHANNELS, **radial)


@pytest.fixture
def edges() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vectors, weights and centers; atom 3 has no neighbors, the others not equally many."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.tensor([0, 2, 0, 4, 1, 0, 2, 4, 0])
    vectors = torch.randn(len(centers), 3, generator=generator, dtype=torch.float64)
    weights = torch.randn(len(centers), NUM_CHANNELS, generator=generator, dtype=torch.float64)
    return vectors, weights, centers


def expand(expansion, vectors, weights, centers):
    slots, num_slots = slots_of_edges(centers, NUM_ATOMS)
    return expansion(vectors, slots, to_slots(weights, slots, NUM_ATOMS, num_slots, 0.0))


def one_by_one(expansion, vectors, weights, centers):
    distances = vectors.norm(dim=1)
    radial = expansion.radial(distances).split(expansion.radial_sizes)
    angular = expansion.angular(vectors / distances[:, None]).split(expansion.angular_sizes)
    rows = []
    for atom in range(NUM_ATOMS):
        blocks = [
            sum(
                (
                    torch.einsum("m,w,n->mwn", y[:, e], weights[e], r[:, e]).flatten()
                    for e in torch.where(centers == atom)[0]
                ),
                start=torch.zeros(len(y) * NUM_CHANNELS * len(r), dtype=torch.float64),
            )
            for r, y in zip(radial, angular)
        ]
        rows.append(torch.cat(blocks))
    return torch.stack(rows)


def test_sum_over_neighbors(expansion, edges):
    torch.testing.assert_close(expand(expansion, *edges), one_by_one(expansion, *edges))


def test_order_of_edges_does_not_matter(expansion, edges):
    shuffled = torch.randperm(len(edges[0]), generator=torch.Generator().manual_seed(1))
    again = expand(expansion, *(x[shuffled] for x in edges))
    torch.testing.assert_close(again, expand(expansion, *edges))


def test_without_edges_all_is_zero(expansion, edges):
    coefficients = expand(expansion, *(x[:0] for x in edges))
    assert coefficients.shape == (NUM_ATOMS, len(expand(expansion, *edges)[0]))
    assert (coefficients == 0.0).all()


def test_neighbors_beyond_the_cutoff_do_not_count(expansion, edges):
    vectors, weights, centers = edges
    far = torch.tensor([[4.1, 0.0, 0.0]], dtype=torch.float64)
    more = (torch.cat([vectors, far]), torch.cat([weights, weights[:1]]), centers[[*range(9), 3]])
    torch.testing.assert_close(expand(expansion, *more), expand(expansion, *edges))


def fixed(expansion, edges):
    vectors, weights, centers = edges
    slots, num_slots = slots_of_edges(centers, NUM_ATOMS)
    weights = to_slots(weights, slots, NUM_ATOMS, num_slots, 0.0)
    return FixedExpansion(expansion, vectors, slots, weights)


def test_by_hand_the_coefficients_are_the_same(expansion, edges):
    by_hand = fixed(expansion, edges).coefficients()
    torch.testing.assert_close(by_hand, expand(expansion, *edges))


def test_gradient_by_hand_is_that_of_autograd(expansion, edges):
    vectors, weights, centers = edges
    vectors.requires_grad_()
    coefficients = expand(expansion, vectors, weights, centers)
    g = torch.randn(coefficients.shape, dtype=torch.float64)
    (expected,) = torch.autograd.grad(coefficients, vectors, g)
    torch.testing.assert_close(fixed(expansion, edges).gradient(g), expected)


def test_change_is_the_transpose_of_the_gradient(expansion, edges):
    by_hand = fixed(expansion, edges)
    g = torch.randn(by_hand.coefficients().shape, dtype=torch.float64)
    dv = torch.randn(edges[0].shape, dtype=torch.float64)
    torch.testing.assert_close((by_hand.change(dv) * g).sum(), (by_hand.gradient(g) * dv).sum())
