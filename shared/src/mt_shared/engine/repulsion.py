"""The repulsion of nuclei is taken off the labels, once: the network learns the rest.

Letters of shapes: A atoms, S structures.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch

from mt_shared.contract import DatasetInfo
from mt_shared.data import Dataset, TargetLabels, build_store, cut_batches, sort_by_species
from mt_shared.model import ZBL, BaseModel, edge_gradient, position_gradient, strain_gradient

# In heavy elements an atom has a dozen neighbors at the distance of a bond: some 100 MB.
MAX_ATOMS = 50_000


@dataclass(frozen=True)
class Repulsion:
    """Of a data set, in the units of :class:`~mt_shared.model.zbl.ZBL`, atoms as in the file.

    :param atoms: energy of each atom, (A,)
    :param systems: energy of each structure, (S,)
    :param gradients: ``positions`` (A, 3) and ``strain`` (S, 3, 3)
    """

    atoms: np.ndarray
    systems: np.ndarray
    gradients: dict[str, np.ndarray]


def without_repulsion(model: BaseModel, datasets: list[Dataset]) -> list[Dataset]:
    """The data sets with what is left for the model to learn, where it has a repulsion.

    Values and gradients of every energy change; a label that is missing stays NaN. All that looks
    at labels comes after this: fits of baselines, training and validation.
    """
    if not isinstance(model.repulsion, ZBL):
        return datasets
    zbl = copy.deepcopy(model.repulsion).cpu()
    return [
        _with_labels_less(dataset, repulsion_of(zbl, dataset, model.dataset_info), model.repelled)
        for dataset in datasets
    ]


def repulsion_of(zbl: ZBL, dataset: Dataset, dataset_info: DatasetInfo) -> Repulsion:
    """Energies and their gradients of all structures, with little memory at a time."""
    info = replace(dataset_info, targets={})
    num_atoms = torch.from_numpy(dataset.structures.atoms_per_system)
    batches = cut_batches(torch.arange(len(dataset)), num_atoms, len(dataset), MAX_ATOMS)
    parts = [_repulsion_of(zbl, dataset.subset(batch.numpy()), info) for batch in batches]
    gradients = {
        name: np.concatenate([part.gradients[name] for part in parts])
        for name in ("positions", "strain")
    }
    return Repulsion(
        atoms=np.concatenate([part.atoms for part in parts]),
        systems=np.concatenate([part.systems for part in parts]),
        gradients=gradients,
    )


def _repulsion_of(zbl: ZBL, dataset: Dataset, info: DatasetInfo) -> Repulsion:
    store = build_store([dataset], info, zbl.reach, {}, torch.float64)
    batch = store.batch(torch.arange(len(store)))
    graph, vectors = batch.graph, batch.vectors.requires_grad_()
    atoms = zbl(vectors, graph.species, graph.centers, graph.neighbors)
    on_edges = edge_gradient(atoms, vectors, create_graph=False)
    atoms, vectors = atoms.detach(), vectors.detach()
    # the batch has its atoms sorted by species
    _, slot, _ = sort_by_species(store.species, store.num_species)
    return Repulsion(
        atoms=atoms[slot].numpy(),
        systems=atoms.new_zeros(len(store)).index_add(0, graph.system, atoms).numpy(),
        gradients={
            "positions": position_gradient(on_edges, batch)[slot].numpy(),
            "strain": strain_gradient(on_edges, vectors, batch).numpy(),
        },
    )


def _with_labels_less(dataset: Dataset, repulsion: Repulsion, factors: dict[str, float]) -> Dataset:
    labels = {
        name: _less(target, repulsion, factors[name]) if name in factors else target
        for name, target in dataset.labels.items()
    }
    return replace(dataset, labels=labels)


def _less(labels: TargetLabels, repulsion: Repulsion, factor: float) -> TargetLabels:
    energies = repulsion.atoms if labels.sample_kind == "atom" else repulsion.systems
    gradients = {
        name: gradient - factor * repulsion.gradients[name]
        for name, gradient in labels.gradients.items()
    }
    return replace(labels, values=labels.values - factor * energies[:, None], gradients=gradients)
