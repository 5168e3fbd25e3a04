"""Data sets as flat tensors, and batches cut out of them without a loop over structures.

Letters of shapes: A atoms, E edges, S systems, P sub-targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data.dataset import Dataset, TargetLabels
from mt_shared.data.graph import Graph, sort_by_species
from mt_shared.data.neighbors import EdgeLists, neighbor_lists
from mt_shared.data.structures import Structures, concatenate, offsets_from_counts
from mt_shared.errors import DataError


@dataclass(frozen=True)
class BatchTarget:
    """Labels of one target in a batch; NaN where a structure has none.

    :param values: (S, P), or (A, P) for a target of each atom, in the graph's order
    :param gradients: ``positions`` (A, 3) and ``strain`` (S, 3, 3)
    :param complete: whether no label of the whole data set is missing, by gradient; ``""`` names
        the values themselves. What is complete needs no mask.
    """

    per_atom: bool
    values: torch.Tensor
    gradients: dict[str, torch.Tensor]
    complete: dict[str, bool]


@dataclass(frozen=True)
class Batch:
    """One unit of work: a graph, its edge vectors, and its labels.

    :param vectors: (E, 3)
    :param num_atoms: (S,), in the dtype of the vectors
    :param volumes: (S,), zero where a structure has no cell
    """

    graph: Graph
    vectors: torch.Tensor
    num_atoms: torch.Tensor
    volumes: torch.Tensor
    targets: dict[str, BatchTarget]

    @property
    def num_systems(self) -> int:
        """S."""
        return len(self.num_atoms)


@dataclass(frozen=True)
class StoredTarget:
    """Labels of one target for a whole data set, atoms in the order of the files."""

    per_atom: bool
    values: torch.Tensor
    gradients: dict[str, torch.Tensor]
    complete: dict[str, bool]


@dataclass(frozen=True)
class GraphStore:
    """A data set on one device, neighbor lists and baselines already worked in.

    Edges hold numbers of atoms within their structure; ``atom_offsets`` and ``edge_offsets``
    (S + 1) say where each structure begins.
    """

    num_species: int
    positions: torch.Tensor
    species: torch.Tensor
    cells: torch.Tensor
    atom_offsets: torch.Tensor
    edges: torch.Tensor
    vectors: torch.Tensor
    edge_offsets: torch.Tensor
    targets: dict[str, StoredTarget]

    def __len__(self) -> int:
        return len(self.atom_offsets) - 1

    @cached_property
    def num_atoms(self) -> torch.Tensor:
        """Atoms of each structure, (S,) int64."""
        return self.atom_offsets.diff()

    @cached_property
    def volumes(self) -> torch.Tensor:
        """Volume of each cell, (S,)."""
        return torch.linalg.det(self.cells.to(torch.float64)).abs().to(self.cells.dtype)

    def to(self, device: torch.device) -> GraphStore:
        """The same store with its tensors on another device."""
        moved = {
            field.name: getattr(self, field.name).to(device)
            for field in fields(self)
            if isinstance(getattr(self, field.name), torch.Tensor)
        }
        targets = {name: _target_to(target, device) for name, target in self.targets.items()}
        return replace(self, **moved, targets=targets)

    def batch(self, indices: torch.Tensor) -> Batch:
        """The structures of these indices (S,) as one flat batch."""
        num_atoms = self.num_atoms[indices]
        atoms, system = _ranges(self.atom_offsets[indices], num_atoms)
        order, slot, counts = sort_by_species(self.species[atoms], self.num_species)
        starts = torch.cumsum(num_atoms, 0) - num_atoms
        edges_per_system = self.edge_offsets[indices + 1] - self.edge_offsets[indices]
        edge_index, edge_system = _ranges(self.edge_offsets[indices], edges_per_system)
        edges = slot[self.edges[edge_index] + starts[edge_system].unsqueeze(1)]
        atoms = atoms[order]
        graph = Graph(
            positions=self.positions[atoms],
            cells=self.cells[indices],
            species=self.species[atoms],
            system=system[order],
            centers=edges[:, 0].contiguous(),
            neighbors=edges[:, 1].contiguous(),
            counts=counts,
        )
        return Batch(
            graph=graph,
            vectors=self.vectors[edge_index],
            num_atoms=num_atoms.to(self.vectors.dtype),
            volumes=self.volumes[indices],
            targets={name: _cut(target, indices, atoms) for name, target in self.targets.items()},
        )


def _target_to(target: StoredTarget, device: torch.device) -> StoredTarget:
    gradients = {name: gradient.to(device) for name, gradient in target.gradients.items()}
    return replace(target, values=target.values.to(device), gradients=gradients)


def _ranges(starts: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All numbers of ranges given by start and length, and for each the range it is of."""
    owner = torch.repeat_interleave(lengths)
    first = torch.cumsum(lengths, 0) - lengths
    within = torch.arange(len(owner), device=owner.device) - first[owner]
    return starts[owner] + within, owner


def _cut(target: StoredTarget, indices: torch.Tensor, atoms: torch.Tensor) -> BatchTarget:
    gradients = {
        name: gradient[atoms if name == "positions" else indices]
        for name, gradient in target.gradients.items()
    }
    values = target.values[atoms if target.per_atom else indices]
    return BatchTarget(target.per_atom, values, gradients, target.complete)


@dataclass(frozen=True)
class Normalization:
    """What is taken off the labels of a target: composition (T, P) and scale, in float64."""

    composition: np.ndarray
    scale: float


