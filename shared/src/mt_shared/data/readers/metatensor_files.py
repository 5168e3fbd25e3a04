"""Labels in files of metatensor.

Letters of shapes: A atoms, N samples, P sub-targets, S structures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_shared.contract import Cartesian, Spherical, TargetType
from mt_shared.data.readers.selection import Selection
from mt_shared.data.structures import Structures
from mt_shared.errors import DataError


@dataclass(frozen=True)
class Block:
    """Labels in the order of the structures, NaN where the file has none.

    :param found: (S,) whether the file has any label of the structure
    """

    values: NDArray[np.float64]
    found: NDArray[np.bool_]


@dataclass(frozen=True)
class Samples:
    """The samples of a block, sorted by structure: those of some structures are a slice.

    :param order: (N,) rows of the block
    :param systems: (N,) numbers of the structures, ascending
    :param atoms: (N,) numbers of the atoms, None if the samples are structures
    """

    order: NDArray[np.int64]
    systems: NDArray[np.int64]
    atoms: NDArray[np.int64] | None

    def of_systems(self, start: int, stop: int) -> Samples:
        """The samples of the structures ``start:stop``."""
        rows = slice(*np.searchsorted(self.systems, [start, stop]))
        atoms = None if self.atoms is None else self.atoms[rows]
        return Samples(self.order[rows], self.systems[rows], atoms)


class TensorMapFile:
    """A tensor map: samples ``system`` (and ``atom``) count structures and their atoms from 0.

    The file is read whole; its labels are given for one piece of the structures after the other.
    """

    def __init__(self, path: Path) -> None:
        import metatensor

        self.source = path.name
        try:
            self._map = metatensor.load(str(path))
        # The library raises its own errors, and others from zip and numpy.
        except Exception as error:
            raise DataError(
                f"'{path}' cannot be read by metatensor ({str(error).splitlines()[0]}); expected a "
                "TensorMap that metatensor.save wrote"
            ) from error
        self._samples: dict[tuple[int, str], Samples] = {}

    def piece(self, structures: Structures, selection: Selection) -> TensorMapPiece:
        """The labels of structures that are a piece of all, or all."""
        return TensorMapPiece(self, structures, selection.first_frame, selection.whole)

    def check_num_systems(self, num_systems: int) -> None:
        """Refuse labels of structures that are not there, in the blocks that were asked for."""
        for samples in self._samples.values():
            outside = samples.systems[(samples.systems < 0) | (samples.systems >= num_systems)]
            if len(outside):
                raise DataError(
                    f"{self.source} has labels of system {outside[0]}, and there are "
                    f"{num_systems} structures; give both for the same structures"
                )

    def values(
        self, target_type: TargetType, per_atom: bool, num_subtargets: int
    ) -> Iterator[tuple[NDArray[np.float64], Samples]]:
        """Values (N, components, P) and samples of the blocks of a target."""
        for position, components in self._blocks(target_type):
            block = self._map.block(position)
            self._check_samples(block, ["system", "atom"] if per_atom else ["system"])
            self._check_shape(block, (*components, num_subtargets))
            if (position, "") not in self._samples:
                systems = np.asarray(block.samples["system"], dtype=np.int64)
                self._samples[position, ""] = _sorted(block.samples, systems, per_atom)
            yield block.values, self._samples[position, ""]

    def gradient(self, name: str) -> tuple[NDArray[np.float64], Samples] | None:
        """Values (N, 3) or (N, 3, 3) and samples of ``positions`` or ``strain``, if it is there."""
        block = self._map.block(0)
        if name not in block.gradients_list():
            return None
        gradient = block.gradient(name)
        self._check_shape(gradient, (3, 1) if name == "positions" else (3, 3, 1))
        if (0, name) not in self._samples:
            parents = np.asarray(block.samples["system"], dtype=np.int64)
            systems = parents[np.asarray(gradient.samples["sample"], dtype=np.int64)]
            self._samples[0, name] = _sorted(gradient.samples, systems, name == "positions")
        return gradient.values[..., 0], self._samples[0, name]

    def _blocks(self, target_type: TargetType) -> list[tuple[int, tuple[int, ...]]]:
        """Blocks in the order of the target's irreps, with the sizes of their components."""
        if not isinstance(target_type, Spherical):
            if len(self._map) != 1:
                kind = "a Cartesian tensor" if isinstance(target_type, Cartesian) else "a scalar"
                raise DataError(
                    f"{self.source} has {len(self._map)} blocks; {kind} has one; "
                    "check the type of the target"
                )
            return [(0, target_type.components)]
        blocks: list[tuple[int, tuple[int, ...]]] = []
        for o3_lambda, o3_sigma in target_type.irreps:
            selection = {"o3_lambda": o3_lambda, "o3_sigma": o3_sigma}
            positions = self._positions(selection)
            if len(positions) != 1:
                raise DataError(
                    f"{self.source} has {len(positions)} blocks for {selection}, expected one; "
                    f"its keys are {self._map.keys.names}"
                )
            blocks.append((positions[0], (2 * o3_lambda + 1,)))
        return blocks

    def _positions(self, selection: dict[str, int]) -> list[int]:
        keys = self._map.keys
        if not set(selection) <= set(keys.names):
            return []
        matches = [np.asarray(keys[name]) == value for name, value in selection.items()]
        return np.flatnonzero(np.logical_and.reduce(matches)).tolist()

    def _check_samples(self, block: Any, names: list[str]) -> None:
        if list(block.samples.names) != names:
            raise DataError(
                f"{self.source} has the samples {list(block.samples.names)}, expected {names}; "
                "check sample_kind of the target"
            )

    def _check_shape(self, block: Any, shape: tuple[int, ...]) -> None:
        if tuple(block.values.shape[1:]) != shape:
            raise DataError(
                f"{self.source} has components and properties of the sizes "
                f"{tuple(block.values.shape[1:])}, expected {shape}; check type and "
                "num_subtargets of the target"
            )


