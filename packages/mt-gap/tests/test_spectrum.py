"""The descriptors: those of featomic, and their derivatives."""

import numpy as np
import torch
from featomic.torch import SoapPowerSpectrum

from mt_gap.environments import by_strain, densities, systems_of
from mt_gap.model import Gap
from mt_gap.sparse_points import describe

STEP = 1e-4


def test_inner_products_are_those_of_featomic(info, hypers, structures, frames):
    model = Gap(hypers().model, info)
    systems = systems_of(model, structures(frames(2)))
    for part in model.spectrum.parts():
        part.set_mixing(torch.eye(model.expansion.num_channels, dtype=torch.float64))
    found = model.spectrum(model.expansion(systems))
    spectrum = SoapPowerSpectrum(**model.hypers["soap"])(systems)
    merged = spectrum.keys_to_properties(["neighbor_1_type", "neighbor_2_type"])
    values = merged.keys_to_samples("center_type").block().values
    unit = values / values.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found @ found.T, unit @ unit.T, rtol=0, atol=1e-12)


def test_channels_that_vary_are_kept_without_loss(info, hypers, structures, frames):
    """The inner products in the chosen channels are those in all of them."""
    few = structures(frames(6))
    many_channels = hypers({"soap": {"basis": {"radial": {"max_radial": 7}}}}).model
    chosen, every = (Gap(many_channels, info) for _ in range(2))
    found = describe(chosen, few)
    for part in every.spectrum.parts():
        part.set_mixing(torch.eye(every.expansion.num_channels, dtype=torch.float64))
    coefficients = every.expansion(systems_of(every, few))
    expected = every.spectrum(coefficients)
    assert found.shape[1] < expected.shape[1]
    torch.testing.assert_close(found @ found.T, expected @ expected.T, rtol=0, atol=1e-4)


def moved(structures, atom, axis, step):
    """The structures with one atom elsewhere."""
    positions = structures.positions.copy()
    positions[atom, axis] += step
    return type(structures)(
        positions, structures.types, structures.cells, structures.pbc, structures.offsets
    )


def strained(structures, row, column, step):
    """The structures under a small strain."""
    strain = np.eye(3)
    strain[row, column] += step
    return type(structures)(
        structures.positions @ strain,
        structures.types,
        structures.cells @ strain,
        structures.pbc,
        structures.offsets,
    )


def summed(model, structures, weights):
    """A number for each structure: the sum of its descriptors times weights."""
    systems = systems_of(model, structures)
    atomic = model.spectrum(model.expansion(systems)) @ weights
    sums = torch.zeros(structures.num_systems, dtype=torch.float64)
    return sums.index_add(0, torch.from_numpy(structures.system_of_atom), atomic)


def gradients_of_sums(model, structures, weights):
    """Its gradients (G,), from rows of derivatives."""
    length = 3 * structures.num_atoms + 9 * structures.num_systems
    found = torch.zeros(length, dtype=torch.float64)
    for few in densities(model, structures, ["positions", "strain"]):
        for each in few.derivatives:
            rows = model.spectrum.derivatives(few.coefficients, each.coefficients, each.atoms)
            found.index_add_(0, each.places, rows @ weights)
    return by_strain(structures, found)


def test_derivatives_are_differences(described, structures, frames):
    two = structures(frames(2))
    generator = torch.Generator().manual_seed(1)
    num_features = described.spectrum.num_features()
    weights = torch.randn(num_features, generator=generator, dtype=torch.float64)
    found = gradients_of_sums(described, two, weights)
    start = 3 * two.num_atoms
    cases = [(3 * 2 + 1, moved, (2, 1)), (3 * 10 + 2, moved, (10, 2))]
    cases += [(start + 9 * 1 + 5, strained, (1, 2)), (start + 9 * 1, strained, (0, 0))]
    for place, change, which in cases:
        system = 1 if place >= start or place >= 27 else 0
        after, before = (
            summed(described, change(two, *which, step), weights)[system] for step in (STEP, -STEP)
        )
        difference = (after - before) / (2 * STEP)
        torch.testing.assert_close(found[place], difference, rtol=0, atol=1e-6)


def test_pieces_are_the_whole(described, structures, frames, monkeypatch):
    """However few atoms are worked on at a time, the gradients are the same."""
    two = structures(frames(2))
    weights = torch.ones(described.spectrum.num_features(), dtype=torch.float64)
    whole = gradients_of_sums(described, two, weights)
    monkeypatch.setattr("mt_gap.environments.MAX_NUMBERS", 500)
    torch.testing.assert_close(gradients_of_sums(described, two, weights), whole)
    few = [
        len(piece.centers)
        for part in densities(described, two, ["positions"])
        for piece in part.pieces(10**9)
    ]
    assert few == [1] * two.num_atoms
