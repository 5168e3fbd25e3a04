"""Do labels of structures grow with the number of atoms, as the options say?"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mt_shared.data import Dataset, concatenate, gather_labels, target_info
from mt_shared.options import TargetSpec

MIN_STRUCTURES = 10
"""With fewer, nothing is said."""

MIN_RATIO = 1.3
"""Of the largest to the smallest structure: with less between them, sums and means look alike."""

CLEARLY = 4.0
"""How many times more of the labels the other of the two has to explain."""


def growth_notes(targets: Mapping[str, TargetSpec], training: Sequence[Dataset]) -> Iterator[str]:
    """Targets that the composition explains far better as means over atoms than as sums, although
    they are to be sums; or the reverse."""
    structures = concatenate([data.structures for data in training])
    sizes = structures.atoms_per_system[:, None]
    one_hot = structures.types[:, None] == np.unique(structures.types)
    counts = np.add.reduceat(one_hot.astype(np.float64), structures.offsets[:-1], axis=0)
    for name, spec in targets.items():
        target = target_info(spec)
        if target.per_atom or not target.is_scalar:
            continue
        values = gather_labels(training, name, target).values
        known = np.isfinite(values).all(axis=1)
        few = known.sum() < MIN_STRUCTURES
        if few or sizes[known].max() < MIN_RATIO * sizes[known].min():
            continue
        as_sum, as_mean = (
            _unexplained(each[known], values[known]) for each in (counts, counts / sizes)
        )
        if target.extensive and CLEARLY * as_mean < as_sum:
            todo = (
                "an energy is a sum over atoms: give that of the whole structure, not by atom"
                if target.is_energy
                else "a band gap, for instance, is none: write extensive: false"
            )
            yield (
                f"the labels of '{name}' do not grow with the number of atoms, and are to be sums "
                f"over atoms; {todo}"
            )
        elif not target.extensive and CLEARLY * as_sum < as_mean:
            yield (
                f"the labels of '{name}' grow with the number of atoms, and are to be means over "
                "atoms; leave extensive: false out where they are sums"
            )


def _unexplained(inputs: np.ndarray, values: np.ndarray) -> float:
    """The sum of squares that a linear function of the composition leaves."""
    left = values - inputs @ np.linalg.lstsq(inputs, values)[0]
    return float((left**2).sum())
