"""Data sets as flat tensors, and batches taken out of them without a loop over structures.

Which structures make which batch is a function of seed and epoch alone, so restarts agree.

Letters of shapes: A atoms, E edges, S systems, P sub-targets.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch

from mt_shared.data.graph import Graph, starts_of


@dataclass(frozen=True)
class BatchTarget:
    """Labels of one target in a batch, or in a whole data set; NaN where a structure has none.

    :param values: (S, P), or (A, P) for a target of each atom, in the order of the atoms
    :param gradients: ``positions`` (A, 3) and ``strain`` (S, 3, 3)
    :param complete: whether no label of the whole data set is missing, by gradient; ``""`` names
        the values themselves. What is complete needs no mask.
    """

    per_atom: bool
    values: torch.Tensor
    gradients: dict[str, torch.Tensor]
    complete: dict[str, bool]

    def to(self, device: torch.device) -> BatchTarget:
        """The same labels on another device."""
        gradients = {name: gradient.to(device) for name, gradient in self.gradients.items()}
        return replace(self, values=self.values.to(device), gradients=gradients)

    def subset(self, systems: torch.Tensor, atoms: torch.Tensor) -> BatchTarget:
        """The labels of some structures, whose atoms are given as well."""
        gradients = {
            name: gradient[atoms if name == "positions" else systems]
            for name, gradient in self.gradients.items()
        }
        values = self.values[atoms if self.per_atom else systems]
        return replace(self, values=values, gradients=gradients)


@dataclass(frozen=True)
class Batch:
    """One unit of work: a graph and its labels."""

    graph: Graph
    num_atoms: torch.Tensor  # (S,), in the dtype of the vectors
    volumes: torch.Tensor  # (S,) as in Structures.volumes: NaN where a structure has none
    targets: dict[str, BatchTarget]

    @property
    def num_systems(self) -> int:
        """S."""
        return len(self.num_atoms)


@dataclass(frozen=True)
class GraphStore:
    """A data set on one device, neighbor lists and baselines already worked in.

    Atoms are in the order of the files, and edges hold numbers of atoms within their structure;
    ``atom_offsets`` and ``edge_offsets`` (S + 1) say where each structure begins. What a model does
    not read (see :class:`mt_shared.data.graph.Graph`) is empty here too.

    :param reverse: (E,) numbers of edges within their structure
    :param inputs: by name, (S, ..., P) or (A, ..., P)
    :param inputs_per_atom: whether the rows of an input are atoms
    """

    species: torch.Tensor
    positions: torch.Tensor
    cells: torch.Tensor
    pbc: torch.Tensor
    volumes: torch.Tensor
    atom_offsets: torch.Tensor
    edges: torch.Tensor
    vectors: torch.Tensor
    shifts: torch.Tensor
    reverse: torch.Tensor
    edge_offsets: torch.Tensor
    inputs: dict[str, torch.Tensor]
    inputs_per_atom: dict[str, bool]
    targets: dict[str, BatchTarget]

    def __len__(self) -> int:
        return len(self.atom_offsets) - 1

    @cached_property
    def num_atoms(self) -> torch.Tensor:
        """Atoms of each structure, (S,) int64."""
        return self.atom_offsets.diff()

    @cached_property
    def all_have_volumes(self) -> bool:
        """Asked for once: within the steps of a training, a GPU would have to be waited for."""
        return bool(self.volumes.isfinite().all())

    @cached_property
    def has_labels(self) -> bool:
        """Whether there is a label of any target for any structure."""
        return any(
            bool(label.isfinite().any())
            for target in self.targets.values()
            for label in (target.values, *target.gradients.values())
        )

    def to(self, device: torch.device) -> GraphStore:
        """The same store with its tensors on another device."""
        moved = {
            field.name: getattr(self, field.name).to(device)
            for field in fields(self)
            if isinstance(getattr(self, field.name), torch.Tensor)
        }
        targets = {name: target.to(device) for name, target in self.targets.items()}
        inputs = {name: values.to(device) for name, values in self.inputs.items()}
        return replace(self, **moved, inputs=inputs, targets=targets)

    def batch(self, indices: torch.Tensor) -> Batch:
        """The structures of these indices (S,) as one flat batch."""
        num_atoms = self.num_atoms[indices]
        atoms, system = _ranges(self.atom_offsets[indices], num_atoms)
        num_edges = self.edge_offsets[indices + 1] - self.edge_offsets[indices]
        edge_index, edge_system = _ranges(self.edge_offsets[indices], num_edges)
        # from numbers within a structure to numbers within the batch
        edges = self.edges[edge_index] + starts_of(num_atoms)[edge_system].unsqueeze(1)
        reverse, shifts = self.reverse, self.shifts
        if len(reverse) > 0:
            reverse = reverse[edge_index] + starts_of(num_edges)[edge_system]
        positions, cells, pbc = self.positions, self.cells, self.pbc
        if len(positions) > 0:
            positions, shifts = positions[atoms], shifts[edge_index]
            cells, pbc = cells[indices], pbc[indices]
        graph = Graph(
            vectors=self.vectors[edge_index],
            species=self.species[atoms],
            # Columns of a matrix: contiguous, since layers gather by them many times.
            centers=edges[:, 0].contiguous(),
            neighbors=edges[:, 1].contiguous(),
            system=system,
            num_atoms=num_atoms,
            inputs={
                name: values[atoms if self.inputs_per_atom[name] else indices]
                for name, values in self.inputs.items()
            },
            reverse=reverse,
            positions=positions,
            cells=cells,
            pbc=pbc,
            shifts=shifts,
        )
        return Batch(
            graph=graph,
            num_atoms=num_atoms.to(self.vectors.dtype),
            volumes=self.volumes[indices],
            targets={name: target.subset(indices, atoms) for name, target in self.targets.items()},
        )


def _ranges(starts: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All numbers of ranges given by start and length, and for each the range it is of."""
    owner = torch.repeat_interleave(lengths)
    within = torch.arange(len(owner), device=owner.device) - starts_of(lengths)[owner]
    return starts[owner] + within, owner


