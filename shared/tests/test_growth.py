"""Taking over the numbers of a model of fewer atomic types."""

import pytest
import torch

from mt_shared.errors import DataError
from mt_shared.model.growth import places_of_types, take_over


def embedding(num_species, num_features=4):
    return torch.nn.Embedding(num_species, num_features)


def test_the_numbers_of_old_types_go_to_their_places():
    old, new = embedding(2), embedding(4)
    fresh = new.weight.detach().clone()
    take_over(new, old, {(2, 4): places_of_types([1, 8], [1, 6, 7, 8])})
    assert torch.equal(new.weight[[0, 3]], old.weight)
    assert torch.equal(new.weight[[1, 2]], fresh[[1, 2]])


def test_an_axis_that_grew_without_a_reason_is_refused_by_name():
    with pytest.raises(DataError, match=r"'weight', axis 1 grows from 4 to 5"):
        take_over(embedding(3, 5), embedding(2, 4), {(2, 3): torch.tensor([0, 1])})
