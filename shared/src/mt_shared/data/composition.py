"""What the composition of a structure says of its labels: species, baselines, scale.

Letters of shapes: A atoms, S structures, T species, P sub-targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mt_shared.contract import TargetInfo
from mt_shared.data.structures import Structures
from mt_shared.errors import DataError


@dataclass(frozen=True)
class Normalization:
    """What is taken off the labels of a target: composition (T, P) and scale, in float64."""

    composition: np.ndarray
    scale: float


def species_of(structures: Structures, atomic_types: tuple[int, ...]) -> np.ndarray:
    """Index of each atom's type in the sorted ``atomic_types``, (A,) int64."""
    types = np.asarray(atomic_types)
    # The place where a type would be put in: it is there only if that place holds it.
    species = np.searchsorted(types, structures.types).clip(max=len(types) - 1)
    unknown = types[species] != structures.types
    if unknown.any():
        atom = int(np.argmax(unknown))
        structure = int(np.searchsorted(structures.offsets, atom, side="right")) - 1
        raise DataError(
            f"structure {structure} holds the atomic type {structures.types[atom]}, which the "
            f"model does not know; it knows {list(atomic_types)}. Name it in "
            "architecture.atomic_types"
        )
    return species.astype(np.int64)


def composition_term(
    structures: Structures, species: np.ndarray, target: TargetInfo, composition: np.ndarray
) -> np.ndarray:
    """What the composition alone predicts: (S, P), or (A, P) for a target of each atom."""
    per_atom = composition[species]
    if target.per_atom:
        return per_atom
    # Right for structures that have atoms, and the readers refuse those that have none.
    return np.add.reduceat(per_atom, structures.offsets[:-1], axis=0)
