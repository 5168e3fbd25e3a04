"""What a fit learns: structures with the labels that the model does not explain yet.

Letters of shapes: A atoms, S structures, T atomic types, G gradient labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from mt_gap.model import Gap
from mt_shared.contract import TargetInfo
from mt_shared.data import (
    Dataset,
    Structures,
    TargetLabels,
    array_fingerprint,
    composition_term,
    concatenate,
    gather_labels,
    species_of,
)
from mt_shared.engine import without_repulsion


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
        """The gradients, ``positions`` and ``strain``, of which there are labels."""
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
        """The gradient labels (G,) in the order of :class:`mt_gap.environments.Derivatives`."""
        # a data set without forces or without stress has no array of them: none of these is known
        missing = {
            "positions": np.full(3 * self.structures.num_atoms, np.nan),
            "strain": np.full(9 * self.structures.num_systems, np.nan),
        }
        found = missing | self.labels.gradients
        return torch.from_numpy(np.concatenate([found[name].ravel() for name in missing]))


def gather(model: Gap, datasets: list[Dataset]) -> Data:
    """Structures and labels, less the repulsion of nuclei where the model has it."""
    info, name = model.dataset_info, model.energy_name
    datasets = without_repulsion(model, datasets)
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
    gradients = [labels.gradients[name] for name in sorted(labels.gradients)]
    of_structures = (structures.positions, structures.types, structures.periodic_cells)
    return array_fingerprint([*of_structures, structures.offsets, labels.values, *gradients])
