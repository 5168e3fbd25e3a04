"""Taking over the numbers of a model of fewer atomic types."""

import pytest
import torch

from mt_shared.errors import DataError
from mt_shared.model import ElementModules, SpeciesLinear
from mt_shared.model.growth import places_of_types, take_over

OLD, NEW = [1, 8], [1, 6, 7, 8]
PLACES = {(2, 4): places_of_types(OLD, NEW)}


def embedding(num_species, num_features=4):
    return torch.nn.Embedding(num_species, num_features)


def linear():
    return torch.nn.Linear(3, 2)


def holding(**parts):
    """A module that has these, under these names."""
    module = torch.nn.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    return module


def test_the_numbers_of_old_types_go_to_their_places():
    old, new = embedding(2), embedding(4)
    fresh = new.weight.detach().clone()
    take_over(new, old, PLACES)
    assert torch.equal(new.weight[[0, 3]], old.weight)
    assert torch.equal(new.weight[[1, 2]], fresh[[1, 2]])


def test_the_layers_of_old_types_go_to_their_places():
    old, new = (SpeciesLinear(3, 2, number, bias=True) for number in (2, 4))
    take_over(new, old, PLACES)
    x = torch.randn(5, 3)
    species = torch.tensor([0, 1, 1, 0, 1])
    expected = old(x, species)
    torch.testing.assert_close(new(x, PLACES[2, 4][species]), expected)


def test_an_axis_that_grew_without_a_reason_is_refused_by_name():
    with pytest.raises(DataError, match=r"'weight', axis 1 grows from 4 to 5"):
        take_over(embedding(3, 5), embedding(2, 4), {(2, 3): torch.tensor([0, 1])})


def test_places_of_another_number_are_refused():
    with pytest.raises(DataError, match=r"'weight', axis 0 has 2 old entries, .* places of 3"):
        take_over(embedding(4), embedding(2), {(2, 4): torch.tensor([0, 1, 2])})


def test_a_tensor_without_a_place_is_refused_by_name():
    with pytest.raises(DataError, match=r"nothing that is called 'b\.weight'"):
        take_over(holding(a=linear()), holding(a=linear(), b=linear()), {})


# ---- modules of each element


def networks(atomic_types):
    torch.manual_seed(len(atomic_types))
    return ElementModules(
        atomic_types,
        lambda number: torch.nn.Sequential(
            torch.nn.Linear(3, 4), torch.nn.SiLU(), torch.nn.Linear(4, 2)
        ),
    )


def test_each_atom_gets_the_module_of_its_element():
    modules = networks(OLD)
    x, species = torch.randn(5, 3), torch.tensor([1, 0, 0, 1, 1])
    expected = [modules[str(OLD[kind])](each) for each, kind in zip(x, species)]
    torch.testing.assert_close(modules(x, species), torch.stack(expected))


def test_an_element_without_atoms_is_no_matter():
    modules = networks(OLD)
    assert modules(torch.randn(2, 3), torch.tensor([1, 1])).shape == (2, 2)
    assert modules(torch.randn(0, 3), torch.zeros(0, dtype=torch.int64)).shape == (0, 2)


def test_modules_of_elements_are_exported():
    modules = networks(OLD)
    x, species = torch.randn(5, 3), torch.tensor([1, 0, 0, 1, 1])
    assert torch.equal(torch.jit.script(modules)(x, species), modules(x, species))


def test_each_element_keeps_its_module():
    old, new = networks(OLD), networks(NEW)
    take_over(holding(networks=new), holding(networks=old), PLACES)
    x, species = torch.randn(5, 3), torch.tensor([1, 0, 0, 1, 1])
    torch.testing.assert_close(new(x, PLACES[2, 4][species]), old(x, species))


LISTS = {
    "ModuleList": lambda number: torch.nn.ModuleList(linear() for _ in range(number)),
    "Sequential": lambda number: torch.nn.Sequential(*(linear() for _ in range(number))),
    "ParameterList": lambda number: torch.nn.ParameterList(torch.zeros(3) for _ in range(number)),
    "ModuleDict": lambda number: torch.nn.ModuleDict({str(i): linear() for i in range(number)}),
    "attributes": lambda number: holding(**{f"of_type_{i}": linear() for i in range(number)}),
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_with_an_entry_for_each_type_is_refused_by_name(kind):
    old, new = (holding(inner=holding(networks=LISTS[kind](number))) for number in (2, 4))
    with pytest.raises(DataError, match=r"'inner\.networks.*' grows from 2 to 4.*ElementModules"):
        take_over(new, old, PLACES)


def test_a_list_of_layers_is_no_matter():
    old, new = (
        holding(layers=torch.nn.ModuleList(embedding(number) for _ in range(3)))
        for number in (2, 4)
    )
    take_over(new, old, PLACES)
    assert torch.equal(new.layers[2].weight[[0, 3]], old.layers[2].weight)
