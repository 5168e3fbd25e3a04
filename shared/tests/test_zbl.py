"""The repulsion of nuclei against its published form, and as a smooth function of distance."""

import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.collections import g2
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import conversion, graph_of_edges
from mt_shared.errors import OptionsError
from mt_shared.model.zbl import INNER_FRACTION, ZBL, repulsion_factor, zbl_of

TYPES = [1, 6, 8, 14, 79]
PAIRS = [(1, 1), (1, 8), (6, 8), (14, 14), (6, 79), (79, 79)]
CUTOFF = 5.0
# CODATA 2018 here, CODATA 2022 in metatomic
CONSTANTS = 1e-8
STEP = 1e-4


def published(distances, first, second):
    """Energies in eV at distances in angstrom, as Ziegler, Biersack and Littmark give them."""
    length = 0.8854 * 0.529177210903 / (first**0.23 + second**0.23)
    x = distances / length
    screening = (
        0.18175 * np.exp(-3.19980 * x)
        + 0.50986 * np.exp(-0.94229 * x)
        + 0.28022 * np.exp(-0.40290 * x)
        + 0.02817 * np.exp(-0.20162 * x)
    )
    return 14.3996454784936 * first * second / distances * screening


def atomic_energies(zbl, distances, first, second, dtype=torch.float64):
    """Energies of the two atoms of each of several pairs (N, 2), and the forces on the second."""
    species = torch.tensor([TYPES.index(first), TYPES.index(second)]).repeat(len(distances))
    centers = torch.arange(2 * len(distances))
    neighbors = centers.reshape(-1, 2).flip(1).flatten()
    vectors = torch.zeros((len(distances), 2, 3), dtype=dtype)
    vectors[:, 0, 1] = torch.as_tensor(distances, dtype=dtype)
    vectors[:, 1] = -vectors[:, 0]
    vectors.requires_grad_()
    energies = zbl(graph_of_edges(vectors.flatten(0, 1), species, centers, neighbors))
    (gradient,) = torch.autograd.grad(energies.sum(), vectors)
    force = -(gradient[:, 0] - gradient[:, 1])
    return energies.detach().reshape(-1, 2).numpy(), force[:, 1].numpy()


def pair_energies(zbl, distances, first, second):
    return atomic_energies(zbl, np.asarray(distances), first, second)[0].sum(1)


def radii(first, second):
    outer = covalent_radii[first] + covalent_radii[second]
    return INNER_FRACTION * outer, outer


@pytest.fixture(scope="module")
def zbl():
    return ZBL(TYPES, "A", "eV", CUTOFF)


class TestPublishedForm:
    @pytest.mark.parametrize(("first", "second"), PAIRS)
    def test_energies_below_the_inner_radius(self, zbl, first, second):
        distances = np.geomspace(1e-3, radii(first, second)[0], 12)
        found = pair_energies(zbl, distances, first, second)
        np.testing.assert_allclose(found, published(distances, first, second), rtol=CONSTANTS)

    @pytest.mark.parametrize(("first", "second"), PAIRS)
    def test_forces_are_those_of_the_energies(self, zbl, first, second):
        distances = np.linspace(0.2, 0.99, 9) * radii(first, second)[1]
        _, forces = atomic_energies(zbl, distances, first, second)
        ahead, behind = (
            pair_energies(zbl, distances + step, first, second) for step in (STEP, -STEP)
        )
        np.testing.assert_allclose(forces, (behind - ahead) / (2 * STEP), rtol=1e-4, atol=1e-6)
        assert (forces > 0).all(), "nuclei repel each other"

    def test_each_atom_has_half_of_a_pair(self, zbl):
        energies, _ = atomic_energies(zbl, np.array([0.2, 0.7]), 1, 79)
        np.testing.assert_array_equal(energies[:, 0], energies[:, 1])

    def test_order_of_the_atoms_does_not_matter(self, zbl):
        distances = np.linspace(0.1, 1.5, 10)
        there = pair_energies(zbl, distances, 6, 79)
        np.testing.assert_array_equal(there, pair_energies(zbl, distances, 79, 6))

    def test_pairs_add_up(self, zbl):
        """A hydrogen atom between two others, of which one is out of reach."""
        vectors = torch.tensor([[0.3, 0, 0], [-0.3, 0, 0], [0, 4.0, 0], [0, -4.0, 0]])
        centers, neighbors = torch.tensor([0, 1, 0, 2]), torch.tensor([1, 0, 2, 0])
        species = torch.zeros(3, dtype=torch.int64)
        found = zbl(graph_of_edges(vectors.double(), species, centers, neighbors))
        half = published(0.3, 1, 1) / 2
        # 0.3 angstrom are beyond the inner radius
        switch = float(zbl.switch(torch.tensor([0.3]).double(), torch.tensor([0])))
        np.testing.assert_allclose(found, [half * switch, half * switch, 0], rtol=1e-7)


