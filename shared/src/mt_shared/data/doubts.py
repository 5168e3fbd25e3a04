"""Labels that cannot be, whatever the structures are: told by name, before they are learnt.

Letters of shapes: N samples, S structures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.dataset import VALUES, Dataset
from mt_shared.data.fingerprints import structure_fingerprints
from mt_shared.options import WORD_OF

# By how much of the spread of a label two labels of one structure differ, if they contradict.
_CONTRADICTION = 1e-3


def label_doubts(datasets: Sequence[Dataset]) -> Iterator[str]:
    """What is odd about the labels of all data sets together, one line each.

    Labels are judged by equality alone: what an energy, or any other target, may be is not known.
    """
    datasets = [data for data in datasets if len(data)]
    if not datasets:
        return
    structures = np.concatenate([structure_fingerprints(data.structures) for data in datasets])
    compositions = np.concatenate([_compositions(data) for data in datasets])
    for name in dict.fromkeys(name for data in datasets for name in data.labels):
        parts = dict.fromkeys(
            part for data in datasets if name in data.labels for part in data.labels[name].parts
        )
        for part in parts:
            label = f"'{name}'" if part == VALUES else f"{WORD_OF[part]} of '{name}'"
            rows = [_rows(data, name, part) for data in datasets]
            known = np.array([row is not None for each in rows for row in each])
            found = [row for each in rows for row in each if row is not None]
            if not found:
                continue
            yield from _constant(label, part, found, structures[known], compositions[known])
            if part == VALUES:
                yield from _contradictions(label, found, structures[known])


def _compositions(data: Dataset) -> NDArray[np.uint64]:
    """(S,) hashes that are equal for structures of the same atoms, whatever their order."""
    types = np.split(data.structures.types, data.structures.offsets[1:-1])
    hashes = [hashlib.blake2b(np.sort(each).tobytes(), digest_size=8).digest() for each in types]
    return np.frombuffer(b"".join(hashes), dtype=np.uint64)


def _rows(data: Dataset, name: str, part: str) -> list[NDArray[np.float64] | None]:
    """The labels of each structure (S,), None where they are missing."""
    if name not in data.labels or part not in data.labels[name].parts:
        return [None] * len(data)
    array = data.labels[name].parts[part]
    if data.labels[name].is_per_atom(part):
        rows = np.split(array, data.structures.offsets[1:-1])
    else:
        rows = list(array)
    return [row if np.isfinite(row).all() else None for row in rows]


def _constant(
    label: str,
    part: str,
    rows: list[NDArray[np.float64]],
    structures: NDArray[np.uint64],
    compositions: NDArray[np.uint64],
) -> Iterator[str]:
    """A label that says nothing of the structures."""
    if len(np.unique(structures)) < 2:
        return
    verb = "are" if part == "positions" else "is"
    what = f"{label} {verb} {{}} although the structures differ: check its key and the file"
    numbers = np.concatenate([row.ravel() for row in rows])
    if (numbers == numbers[0]).all():
        # a single atom in a cell has no forces, by symmetry
        if part != "positions" or numbers[0] != 0 or any(len(row) > 1 for row in rows):
            # derivatives have another sign or unit than what the file has
            is_known = part == VALUES or numbers[0] == 0
            shown = f"{numbers[0] + 0.0:.10g}" if is_known else "one and the same number"
            yield what.format(f"{shown} in all {len(rows)} frames")
        return
    # by composition: how many different labels there are of how many different structures
    labels = [row.tobytes() for row in rows]
    of_label: dict[np.uint64, set[bytes]] = {}
    of_structure: dict[np.uint64, set[np.uint64]] = {}
    for composition, each, structure in zip(compositions, labels, structures, strict=True):
        of_label.setdefault(composition, set()).add(each)
        of_structure.setdefault(composition, set()).add(structure)
    several = [each for each, different in of_structure.items() if len(different) > 1]
    number = sum(len(of_structure[each]) for each in several)
    # a pair among many compositions may be two that mirror each other
    if 2 * number > len(rows) and all(len(of_label[each]) == 1 for each in several):
        frames = "frames" if len(of_structure) == 1 else "frames of the same atoms"
        yield what.format(f"the same in all {frames}")


def _contradictions(
    label: str, rows: list[NDArray[np.float64]], structures: NDArray[np.uint64]
) -> Iterator[str]:
    """One structure with several labels."""
    first: dict[np.uint64, NDArray[np.float64]] = {}
    spread = float(np.std(np.concatenate([row.ravel() for row in rows])))
    differences = [
        float(np.abs(row - first.setdefault(structure, row)).max(initial=0.0))
        for structure, row in zip(structures, rows, strict=True)
    ]
    number = sum(int(difference > _CONTRADICTION * spread) for difference in differences)
    if number:
        yield (
            f"{label} of {number} structures that are there twice differs, by up to "
            f"{max(differences):.3g}: one structure has one label"
        )
