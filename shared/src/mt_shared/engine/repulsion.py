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
    # a copy on the CPU, in float64 as always: labels are numpy's
    zbl = copy.deepcopy(model.repulsion).cpu()
    rest = []
    for dataset in datasets:
        repulsion = repulsion_of(zbl, dataset, model.dataset_info)
        labels = dict(dataset.labels)
        for name in model.repelled.keys() & labels.keys():
            labels[name] = _less(labels[name], repulsion, model.repelled[name])
        rest.append(replace(dataset, labels=labels))
    return rest


def repulsion_of(zbl: ZBL, dataset: Dataset, dataset_info: DatasetInfo) -> Repulsion:
    """Energies and their gradients of all structures, with little memory at a time."""
    info = replace(dataset_info, targets={})
    num_atoms = torch.from_numpy(dataset.structures.atoms_per_system)
    batches = cut_batches(torch.arange(len(dataset)), num_atoms, len(dataset), MAX_ATOMS)
    parts = [_repulsion_of(zbl, dataset.subset(batch.numpy()), info) for batch in batches]
    return Repulsion(
        atoms=np.concatenate([part.atoms for part in parts]),
        systems=np.concatenate([part.systems for part in parts]),
        gradients={
            name: np.concatenate([part.gradients[name] for part in parts])
            for name in ("positions", "strain")
        },
    )


def _repulsion_of(zbl: ZBL, dataset: Dataset, info: DatasetInfo) -> Repulsion:
    # neighbors within the longest bond are few: the model's own lists would take much more memory
    store = build_store([dataset], info, zbl.reach, {}, torch.float64)
    batch = store.batch(torch.arange(len(store)))
    graph, vectors = batch.graph, batch.vectors.requires_grad_()
    atoms = zbl(vectors, graph.species, graph.centers, graph.neighbors)
    on_edges = edge_gradient(atoms, vectors, create_graph=False)
    atoms, vectors = atoms.detach(), vectors.detach()
    # The batch has its atoms sorted by species, labels have them as in the file: slot is where
    # each atom of the file went.
    _, slot, _ = sort_by_species(store.species, store.num_species)
    return Repulsion(
        atoms=atoms[slot].numpy(),
        systems=atoms.new_zeros(len(store)).index_add(0, graph.system, atoms).numpy(),
        gradients={
            "positions": position_gradient(on_edges, batch)[slot].numpy(),
            "strain": strain_gradient(on_edges, vectors, batch).numpy(),
        },
    )


def _less(labels: TargetLabels, repulsion: Repulsion, factor: float) -> TargetLabels:
    """Labels of one energy without the repulsion.

    :param factor: from the unit of the repulsion to that of the energy
    """
    energies = repulsion.atoms if labels.sample_kind == "atom" else repulsion.systems
    gradients = {
        name: gradient - factor * repulsion.gradients[name]
        for name, gradient in labels.gradients.items()
    }
    return replace(labels, values=labels.values - factor * energies[:, None], gradients=gradients)
