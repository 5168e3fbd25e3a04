"""Neighbor lists of many structures, computed once.

Letters of shapes: E edges of all structures together, S structures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from vesin import NeighborList

from mt_shared.data.structures import Structures, frame_error, offsets_from_counts
from mt_shared.options import LENGTH_UNITS

# Atoms closer than this (in the unit of length of the file) lie in one place.
MIN_DISTANCE = 1e-3


def shortest_reach(length_unit: str | None) -> float:
    """A cutoff for whoever looks for atoms in one place and for nothing else: an angstrom.

    A smaller one would take longer, seconds for a wire: space is searched in boxes of its size.

    :param length_unit: of the positions; None or an unknown one counts as angstrom
    """
    return 1.0 / LENGTH_UNITS.get((length_unit or "").lower(), 1.0)


@dataclass(frozen=True)
class EdgeLists:
    """Edges of structure ``s`` are the rows ``offsets[s]:offsets[s + 1]``, sorted by center.

    Each pair is there twice (full list). Centers and neighbors count from the first atom of their
    structure. The vector of an edge is
    ``positions[neighbor] - positions[center] + shift @ cell``.
    """

    centers: NDArray[np.int32]  # (E,)
    neighbors: NDArray[np.int32]  # (E,)
    shifts: NDArray[np.int32]  # (E, 3)
    offsets: NDArray[np.int64]  # (S + 1,)


def neighbor_lists(
    structures: Structures,
    cutoff: float,
    source: str = "these structures",
    frames: NDArray[np.int64] | None = None,
) -> EdgeLists:
    """All pairs of atoms closer than the cutoff (strictly), periodic images included.

    :param source: file to name in an error
    :param frames: (S,) frame numbers to name in an error, None: 0, 1, 2, ...
    :raises DataError: if two atoms of a structure are in one place
    """
    pairs, shifts, distances, counts = _all_pairs(structures, cutoff)
    offsets = offsets_from_counts(counts)
    close = np.flatnonzero(distances < MIN_DISTANCE)
    if len(close):
        system = int(np.searchsorted(offsets, close[0], side="right")) - 1
        frame = system if frames is None else int(frames[system])
        first, second = pairs[close[0]]
        what = f"atoms {first} and {second} are in one place ({distances[close[0]]:.1e} apart)"
        if first == second:
            what = f"atom {first} is in one place with its own periodic image"
        raise frame_error(source, frame, what, "remove one of the two, or mend the cell")

    # vesin's own comparison may include the cutoff itself, where smooth models are zero.
    inside = distances < cutoff
    if not inside.all():
        owners = np.repeat(np.arange(structures.num_systems), counts)[inside]
        counts = np.bincount(owners, minlength=structures.num_systems)
        pairs, shifts, offsets = pairs[inside], shifts[inside], offsets_from_counts(counts)
    centers, neighbors = np.ascontiguousarray(pairs.T)
    return EdgeLists(centers, neighbors, shifts, offsets)


def _all_pairs(
    structures: Structures, cutoff: float
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
    """Pairs (E, 2), shifts (E, 3), distances (E,) and how many each structure has (S,)."""
    # One thread: most structures are small, and starting threads takes longer than their lists.
    finder = NeighborList(cutoff=cutoff, full_list=True, sorted=True, n_threads=1)
    pairs, shifts, distances = [], [], []
    for cell, pbc, start, stop in zip(
        structures.periodic_cells,
        structures.pbc,
        structures.offsets[:-1].tolist(),
        structures.offsets[1:].tolist(),
        strict=True,
    ):
        positions = structures.positions[start:stop]
        system_pairs, shift, distance = finder.compute(positions, cell, pbc, "PSd", copy=False)
        # copy=False gives views of the finder's buffers: each is copied here, once, and smaller.
        pairs.append(system_pairs.astype(np.int32))
        shifts.append(shift.copy())
        distances.append(distance.copy())
    counts = np.array([len(part) for part in pairs], dtype=np.int64)
    # Arrays without rows, so that there is something to join where there are no structures.
    pairs.append(np.zeros((0, 2), dtype=np.int32))
    shifts.append(np.zeros((0, 3), dtype=np.int32))
    distances.append(np.zeros(0))
    return np.concatenate(pairs), np.concatenate(shifts), np.concatenate(distances), counts
