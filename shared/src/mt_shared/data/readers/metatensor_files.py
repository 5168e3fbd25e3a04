"""Files of metatensor (labels) and of metatomic (one structure).

Letters of shapes: A atoms, N samples, P sub-targets, S structures.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_shared.contract.info import Cartesian, Spherical, TargetType
from mt_shared.data.structures import Structures
from mt_shared.errors import DataError


def read_system(path: Path) -> Structures:
    """The structure in a file that ``metatomic.torch.save`` wrote."""
    arrays = {}
    with _open_archive(path) as archive:
        if "positions.npy" not in archive.namelist():
            raise DataError(
                f"'{path}' holds no structure; expected a file of metatomic.torch.save (one "
                "structure); labels in .mts go with structures in another file, such as "
                "extended xyz"
            )
        for name in ("positions", "types", "cell", "pbc"):
            arrays[name] = np.load(BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
    return Structures(
        positions=arrays["positions"].astype(np.float64),
        types=arrays["types"].astype(np.int32),
        cells=arrays["cell"].astype(np.float64)[None],
        pbc=arrays["pbc"].astype(bool)[None],
        offsets=np.array([0, len(arrays["types"])], dtype=np.int64),
    )


def _open_archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"'{path}' is no file of metatensor, or it is cut off") from error


@dataclass(frozen=True)
class Block:
    """Labels in the order of the structures, NaN where the file has none.

    :param found: (S,) whether the file has any label of the structure
    """

    values: NDArray[np.float64]
    found: NDArray[np.bool_]


class TensorMapFile:
    """A tensor map: samples ``system`` (and ``atom``) count structures and their atoms from 0."""

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

    def values(
        self, target_type: TargetType, per_atom: bool, num_subtargets: int, structures: Structures
    ) -> Block:
        """Labels (N, components, P) of a target."""
        num_rows = structures.num_atoms if per_atom else structures.num_systems
        parts, found = [], np.zeros(structures.num_systems, dtype=bool)
        for block, components in self._blocks(target_type):
            self._check_samples(block, ["system", "atom"] if per_atom else ["system"])
            self._check_shape(block, (*components, num_subtargets))
            part = np.full((num_rows, *components, num_subtargets), np.nan)
            systems = np.asarray(block.samples["system"], dtype=np.int64)
            part[self._rows(block.samples, systems, per_atom, structures)] = block.values
            found[systems] = True
            parts.append(part)
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return Block(joined, found)

    def gradient(self, name: str, structures: Structures) -> Block:
        """``positions`` (A, 3) or ``strain`` (S, 3, 3)."""
        block = self._map.block(0)
        if name not in block.gradients_list():
            return _no_gradient(name, structures)
        gradient = block.gradient(name)
        self._check_shape(gradient, (3, 1) if name == "positions" else (3, 3, 1))
        parents = np.asarray(block.samples["system"], dtype=np.int64)
        systems = parents[np.asarray(gradient.samples["sample"], dtype=np.int64)]
        result = _no_gradient(name, structures)
        rows = self._rows(gradient.samples, systems, name == "positions", structures)
        result.values[rows] = gradient.values[..., 0]
        result.found[systems] = True
        return result

    def _blocks(self, target_type: TargetType) -> list[tuple[Any, tuple[int, ...]]]:
        """Blocks in the order of the target's irreps, with the sizes of their components."""
        if not isinstance(target_type, Spherical):
            if len(self._map) != 1:
                kind = "a Cartesian tensor" if isinstance(target_type, Cartesian) else "a scalar"
                raise DataError(
                    f"{self.source} has {len(self._map)} blocks; {kind} has one; "
                    "check the type of the target"
                )
            return [(self._map.block(0), target_type.components)]
        blocks: list[tuple[Any, tuple[int, ...]]] = []
        for o3_lambda, o3_sigma in target_type.irreps:
            selection = {"o3_lambda": o3_lambda, "o3_sigma": o3_sigma}
            positions = self._positions(selection)
            if len(positions) != 1:
                raise DataError(
                    f"{self.source} has {len(positions)} blocks for {selection}, expected one; "
                    f"its keys are {self._map.keys.names}"
                )
            blocks.append((self._map.block(positions[0]), (2 * o3_lambda + 1,)))
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

    def _rows(
        self, samples: Any, systems: NDArray[np.int64], per_atom: bool, structures: Structures
    ) -> NDArray[np.int64]:
        outside = systems[(systems < 0) | (systems >= structures.num_systems)]
        if len(outside):
            raise DataError(
                f"{self.source} has labels of system {outside[0]}, and there are "
                f"{structures.num_systems} structures; give both for the same structures"
            )
        if not per_atom:
            return systems
        atoms = np.asarray(samples["atom"], dtype=np.int64)
        bad = np.flatnonzero((atoms < 0) | (atoms >= structures.atoms_per_system[systems]))
        if len(bad):
            system = systems[bad[0]]
            raise DataError(
                f"{self.source} has labels of atom {atoms[bad[0]]} of system {system}, which has "
                f"{structures.atoms_per_system[system]} atoms"
            )
        return structures.offsets[systems] + atoms


def _no_gradient(name: str, structures: Structures) -> Block:
    shape = (structures.num_atoms, 3) if name == "positions" else (structures.num_systems, 3, 3)
    return Block(np.full(shape, np.nan), np.zeros(structures.num_systems, dtype=bool))
