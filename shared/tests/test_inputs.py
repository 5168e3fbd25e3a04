"""Inputs: what models read of structures and atoms beside positions and types."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from metatomic.torch import ModelOutput

from mt_shared.contract import TargetInfo
from mt_shared.data import (
    Dataset,
    Structures,
    TargetLabels,
    dataset_fingerprint,
    gather_inputs,
    offsets_from_counts,
    requested_inputs,
    strained_systems,
    systems_from,
)
from mt_shared.errors import DataError

CHARGE = {"charge": TargetInfo(unit="e")}
MASS = {"mass": TargetInfo(unit="u", sample_kind="atom")}
COUNTS = (2, 1, 3)


def make_dataset(start=0.0, **extra) -> Dataset:
    """Three structures, with a charge of each and a mass of each atom, if nothing else is said."""
    charges = TargetLabels(start + np.arange(3.0)[:, None], unit="e")
    masses = TargetLabels(start + np.arange(6.0)[:, None], sample_kind="atom", unit="u")
    structures = Structures(
        positions=np.random.default_rng(0).normal(size=(6, 3)),
        types=np.ones(6, dtype=np.int32),
        cells=np.stack([np.eye(3) * 5] * 3),
        pbc=np.ones((3, 3), dtype=bool),
        offsets=offsets_from_counts(COUNTS),
    )
    given = extra or {"charge": charges, "mass": masses}
    return Dataset(structures, {}, np.arange(3), "data.xyz", given)


def test_the_numbers_of_all_data_sets_follow_one_another():
    found = gather_inputs([make_dataset(), make_dataset(10.0).subset([2, 0])], CHARGE | MASS)
    assert found["charge"].tolist() == [[0.0], [1.0], [2.0], [12.0], [10.0]]
    assert found["mass"][6:].flatten().tolist() == [13.0, 14.0, 15.0, 10.0, 11.0]


def test_only_what_the_model_reads_is_gathered():
    assert list(gather_inputs([make_dataset()], CHARGE)) == ["charge"]
    assert gather_inputs([make_dataset()], {}) == {}


def test_a_data_set_without_an_input_is_named():
    lacking = replace(make_dataset(), extra={}, source="other.xyz")
    with pytest.raises(DataError, match=r"other\.xyz lacks 'charge', which .* of each system"):
        gather_inputs([make_dataset(), lacking], CHARGE)


def test_an_input_of_the_other_kind_is_refused():
    of_atoms = make_dataset(charge=TargetLabels(np.ones((6, 1)), sample_kind="atom"))
    with pytest.raises(DataError, match=r"has 'charge' of each atom, which .* of each system"):
        gather_inputs([of_atoms], CHARGE)


def test_other_inputs_are_other_data():
    charged, neutral = make_dataset(), make_dataset(charge=TargetLabels(np.zeros((3, 1))))
    assert dataset_fingerprint([charged]) != dataset_fingerprint([neutral])


def test_systems_have_the_inputs_that_they_are_given():
    dataset = make_dataset()
    systems = systems_from(dataset.structures, dataset.extra, torch.float32)
    assert [len(system) for system in systems] == list(COUNTS)
    for number, system in enumerate(systems):
        charge = system.get_data("charge")
        assert charge.block().values.dtype == system.positions.dtype == torch.float32
        assert charge.block().values.tolist() == [[number]]
        assert charge.get_info("unit") == "e"
    assert systems[2].get_data("mass").block().values.tolist() == [[3.0], [4.0], [5.0]]
    assert systems_from(dataset.structures)[0].known_data() == []


def test_strained_systems_are_differentiated_by_positions_and_strain():
    structures = make_dataset().structures
    systems, positions, strains = strained_systems(
        structures, {}, torch.float64, torch.device("cpu")
    )
    volume = sum(torch.linalg.det(system.cell) for system in systems)
    sums = sum(system.positions.square().sum() for system in systems)
    by_positions, by_strain = torch.autograd.grad(volume + sums, (positions, strains))
    np.testing.assert_allclose(by_positions, 2 * structures.positions)
    # d det(h (1 + strain)) / d strain = det(h) 1, and that of the squares is 2 sum of r r
    first = structures.positions[:2]
    np.testing.assert_allclose(by_strain[0], 125 * np.eye(3) + 2 * first.T @ first)


class Asking(torch.nn.Module):
    def __init__(self, *names):
        super().__init__()
        self.names = names

    def requested_inputs(self):
        return {name: ModelOutput(sample_kind="system") for name in self.names}


def test_what_the_parts_of_a_model_ask_for_is_asked_for():
    model = torch.nn.Sequential(Asking("charge"), torch.nn.Identity(), Asking("charge", "mtt::x"))
    assert sorted(requested_inputs(model)) == ["charge", "mtt::x"]
    assert requested_inputs(torch.nn.Identity()) == {}
