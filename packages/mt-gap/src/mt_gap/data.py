"""What a fit learns: structures with the labels that the model does not explain yet.

Letters of shapes: A atoms, S structures, L gradient labels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch

from mt_shared.contract import TargetInfo
from mt_shared.data import (
    Dataset,
    Structures,
    TargetLabels,
    composition_term,
    concatenate,
    gather_labels,
    species_of,
)
from mt_shared.model import BaseModel


@dataclass(frozen=True)
class Data:
    """Structures, and labels of the one target, in its unit; NaN where a label is missing.

    :param species: (A,) int64
    """

    structures: Structures
    species: np.ndarray
    labels: TargetLabels

    @property
    def gradients(self) -> list[str]:
        """Of ``positions`` and ``strain``, those of which there are labels."""
        found = self.labels.gradients.items()
        return [name for name, array in found if np.isfinite(array).any()]

    def subset(self, systems: np.ndarray) -> Data:
        """The structures of these indices."""
        atoms = self.structures.atom_indices(systems)
        return Data(
            self.structures.subset(systems),
            self.species[atoms],
            self.labels.subset(systems, atoms),
        )

    def flat_gradients(self) -> torch.Tensor:
        """The gradient labels (L,) in the order of :class:`mt_gap.environments.Environments`."""
        num_atoms, num_systems = self.structures.num_atoms, self.structures.num_systems
        missing = {
            "positions": np.full((num_atoms, 3), np.nan),
            "strain": np.full((num_systems, 3, 3), np.nan),
        }
        found = [self.labels.gradients.get(name, array) for name, array in missing.items()]
        return torch.from_numpy(np.concatenate([array.ravel() for array in found]))


def gather(model: BaseModel, name: str, datasets: list[Dataset]) -> Data:
    """The labels as they are."""
    info = model.dataset_info
    structures = concatenate([dataset.structures for dataset in datasets])
    species = species_of(structures, info.atomic_types)
    return Data(structures, species, gather_labels(datasets, name, info.targets[name]))


def less(data: Data, predicted: TargetLabels) -> Data:
    """What is left of the labels beyond predictions of them."""
    gradients = {
        name: array - predicted.gradients[name] if name in predicted.gradients else array
        for name, array in data.labels.gradients.items()
    }
    return replace(data, labels=TargetLabels(data.labels.values - predicted.values, gradients))


def without_composition(data: Data, target: TargetInfo, composition: np.ndarray) -> Data:
    """The labels less what the composition (T, 1) says."""
    term = composition_term(data.structures, data.species, target, composition)
    return less(data, TargetLabels(term))


def fingerprint(data: Data) -> str:
    """A hash that is the same for the same structures with the same labels."""
    structures, labels = data.structures, data.labels
    arrays = [structures.positions, structures.types, structures.periodic_cells, structures.offsets]
    arrays += [labels.values, *(labels.gradients[name] for name in sorted(labels.gradients))]
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
