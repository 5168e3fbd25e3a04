"""The repulsion of nuclei is taken off the labels, once: the network learns the rest.

Letters of shapes: A atoms, S structures.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mt_shared.contract import DatasetInfo
from mt_shared.data import Dataset, TargetLabels, build_store, cut_batches
from mt_shared.model import (
    ZBL,
    TrainableModel,
    differentiable,
    energy_gradients,
    sum_over_atoms,
)

# In heavy elements an atom has a dozen neighbors at the distance of a bond: some 100 MB.
MAX_ATOMS = 50_000


def without_repulsion(model: TrainableModel[Any], datasets: list[Dataset]) -> list[Dataset]:
    """The data sets with what is left for the model to learn, where it has a repulsion.

    Values and gradients of every energy change; a label that is missing stays NaN. All that looks
    at labels comes after this: fits of baselines, training and validation.
    """
    if model.repulsion is None:
        return datasets
    # a copy on the CPU, in float64 as always: labels are numpy's
    zbl = copy.deepcopy(model.repulsion).cpu()
    info = replace(model.dataset_info, targets={}, inputs={})
    rest = []
    for dataset in datasets:
        # little memory at a time
        num_atoms = torch.from_numpy(dataset.structures.atoms_per_system)
        batches = cut_batches(torch.arange(len(dataset)), num_atoms, len(dataset), MAX_ATOMS)
        parts = [_repulsion_of(zbl, dataset.subset(batch.numpy()), info) for batch in batches]
        repulsion = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        labels = dict(dataset.labels)
        for name in model.repelled.keys() & labels.keys():
            labels[name] = _less(labels[name], repulsion, model.repelled[name])
        rest.append(replace(dataset, labels=labels))
    return rest


def _repulsion_of(zbl: ZBL, dataset: Dataset, info: DatasetInfo) -> dict[str, np.ndarray]:
    """In the units of ``zbl``, atoms as in the file: energies of each ``atom`` (A, 1) and each
    ``system`` (S, 1), and their gradients ``positions`` (A, 3) and ``strain`` (S, 3, 3).
    """
    # neighbors within the longest bond are few: the model's own lists would take much more memory
    store = build_store([dataset], info, zbl.reach, {}, torch.float64)
    graph = differentiable(store.batch(torch.arange(len(store))).graph)
    atoms = zbl(graph).unsqueeze(1)
    gradients = energy_gradients(atoms, graph, ("positions", "strain"), create_graph=False)
    atoms = atoms.detach()
    return {
        "atom": atoms.numpy(),
        "system": sum_over_atoms(atoms, graph).numpy(),
        **{name: gradient.numpy() for name, gradient in gradients.items()},
    }


def _less(labels: TargetLabels, repulsion: dict[str, np.ndarray], factor: float) -> TargetLabels:
    """Labels of one energy without the repulsion, by its factor into the unit of the energy."""
    gradients = {
        name: gradient - factor * repulsion[name] for name, gradient in labels.gradients.items()
    }
    values = labels.values - factor * repulsion[labels.sample_kind]
    return replace(labels, values=values, gradients=gradients)