class TestSwitch:
    @pytest.mark.parametrize(("first", "second"), PAIRS)
    def test_zero_from_the_outer_radius_on(self, zbl, first, second):
        distances = radii(first, second)[1] * np.array([1 + 1e-12, 1.1, 3.0])
        energies, forces = atomic_energies(zbl, distances, first, second)
        assert not energies.any()
        assert not forces.any()

    @pytest.mark.parametrize(("first", "second"), PAIRS)
    @pytest.mark.parametrize("which", ["inner", "outer"])
    def test_no_jump_up_to_the_second_derivative(self, zbl, first, second, which):
        inner, outer = radii(first, second)
        radius = inner if which == "inner" else outer
        strength = float(published(inner, first, second))
        below, above = (derivatives(zbl, radius + step, first, second) for step in (-1e-7, 1e-7))
        jumps = np.abs(below - above) / (strength / outer ** np.arange(3))
        assert (jumps < 1e-3).all(), jumps

    def test_cutoff_shorter_than_the_bond_is_the_outer_radius(self):
        short = ZBL([79], "A", "eV", cutoff=2.0)
        assert float(short.outer) == short.reach == 2.0
        species, centers = torch.tensor([0, 0]), torch.tensor([0, 1])
        vectors = torch.tensor([[2.0, 0, 0], [-2.0, 0, 0]], dtype=torch.float64)
        assert not short(graph_of_edges(vectors, species, centers, centers.flip(0))).any()

    def test_single_bonds_hardly_feel_it(self):
        """The molecules of G2, in the bonds of at least 95 % of the outer radius."""
        types = sorted({number for name in g2.names for number in molecule(name).numbers})
        zbl = ZBL(types, "A", "eV", CUTOFF)
        for name in g2.names:
            atoms = molecule(name)
            i, j, distances = neighbor_list("ijd", atoms, 3.0)
            species = torch.tensor([types.index(number) for number in atoms.numbers])
            pairs = species[i] * len(types) + species[j]
            ratios = distances / zbl.outer[pairs].numpy()
            energies = zbl.pair_energies(torch.from_numpy(distances), pairs).numpy()
            assert (energies[ratios > 0.95] < 1e-4).all(), name
            assert (energies < 0.5).all(), name


def derivatives(zbl, distance, first, second):
    """Energy, first and second derivative by distance, by autograd."""
    pairs = torch.tensor([TYPES.index(first) * len(TYPES) + TYPES.index(second)])
    r = torch.tensor([distance], dtype=torch.float64, requires_grad=True)
    energy = zbl.pair_energies(r, pairs)
    (slope,) = torch.autograd.grad(energy.sum(), r, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), r)
    return torch.cat([energy, slope, curvature]).detach().numpy()


class TestPrecisionAndUnits:
    def test_finite_at_very_small_distances_in_float32(self, zbl):
        distances = np.array([1e-3, 1e-2])
        energies, forces = atomic_energies(zbl, distances, 79, 79, torch.float32)
        np.testing.assert_allclose(energies.sum(1), published(distances, 79, 79), rtol=1e-5)
        assert np.isfinite(forces).all()
        assert (forces > 1e6).all()

    def test_float64_whatever_the_dtype_of_the_model(self):
        narrowed = ZBL(TYPES, "A", "eV", CUTOFF).to(torch.float32)
        assert all(buffer.dtype == torch.float64 for buffer in narrowed.buffers())

    def test_it_follows_the_model_to_another_device(self):
        moved = ZBL(TYPES, "A", "eV", CUTOFF).to("meta")
        assert {buffer.device.type for buffer in moved.buffers()} == {"meta"}

    def test_nothing_of_it_is_in_a_checkpoint(self, zbl):
        assert not zbl.state_dict()

    @pytest.mark.parametrize(("length", "energy"), [("nm", "kcal/mol"), ("bohr", "Hartree")])
    def test_other_units_give_the_same_physics(self, zbl, length, energy):
        factor = conversion("A", length)
        other = ZBL(TYPES, length, energy, CUTOFF * factor)
        distances = np.linspace(0.1, 1.6, 10)
        expected = pair_energies(zbl, distances, 6, 8) * conversion("eV", energy)
        found = pair_energies(other, distances * factor, 6, 8)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)

    def test_factor_of_a_target_in_another_unit(self):
        target = TargetInfo(quantity="energy", unit="kcal/mol")
        assert repulsion_factor("energy", target) == conversion("eV", "kcal/mol")


class TestScripted:
    def test_same_energies_and_gradients(self, zbl):
        generator = torch.Generator().manual_seed(0)
        vectors = torch.randn((40, 3), generator=generator, dtype=torch.float64)
        species = torch.arange(10) % len(TYPES)
        centers, neighbors = torch.arange(40) % 10, (torch.arange(40) * 3) % 10
        found, gradients = [], []
        for module in (zbl, torch.jit.script(zbl)):
            vectors = vectors.detach().requires_grad_()
            energies = module(graph_of_edges(vectors, species, centers, neighbors))
            found.append(energies.detach())
            gradients += torch.autograd.grad(energies.sum(), vectors)
        torch.testing.assert_close(found[0], found[1], rtol=1e-14, atol=0)
        torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=0)
        assert found[0].any()

    def test_no_edge_at_all(self, zbl):
        none = torch.zeros(0, dtype=torch.int64)
        graph = graph_of_edges(torch.zeros((0, 3)), torch.tensor([1]), none, none)
        assert zbl(graph).tolist() == [0.0]


ENERGY = TargetInfo(quantity="energy", unit="eV")


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (DatasetInfo("A", (1, 8), {"mtt::dipole": TargetInfo()}), r"no target is an energy"),
        (DatasetInfo("", (1, 8), {"energy": ENERGY}), r"systems\.length_unit"),
        (DatasetInfo("A", (1, 97), {"energy": ENERGY}), r"atomic types \[97\] have none"),
    ],
)
def test_where_there_can_be_no_repulsion(info, said):
    with pytest.raises(OptionsError, match=said):
        zbl_of(info, CUTOFF)


def test_an_energy_without_a_unit_is_refused():
    with pytest.raises(OptionsError, match=r"targets\.energy\.unit"):
        repulsion_factor("energy", TargetInfo(quantity="energy"))


def test_every_element_with_a_covalent_radius_has_a_repulsion():
    info = DatasetInfo("A", tuple(range(1, 97)), {"energy": ENERGY})
    assert bool((zbl_of(info, 10.0).outer > 0.5).all())
