"""Neighbor lists of many structures."""

import time

import ase.neighborlist
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from mt_shared.data import Structures, neighbor_lists, offsets_from_counts, shortest_reach
from mt_shared.errors import DataError

CUTOFF = 4.5


def from_ase(images):
    return Structures(
        positions=np.concatenate([atoms.positions for atoms in images]),
        types=np.concatenate([atoms.numbers for atoms in images]).astype(np.int32),
        cells=np.stack([atoms.cell.array for atoms in images]),
        pbc=np.stack([atoms.pbc for atoms in images]),
        offsets=offsets_from_counts([len(atoms) for atoms in images]),
    )


def make_images():
    rng = np.random.default_rng(0)
    solid = bulk("Si", cubic=True)
    skewed = bulk("Cu") * (2, 1, 1)
    slab = bulk("Cu", cubic=True)
    slab.pbc = (True, True, False)
    wire = Atoms("HF", [[0, 0, 0], [0, 0, 1.2]], cell=[0, 0, 2.5], pbc=(False, False, True))
    images = [solid, Atoms("He"), skewed, molecule("CH3CH2OH"), slab, wire]
    for atoms in images:
        atoms.rattle(0.05, rng=rng)
    return images


def edges_of(lists, system):
    rows = slice(*lists.offsets[system : system + 2])
    columns = (lists.centers[rows], lists.neighbors[rows], lists.shifts[rows])
    return sorted(map(tuple, np.column_stack(columns).tolist()))


@pytest.mark.parametrize("cutoff", [2.5, CUTOFF])
def test_edges_are_those_of_ase(cutoff):
    """Crystals, a slab, a wire, a molecule and a single atom together."""
    images = make_images()
    lists = neighbor_lists(from_ase(images), cutoff)
    for i, atoms in enumerate(images):
        expected = np.column_stack(ase.neighborlist.neighbor_list("ijS", atoms, cutoff))
        assert edges_of(lists, i) == sorted(map(tuple, expected.tolist())), atoms
    assert len(lists.centers) == lists.offsets[-1]


def test_vectors_are_shorter_than_the_cutoff():
    structures = from_ase(make_images())
    lists = neighbor_lists(structures, CUTOFF)
    system = np.repeat(np.arange(structures.num_systems), np.diff(lists.offsets))
    start = structures.offsets[system]
    vectors = (
        structures.positions[start + lists.neighbors]
        - structures.positions[start + lists.centers]
        + np.einsum("ei,eij->ej", lists.shifts, structures.cells[system])
    )
    assert (np.linalg.norm(vectors, axis=1) < CUTOFF).all()


def test_edges_are_sorted_by_center():
    lists = neighbor_lists(from_ase([bulk("Si", cubic=True)]), CUTOFF)
    assert (np.diff(lists.centers) >= 0).all()


def test_a_pair_at_the_cutoff_is_no_edge():
    structures = from_ase([Atoms("H2", [[0, 0, 0], [0, 0, 2.0]])])
    assert len(neighbor_lists(structures, 2.0).centers) == 0
    assert len(neighbor_lists(structures, 2.0 + 1e-9).centers) == 2


def test_nothing_but_single_atoms():
    lists = neighbor_lists(from_ase([Atoms("H"), Atoms("O")]), CUTOFF)
    assert lists.offsets.tolist() == [0, 0, 0]
    assert lists.shifts.shape == (0, 3)


def test_no_structures():
    empty = from_ase([Atoms("H")]).subset([])
    assert neighbor_lists(empty, CUTOFF).offsets.tolist() == [0]


def test_two_atoms_in_one_place():
    images = [Atoms("H"), Atoms("H3", [[0, 0, 0], [0, 0, 1], [0, 0, 1.0001]])]
    with pytest.raises(DataError, match=r"a.xyz, frame 7 .*atoms 1 and 2 are in one place"):
        neighbor_lists(from_ase(images), CUTOFF, "a.xyz", np.array([3, 7]))


def test_an_atom_on_the_periodic_image_of_another():
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 3.0]], cell=[3, 3, 3], pbc=True)
    with pytest.raises(DataError, match=r"frame 0 .*atoms 0 and 1 are in one place"):
        neighbor_lists(from_ase([atoms]), CUTOFF)


@pytest.mark.parametrize("unit", [None, "angstrom", "bohr", "nm"])
def test_who_looks_for_atoms_in_one_place_takes_no_longer_than_a_model(unit):
    # space is searched in boxes of the cutoff: with one of 0.01 A, this takes 30,000 times as long
    slab = bulk("Cu", cubic=True) * (3, 1, 1)
    slab.pbc = (True, False, False)
    slab.rattle(0.1, seed=0)
    one = from_ase([slab])
    in_angstrom = {None: 1.0, "angstrom": 1.0, "bohr": 0.52918, "nm": 10.0}[unit]
    scaled = Structures(
        one.positions / in_angstrom, one.types, one.cells / in_angstrom, one.pbc, one.offsets
    )

    def seconds(cutoff):
        start = time.perf_counter()
        neighbor_lists(scaled, cutoff)
        return time.perf_counter() - start

    seconds(CUTOFF / in_angstrom)
    usual = max(seconds(CUTOFF / in_angstrom) for _ in range(3))
    assert min(seconds(shortest_reach(unit)) for _ in range(3)) < 100 * usual
