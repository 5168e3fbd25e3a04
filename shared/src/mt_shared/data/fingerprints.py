"""Knowing data again: hashes of structures, of data sets, and of any arrays."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mt_shared.data.dataset import Dataset
from mt_shared.data.structures import Structures


def array_fingerprint(arrays: Iterable[ArrayLike]) -> str:
    """A hash of the numbers of arrays, one after the other; run folders and checkpoints keep it.

    Shapes are not part of it, and -0.0 is not 0.0.
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def dataset_fingerprint(datasets: Iterable[Dataset]) -> str:
    """A hash of structures, labels and inputs, to know them again."""

    def arrays() -> Iterator[ArrayLike]:
        for dataset in datasets:
            structures = dataset.structures
            yield from (structures.positions, structures.types, structures.cells, structures.pbc)
            for name, labels in (*sorted(dataset.labels.items()), *sorted(dataset.extra.items())):
                yield np.frombuffer(name.encode(), dtype=np.uint8)
                yield labels.values
                yield from (labels.gradients[part] for part in sorted(labels.gradients))

    return array_fingerprint(arrays())


def structure_fingerprints(structures: Structures) -> NDArray[np.uint64]:
    """(S,) hashes that are equal for exactly equal positions, types, cells and pbc."""
    # Adding 0 turns -0.0, which has other bits, into 0.0. Each array is one row of bytes, of which
    # the structures take slices: an array of numpy for each would take most of the time.
    positions = memoryview((structures.positions + 0.0).tobytes())
    types = memoryview(structures.types.astype(np.int32).tobytes())
    cells = memoryview((structures.cells + 0.0).tobytes())
    pbc = memoryview(structures.pbc.tobytes())
    digests = []
    for system, (start, stop) in enumerate(pairwise(structures.offsets.tolist())):
        # 64 bits: in a million structures, two different ones are taken for equal once in 10^7.
        digest = hashlib.blake2b(positions[24 * start : 24 * stop], digest_size=8)
        digest.update(types[4 * start : 4 * stop])
        digest.update(cells[72 * system : 72 * (system + 1)])
        digest.update(pbc[3 * system : 3 * (system + 1)])
        digests.append(digest.digest())
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def describe_duplicates(splits: Mapping[str, Sequence[Structures]]) -> str:
    """One line that counts structures within and across splits; empty if there are none.

    Within a split they weigh double, across splits they make errors look smaller than they are.
    """
    hashes = {
        name: np.concatenate([structure_fingerprints(part) for part in parts])
        for name, parts in splits.items()
        if parts
    }
    found = []
    for name, values in hashes.items():
        if repeats := len(values) - len(np.unique(values)):
            found.append(f"{_structures(repeats)} repeated within {name}")
    for first, second in combinations(hashes, 2):
        if common := len(np.intersect1d(hashes[first], hashes[second])):
            found.append(f"{_structures(common)} in both {first} and {second}")
    return "; ".join(found)


def _structures(number: int) -> str:
    return "1 structure is" if number == 1 else f"{number} structures are"
