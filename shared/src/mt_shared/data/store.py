"""From data sets to a store: everything that does not change between epochs, done once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from mt_shared.contract import DatasetInfo
from mt_shared.data.batches import BatchTarget, GraphStore
from mt_shared.data.composition import Normalization, composition_term, species_of
from mt_shared.data.dataset import Dataset, gather_labels
from mt_shared.data.neighbors import EdgeLists, neighbor_lists
from mt_shared.data.structures import Structures, concatenate, offsets_from_counts


def build_store(
    datasets: list[Dataset],
    dataset_info: DatasetInfo,
    cutoff: float,
    normalization: Mapping[str, Normalization],
    dtype: torch.dtype,
) -> GraphStore:
    """The structures and the labels of all data sets, with their neighbor lists.

    :param normalization: by target; labels become ``(label - composition) / scale``
    :raises DataError: for an atomic type that ``dataset_info`` does not have
    """
    structures = concatenate([dataset.structures for dataset in datasets])
    species = species_of(structures, dataset_info.atomic_types)
    # One list after the other, so that an error names the file of its structure.
    lists = [neighbor_lists(d.structures, cutoff, d.source, d.frames) for d in datasets]
    edge_offsets = offsets_from_counts(np.concatenate([np.diff(part.offsets) for part in lists]))
    edges = np.concatenate([np.stack([part.centers, part.neighbors], axis=1) for part in lists])
    edges = edges.astype(np.int64)

    targets = {}
    for name, target in dataset_info.targets.items():
        labels, known = gather_labels(datasets, name, target), normalization[name]
        offset = composition_term(structures, species, target, known.composition)
        # Removed in float64, and rounded only then: a total energy in float32 has lost the digits
        # in which structures differ.
        arrays = {"": (labels.values - offset) / known.scale}
        arrays |= {part: array / known.scale for part, array in labels.gradients.items()}
        complete = {part: bool(np.isfinite(array).all()) for part, array in arrays.items()}
        tensors = {part: torch.tensor(array, dtype=dtype) for part, array in arrays.items()}
        targets[name] = BatchTarget(target.per_atom, tensors.pop(""), tensors, complete)
    return GraphStore(
        num_species=len(dataset_info.atomic_types),
        positions=torch.tensor(structures.positions, dtype=dtype),
        species=torch.from_numpy(species),
        cells=torch.tensor(structures.periodic_cells, dtype=dtype),
        volumes=torch.tensor(structures.volumes, dtype=dtype),
        atom_offsets=torch.from_numpy(structures.offsets),
        edges=torch.from_numpy(edges),
        vectors=torch.tensor(_edge_vectors(structures, edges, edge_offsets, lists), dtype=dtype),
        edge_offsets=torch.from_numpy(edge_offsets),
        targets=targets,
    )


def _edge_vectors(
    structures: Structures, edges: np.ndarray, edge_offsets: np.ndarray, lists: list[EdgeLists]
) -> np.ndarray:
    """(E, 3) in float64: far from the origin, float32 would lose the digits of a distance."""
    system = np.repeat(np.arange(structures.num_systems), np.diff(edge_offsets))
    atoms = edges + structures.offsets[system][:, None]
    vectors = structures.positions[atoms[:, 1]] - structures.positions[atoms[:, 0]]
    shifts = np.concatenate([part.shifts for part in lists])
    return vectors + np.einsum("ea,eab->eb", shifts, structures.periodic_cells[system])
