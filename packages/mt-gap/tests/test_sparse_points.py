"""The choice of sparse points, directions and channels."""

import pytest
import torch

from mt_gap.sparse_points import farthest_points, mixings, shares, tangents


def test_each_point_is_the_farthest_from_those_before(unit_vectors):
    features = unit_vectors(40)
    chosen = farthest_points(features, 12).tolist()
    assert len(set(chosen)) == 12
    for number in range(1, 12):
        distances = torch.cdist(features, features[chosen[:number]]).amin(1)
        assert chosen[number] == int(distances.argmax())


def test_copies_are_not_chosen(unit_vectors):
    features = unit_vectors(5).repeat(4, 1)
    chosen = farthest_points(features, 20)
    assert sorted(chosen % 5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("available", "number", "expected"),
    [
        ([100, 100], 10, [5, 5]),
        ([2, 100, 100], 20, [2, 9, 9]),
        ([3, 4], 100, [3, 4]),
        ([0, 50], 10, [0, 10]),
        ([50, 50, 50], 1, [1, 1, 1]),
    ],
)
def test_elements_share_alike(available, number, expected):
    assert shares(available, number) == expected


def test_tangents_are_the_largest_changes(unit_vectors):
    axes = torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.0], dtype=torch.float64))
    turned = torch.linalg.qr(unit_vectors(4, size=4))[0] @ axes
    found = tangents(turned, 2)
    assert torch.linalg.matrix_rank(found) == 2
    # all that is found lies along the first two axes
    torch.testing.assert_close(found[:, 2:], torch.zeros(2, 2, dtype=torch.float64))


def test_a_descriptor_that_cannot_change_has_no_tangents(unit_vectors):
    assert len(tangents(torch.zeros(3, 5, dtype=torch.float64), 4)) == 0
    assert len(tangents(unit_vectors(1, size=5), 4)) == 1


def test_negligible_channels_are_left_out(unit_vectors):
    large = unit_vectors(30, size=4).reshape(10, 3, 4)
    small = large * torch.tensor([1.0, 1.0, 1e-5, 0.0])
    first, second = mixings([large, small])
    assert first.shape == (4, 4)
    assert second.shape == (4, 2)
    torch.testing.assert_close(
        second[2:].abs().max(), torch.tensor(0.0).double(), atol=1e-4, rtol=0
    )
