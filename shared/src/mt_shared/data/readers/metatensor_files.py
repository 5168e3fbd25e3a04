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

from mt_shared.contract import Cartesian, Spherical, TargetInfo
from mt_shared.data.dataset import VALUES
from mt_shared.data.readers.columns import Shape
from mt_shared.data.readers.label_requests import LabelBlock, LabelRequest, StructurePiece
from mt_shared.errors import DataError


@dataclass(frozen=True)
class SortedSamples:
    """The samples of a block, sorted by structure: those of some structures are a slice.

    :param order: (N,) rows of the block
    :param systems: (N,) numbers of the structures, ascending
    :param atoms: (N,) numbers of the atoms, None if the samples are structures
    """

    order: NDArray[np.int64]
    systems: NDArray[np.int64]
    atoms: NDArray[np.int64] | None

    def of_systems(self, start: int, stop: int) -> SortedSamples:
        """The samples of the structures ``start:stop``."""
        rows = slice(*np.searchsorted(self.systems, [start, stop]))
        atoms = None if self.atoms is None else self.atoms[rows]
        return SortedSamples(self.order[rows], self.systems[rows], atoms)


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
        self._samples: dict[tuple[int, str], SortedSamples] = {}

    def labels(self, request: LabelRequest, piece: StructurePiece) -> LabelBlock:
        """Values (rows, components, P), or a gradient (rows, 3) or (rows, 3, 3).

        Several blocks (the irreps of a spherical target) are joined along the components.
        """
        structures = piece.structures
        num_rows = structures.num_atoms if request.per_atom else structures.num_systems
        found = np.zeros(structures.num_systems, dtype=bool)
        parts = []
        for values, all_samples in self._blocks(request):
            if piece.is_whole:
                self.check_num_systems(structures.num_systems)
            last = piece.first_frame + structures.num_systems
            samples = all_samples.of_systems(piece.first_frame, last)
            part = np.full((num_rows, *values.shape[1:]), np.nan)
            part[self._rows(samples, piece)] = values[samples.order]
            found[samples.systems - piece.first_frame] = True
            parts.append(part)
        if not parts:
            return LabelBlock(np.full((num_rows, *request.column.shape), np.nan), found)
        return LabelBlock(np.concatenate(parts, axis=1), found)

    def hint(self, key: str, row: int) -> str:
        """Nothing: a tensor map has no keys of structures."""
        return ""

    def check_num_systems(self, num_systems: int) -> None:
        """Refuse labels of structures that are not there, in the blocks that were asked for."""
        for samples in self._samples.values():
            outside = samples.systems[(samples.systems < 0) | (samples.systems >= num_systems)]
            if len(outside):
                raise DataError(
                    f"{self.source} has labels of system {outside[0]}, and there are "
                    f"{num_systems} structures; give both for the same structures"
                )

    def _blocks(self, request: LabelRequest) -> Iterator[tuple[NDArray[np.float64], SortedSamples]]:
        """Numbers and samples of the blocks with the label; none where a gradient is not there."""
        if request.kind == VALUES:
            names = ["system", "atom"] if request.per_atom else ["system"]
            for position, components in self._positions(request.info):
                block = self._map.block(position)
                if list(block.samples.names) != names:
                    raise DataError(
                        f"{self.source} has the samples {list(block.samples.names)}, expected "
                        f"{names}; check sample_kind of the target"
                    )
                self._check_shape(block, (*components, request.info.num_subtargets))
                systems = np.asarray(block.samples["system"], dtype=np.int64)
                yield block.values, self._sorted((position, ""), block, systems, request.per_atom)
            return
        block, part = self._map.block(0), request.part
        if part in block.gradients_list():
            gradient = block.gradient(part)
            self._check_shape(gradient, (*request.column.shape, 1))
            # A gradient's sample names the row of the block that it is the gradient of.
            parents = np.asarray(block.samples["system"], dtype=np.int64)
            systems = parents[np.asarray(gradient.samples["sample"], dtype=np.int64)]
            samples = self._sorted((0, part), gradient, systems, request.per_atom)
            yield gradient.values[..., 0], samples

    def _positions(self, info: TargetInfo) -> list[tuple[int, Shape]]:
        """Blocks in the order of the target's irreps, with the sizes of their components."""
        if not isinstance(info.type, Spherical):
            if len(self._map) != 1:
                kind = "a Cartesian tensor" if isinstance(info.type, Cartesian) else "a scalar"
                raise DataError(
                    f"{self.source} has {len(self._map)} blocks; {kind} has one; "
                    "check the type of the target"
                )
            return [(0, info.type.components)]
        positions: list[tuple[int, Shape]] = []
        keys = self._map.keys
        for o3_lambda, o3_sigma in info.type.irreps:
            irrep = {"o3_lambda": o3_lambda, "o3_sigma": o3_sigma}
            matches = np.zeros(len(keys), dtype=bool)
            if set(irrep) <= set(keys.names):
                matches = np.all([np.asarray(keys[name]) == irrep[name] for name in irrep], axis=0)
            if matches.sum() != 1:
                raise DataError(
                    f"{self.source} has {matches.sum()} blocks for {irrep}, expected one; "
                    f"its keys are {keys.names}"
                )
            positions.append((int(matches.argmax()), (2 * o3_lambda + 1,)))
        return positions

    def _check_shape(self, block: Any, shape: Shape) -> None:
        if tuple(block.values.shape[1:]) != shape:
            raise DataError(
                f"{self.source} has components and properties of the sizes "
                f"{tuple(block.values.shape[1:])}, expected {shape}; check type and "
                "num_subtargets of the target"
            )

    def _sorted(
        self, key: tuple[int, str], block: Any, systems: NDArray[np.int64], per_atom: bool
    ) -> SortedSamples:
        """Sorted at the first piece, and kept for those that follow."""
        if key not in self._samples:
            order = np.argsort(systems, kind="stable")
            atoms = None
            if per_atom:
                atoms = np.asarray(block.samples["atom"], dtype=np.int64)[order]
            self._samples[key] = SortedSamples(order, systems[order], atoms)
        return self._samples[key]

    def _rows(self, samples: SortedSamples, piece: StructurePiece) -> NDArray[np.int64]:
        """(N,) the structures or atoms, of this piece, that the samples are labels of."""
        systems = samples.systems - piece.first_frame
        if samples.atoms is None:
            return systems
        num_atoms = piece.structures.atoms_per_system[systems]
        bad = np.flatnonzero((samples.atoms < 0) | (samples.atoms >= num_atoms))
        if len(bad):
            raise DataError(
                f"{self.source} has labels of atom {samples.atoms[bad[0]]} of system "
                f"{samples.systems[bad[0]]}, which has {num_atoms[bad[0]]} atoms"
            )
        return piece.structures.offsets[systems] + samples.atoms