@dataclass(frozen=True)
class TensorMapPiece:
    """The labels of some structures in a tensor map.

    :param first: number of the first of these structures
    :param whole: whether there are no other structures
    """

    file: TensorMapFile
    structures: Structures
    first: int
    whole: bool

    def values(self, target_type: TargetType, per_atom: bool, num_subtargets: int) -> Block:
        """Labels (N, components, P) of a target."""
        num_rows = self.structures.num_atoms if per_atom else self.structures.num_systems
        found = np.zeros(self.structures.num_systems, dtype=bool)
        parts = []
        for values, samples in self.file.values(target_type, per_atom, num_subtargets):
            part = np.full((num_rows, *values.shape[1:]), np.nan)
            self._fill(Block(part, found), values, samples)
            parts.append(part)
        return Block(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1), found)

    def gradient(self, name: str) -> Block:
        """``positions`` (A, 3) or ``strain`` (S, 3, 3)."""
        num_systems, num_atoms = self.structures.num_systems, self.structures.num_atoms
        shape = (num_atoms, 3) if name == "positions" else (num_systems, 3, 3)
        block = Block(np.full(shape, np.nan), np.zeros(num_systems, dtype=bool))
        labels = self.file.gradient(name)
        if labels is not None:
            self._fill(block, *labels)
        return block

    def _fill(self, block: Block, values: NDArray[np.float64], samples: Samples) -> None:
        if self.whole:
            self.file.check_num_systems(self.structures.num_systems)
        samples = samples.of_systems(self.first, self.first + self.structures.num_systems)
        block.values[self._rows(samples)] = values[samples.order]
        block.found[samples.systems - self.first] = True

    def _rows(self, samples: Samples) -> NDArray[np.int64]:
        """(N,) the structures or atoms, of this piece, that the samples are labels of."""
        systems = samples.systems - self.first
        if samples.atoms is None:
            return systems
        num_atoms = self.structures.atoms_per_system[systems]
        bad = np.flatnonzero((samples.atoms < 0) | (samples.atoms >= num_atoms))
        if len(bad):
            raise DataError(
                f"{self.file.source} has labels of atom {samples.atoms[bad[0]]} of system "
                f"{samples.systems[bad[0]]}, which has {num_atoms[bad[0]]} atoms"
            )
        return self.structures.offsets[systems] + samples.atoms


def _sorted(samples: Any, systems: NDArray[np.int64], per_atom: bool) -> Samples:
    order = np.argsort(systems, kind="stable")
    atoms = np.asarray(samples["atom"], dtype=np.int64)[order] if per_atom else None
    return Samples(order, systems[order], atoms)