def epoch_batches(
    num_atoms: torch.Tensor, batch_size: int, max_atoms: int | None, seed: int, epoch: int
) -> list[torch.Tensor]:
    """The shuffled batches of an epoch, as indices of structures.

    :param num_atoms: atoms of each structure, (S,)
    :param max_atoms: with it, as many structures a batch as stay below this number of atoms
    """
    # The factor is larger than any number of epochs: seeds 1 and 2 share no order of an epoch. The
    # generator takes no more than 63 bits.
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    order = torch.randperm(len(num_atoms), generator=generator)
    return cut_batches(order, num_atoms, batch_size, max_atoms)


def cut_batches(
    order: torch.Tensor, num_atoms: torch.Tensor, batch_size: int, max_atoms: int | None
) -> list[torch.Tensor]:
    """The structures in this order, cut into batches; none is dropped."""
    if max_atoms is None:
        return list(order.split(batch_size))
    # Greedy in the given order. A structure larger than max_atoms is a batch of its own.
    sizes, size, atoms = [], 0, 0
    for number in num_atoms[order].tolist():
        if size and atoms + number > max_atoms:
            sizes.append(size)
            size, atoms = 0, 0
        size, atoms = size + 1, atoms + number
    return list(order.split([*sizes, size]))


def largest_batch(num_atoms: torch.Tensor, batch_size: int, max_atoms: int | None) -> int:
    """Atoms that a batch of these structures may hold, cut as :func:`cut_batches` cuts.

    :param num_atoms: atoms of each structure, (S,)
    """
    if max_atoms is not None:
        return max_atoms
    return int(num_atoms.sort(descending=True).values[:batch_size].sum())
