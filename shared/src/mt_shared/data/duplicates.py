"""Structures that are there more than once: within a split they weigh double, across splits they
make errors look smaller than they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.structures import Structures

# Odd 64-bit constants (from splitmix64 and xxhash): the words of an atom each get their own.
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xC2B2AE3D27D4EB4F],
    dtype=np.uint64,
)


def fingerprints(structures: Structures) -> NDArray[np.uint64]:
    """(S,) hashes that are equal for exactly equal positions, types, cells and pbc."""
    rank = np.arange(structures.num_atoms) - np.repeat(
        structures.offsets[:-1], structures.atoms_per_system
    )
    atoms = _mixed(np.column_stack([_words(structures.positions), structures.types]))
    # The rank makes the sum over atoms depend on their order.
    atoms = _mixed(np.column_stack([atoms, rank]))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(atoms, dtype=np.uint64)])
    systems = np.diff(sums[structures.offsets])
    cells = _words(structures.cells.reshape(-1, 9))
    for part in (cells[:, :3], cells[:, 3:6], cells[:, 6:], structures.pbc):
        systems = _mixed(np.column_stack([systems, part.astype(np.uint64)]))
    return systems


def _words(numbers: NDArray[np.float64]) -> NDArray[np.uint64]:
    # Adding 0 turns -0.0, which has other bits, into 0.0.
    return np.ascontiguousarray(numbers + 0.0).view(np.uint64)


def _mixed(columns: NDArray[Any]) -> NDArray[np.uint64]:
    """One hash a row; integers wrap around, which is what a hash wants."""
    hashes = np.zeros(len(columns), dtype=np.uint64)
    for column, factor in zip(columns.astype(np.uint64).T, _FACTORS, strict=False):
        hashes = (hashes ^ column) * factor
        hashes ^= hashes >> np.uint64(31)
    return hashes


def describe_duplicates(splits: Mapping[str, Sequence[Structures]]) -> str:
    """One line that counts structures within and across splits; empty if there are none."""
    hashes = {
        name: np.concatenate([fingerprints(part) for part in parts])
        for name, parts in splits.items()
        if parts
    }
    return "; ".join([*_within(hashes), *_across(hashes)])


def _within(hashes: Mapping[str, NDArray[np.uint64]]) -> Iterator[str]:
    for name, values in hashes.items():
        repeats = len(values) - len(np.unique(values))
        if repeats:
            yield f"{_count(repeats)} repeated within {name}"


def _across(hashes: Mapping[str, NDArray[np.uint64]]) -> Iterator[str]:
    for first, second in combinations(hashes, 2):
        common = len(np.intersect1d(hashes[first], hashes[second]))
        if common:
            yield f"{_count(common)} in both {first} and {second}"


def _count(number: int) -> str:
    return "1 structure is" if number == 1 else f"{number} structures are"