def build_store(
    datasets: list[Dataset],
    dataset_info: DatasetInfo,
    cutoff: float,
    normalization: Mapping[str, Normalization],
    dtype: torch.dtype,
) -> GraphStore:
    """Everything that does not change between epochs, done once.

    :param normalization: by target; labels become ``(label - composition) / scale``
    :raises DataError: for an atomic type that ``dataset_info`` does not have
    """
    structures = concatenate([dataset.structures for dataset in datasets])
    species = species_of(structures, dataset_info.atomic_types)
    lists = _all_neighbors(datasets, cutoff)
    edges = np.stack([lists.centers, lists.neighbors], axis=1).astype(np.int64)
    targets = {
        name: _store_target(
            gather_labels(datasets, name, target), target, structures, species,
            normalization[name], dtype,
        )
        for name, target in dataset_info.targets.items()
    }  # fmt: skip
    return GraphStore(
        num_species=len(dataset_info.atomic_types),
        positions=torch.tensor(structures.positions, dtype=dtype),
        species=torch.from_numpy(species),
        cells=torch.tensor(structures.periodic_cells, dtype=dtype),
        atom_offsets=torch.from_numpy(structures.offsets),
        edges=torch.from_numpy(edges),
        vectors=torch.tensor(_edge_vectors(structures, edges, lists), dtype=dtype),
        edge_offsets=torch.from_numpy(lists.offsets),
        targets=targets,
    )


def _all_neighbors(datasets: list[Dataset], cutoff: float) -> EdgeLists:
    """The neighbor lists of each data set, so that an error names its file, one after the other."""
    lists = [neighbor_lists(d.structures, cutoff, d.source, d.frames) for d in datasets]
    return EdgeLists(
        centers=np.concatenate([part.centers for part in lists]),
        neighbors=np.concatenate([part.neighbors for part in lists]),
        shifts=np.concatenate([part.shifts for part in lists]),
        offsets=offsets_from_counts(np.concatenate([np.diff(part.offsets) for part in lists])),
    )


def species_of(structures: Structures, atomic_types: tuple[int, ...]) -> np.ndarray:
    """Index of each atom's type in the sorted ``atomic_types``, (A,) int64."""
    types = np.asarray(atomic_types)
    species = np.searchsorted(types, structures.types).clip(max=len(types) - 1)
    unknown = types[species] != structures.types
    if unknown.any():
        atom = int(np.argmax(unknown))
        frame = int(np.searchsorted(structures.offsets, atom, side="right")) - 1
        raise DataError(
            f"structure {frame} holds the atomic type {structures.types[atom]}, which the model "
            f"does not know; it knows {list(atomic_types)}. Name it in architecture.atomic_types"
        )
    return species.astype(np.int64)


def _edge_vectors(structures: Structures, edges: np.ndarray, lists: EdgeLists) -> np.ndarray:
    """(E, 3) in float64: far from the origin, float32 would lose the digits of a distance."""
    num_edges = np.diff(lists.offsets)
    owner = np.repeat(np.arange(structures.num_systems), num_edges)
    atoms = edges + structures.offsets[owner][:, None]
    vectors = structures.positions[atoms[:, 1]] - structures.positions[atoms[:, 0]]
    return vectors + np.einsum("ea,eab->eb", lists.shifts, structures.periodic_cells[owner])


def gather_labels(datasets: list[Dataset], name: str, target: TargetInfo) -> TargetLabels:
    """The labels of a target in all data sets, NaN where a data set has none."""
    shape = (*target.type.components, target.num_subtargets)
    values: list[np.ndarray] = []
    gradients: dict[str, list[np.ndarray]] = {gradient: [] for gradient in target.gradients}
    for dataset in datasets:
        structures = dataset.structures
        labels = dataset.labels.get(name)
        rows = structures.num_atoms if target.per_atom else structures.num_systems
        values.append(np.full((rows, *shape), np.nan) if labels is None else labels.values)
        for gradient, parts in gradients.items():
            found = None if labels is None else labels.gradients.get(gradient)
            missing = (structures.num_atoms, 3) if gradient == "positions" else (len(dataset), 3, 3)
            parts.append(np.full(missing, np.nan) if found is None else found)
    return TargetLabels(
        values=np.concatenate(values),
        gradients={gradient: np.concatenate(parts) for gradient, parts in gradients.items()},
    )


def _store_target(
    labels: TargetLabels,
    target: TargetInfo,
    structures: Structures,
    species: np.ndarray,
    normalization: Normalization,
    dtype: torch.dtype,
) -> StoredTarget:
    offset = composition_term(structures, species, target, normalization.composition)
    values = (labels.values - offset) / normalization.scale
    arrays = {"": values} | {n: g / normalization.scale for n, g in labels.gradients.items()}
    tensors = {name: torch.tensor(array, dtype=dtype) for name, array in arrays.items()}
    return StoredTarget(
        per_atom=target.per_atom,
        values=tensors.pop(""),
        gradients=tensors,
        complete={name: bool(np.isfinite(array).all()) for name, array in arrays.items()},
    )


def composition_term(
    structures: Structures, species: np.ndarray, target: TargetInfo, composition: np.ndarray
) -> np.ndarray:
    """What the composition alone predicts: (S, P), or (A, P) for a target of each atom."""
    per_atom = composition[species]
    if target.per_atom:
        return per_atom
    return np.add.reduceat(per_atom, structures.offsets[:-1], axis=0)
