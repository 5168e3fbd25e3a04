"""From data sets to a store: everything that does not change between epochs, done once.

What the composition of a structure says of its labels is taken off them here.

Letters of shapes: A atoms, E edges, S structures, T species, P sub-targets.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data.batches import BatchTarget, GraphStore
from mt_shared.data.dataset import VALUES, Dataset, TargetLabels, gather_inputs, gather_labels
from mt_shared.data.graph import opposite_edges
from mt_shared.data.neighbors import neighbor_lists
from mt_shared.data.structures import Structures, concatenate, offsets_from_counts
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
        raise DataError(
            f"structure {structures.system_of_atom[atom]} holds the atomic type "
            f"{structures.types[atom]}, which the model does not know; it knows "
            f"{list(atomic_types)}. Name it in architecture.atomic_types"
        )
    return species.astype(np.int64)


def composition_term(
    structures: Structures, species: np.ndarray, target: TargetInfo, composition: np.ndarray
) -> np.ndarray:
    """What the composition alone predicts: (S, P), or (A, P) for a target of each atom."""
    return of_samples(composition[species], structures, target)


def of_samples(per_atom: np.ndarray, structures: Structures, target: TargetInfo) -> np.ndarray:
    """What the atoms (A, ...) contribute to a target: sums or means (S, ...), or themselves."""
    if target.per_atom:
        return per_atom
    # Right for structures that have atoms, and the readers refuse those that have none.
    sums = np.add.reduceat(per_atom, structures.offsets[:-1], axis=0)
    if target.is_mean:
        sums = sums / structures.atoms_per_system.reshape(-1, *[1] * (sums.ndim - 1))
    return sums


def build_store(
    datasets: list[Dataset],
    dataset_info: DatasetInfo,
    cutoff: float,
    normalization: Mapping[str, Normalization],
    dtype: torch.dtype,
    reads_positions: bool = False,
    reads_reverse: bool = False,
) -> GraphStore:
    """The structures and the labels of all data sets, with their neighbor lists.

    :param normalization: by target; labels become ``(label - composition) / scale``
    :param reads_positions: whether the model reads what this declares in
        :class:`mt_shared.data.graph.Graph`; so ``reads_reverse``
    :raises DataError: for an atomic type that ``dataset_info`` does not have, or an input that is
        missing
    """
    structures = concatenate([dataset.structures for dataset in datasets])
    species = species_of(structures, dataset_info.atomic_types)
    # One list after the other, so that an error names the file of its structure.
    lists = [neighbor_lists(d.structures, cutoff, d.source, d.frames) for d in datasets]
    edge_offsets = offsets_from_counts(np.concatenate([np.diff(part.offsets) for part in lists]))
    edges = np.concatenate([np.stack([part.centers, part.neighbors], axis=1) for part in lists])
    edges = edges.astype(np.int64)
    shifts = np.concatenate([part.shifts for part in lists])
    # of the structure of each edge
    system = np.repeat(np.arange(structures.num_systems), np.diff(edge_offsets))
    ends = edges + structures.offsets[system][:, None]

    targets = {}
    for name, target in dataset_info.targets.items():
        labels, known = gather_labels(datasets, name, target), normalization[name]
        offset = composition_term(structures, species, target, known.composition)
        targets[name] = _normalized(labels, offset, known.scale, dtype)
    inputs = gather_inputs(datasets, dataset_info.inputs)

    reverse = torch.zeros(0, dtype=torch.int64)
    if reads_reverse:
        centers, neighbors = torch.from_numpy(ends).T.contiguous()
        numbers = opposite_edges(centers, neighbors, torch.from_numpy(shifts).long())
        reverse = numbers - torch.from_numpy(edge_offsets[system])
    # what is not read is empty
    if_read = slice(None) if reads_positions else slice(0)
    return GraphStore(
        species=torch.from_numpy(species),
        positions=torch.tensor(structures.positions[if_read], dtype=dtype),
        cells=torch.tensor(structures.periodic_cells[if_read], dtype=dtype),
        pbc=torch.tensor(structures.pbc[if_read]),
        volumes=torch.tensor(structures.volumes, dtype=dtype),
        atom_offsets=torch.from_numpy(structures.offsets),
        edges=torch.from_numpy(edges),
        vectors=torch.tensor(_edge_vectors(structures, ends, shifts, system), dtype=dtype),
        shifts=torch.tensor(shifts[if_read], dtype=torch.int64),
        reverse=reverse,
        edge_offsets=torch.from_numpy(edge_offsets),
        inputs={name: torch.tensor(values, dtype=dtype) for name, values in inputs.items()},
        inputs_per_atom={name: info.per_atom for name, info in dataset_info.inputs.items()},
        targets=targets,
    )


def _normalized(
    labels: TargetLabels, offset: np.ndarray, scale: float, dtype: torch.dtype
) -> BatchTarget:
    """The labels as the network learns them.

    The offset is taken off in float64, and they are rounded only then: a total energy in float32
    has lost the digits in which structures differ.
    """
    arrays = {"": (labels.values - offset) / scale}
    arrays |= {part: array / scale for part, array in labels.gradients.items()}
    complete = {part: bool(np.isfinite(array).all()) for part, array in arrays.items()}
    tensors = {part: torch.tensor(array, dtype=dtype) for part, array in arrays.items()}
    return BatchTarget(labels.is_per_atom(VALUES), tensors.pop(""), tensors, complete)


def _edge_vectors(
    structures: Structures, ends: np.ndarray, shifts: np.ndarray, system: np.ndarray
) -> np.ndarray:
    """(E, 3) in float64: far from the origin, float32 would lose the digits of a distance."""
    vectors = structures.positions[ends[:, 1]] - structures.positions[ends[:, 0]]
    return vectors + np.einsum("ea,eab->eb", shifts, structures.periodic_cells[system])
