"""Labels in files of metatensor, and structures in files of metatomic, one a file.

Letters of shapes: A atoms, N samples, P sub-targets, S structures.
"""

import zipfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_shared.contract import Cartesian, Spherical, TargetInfo
from mt_shared.data.dataset import VALUES
from mt_shared.data.readers.label_requests import LabelBlock, LabelRequest, Shape, StructurePiece
from mt_shared.data.structures import Structures
from mt_shared.errors import DataError


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
        self._samples: dict[tuple[int, str], NDArray[np.int64]] = {}

    def labels(self, request: LabelRequest, piece: StructurePiece) -> LabelBlock:
        """Values (rows, components, P), or a gradient (rows, 3) or (rows, 3, 3).

        Several blocks (the irreps of a spherical target) are joined along the components.
        """
        if request.spec.unit and request.kind != VALUES:
            raise DataError(
                f"{self.source} has derivatives of '{request.target.name}', in its unit: leave out "
                f"'unit' of its {request.kind}"
            )
        structures, first = piece.structures, piece.first_frame
        num_rows = structures.num_atoms if request.per_atom else structures.num_systems
        found = np.zeros(structures.num_systems, dtype=bool)
        parts = []
        for values, samples in self._blocks(request):
            if piece.is_whole:
                self.check_num_systems(structures.num_systems)
            start, stop = np.searchsorted(samples[:, 1], [first, first + structures.num_systems])
            order, systems, atoms = samples[start:stop].T
            rows = systems - first
            found[rows] = True
            if request.per_atom:
                num_atoms = structures.atoms_per_system[rows]
                bad = np.flatnonzero((atoms < 0) | (atoms >= num_atoms))
                if len(bad):
                    raise DataError(
                        f"{self.source} has labels of atom {atoms[bad[0]]} of system "
                        f"{systems[bad[0]]}, which has {num_atoms[bad[0]]} atoms"
                    )
                rows = structures.offsets[rows] + atoms
            part = np.full((num_rows, *values.shape[1:]), np.nan)
            part[rows] = values[order]
            parts.append(part)
        if not parts:
            return LabelBlock(np.full((num_rows, *request.column.shape), np.nan), found)
        return LabelBlock(np.concatenate(parts, axis=1), found)

    def place(self, key: str, row: int) -> str | None:
        """None: what a tensor map has, it has in one place."""
        return None

    def misplaced(self, key: str, rows: Iterable[int], per_atom: bool) -> str | None:
        """None, for the same reason."""
        return None

    def hint(self, key: str, row: int) -> str:
        """Nothing: a tensor map has no keys of structures."""
        return ""

    def check_num_systems(self, num_systems: int) -> None:
        """Refuse labels of structures that are not there, in the blocks that were asked for."""
        for samples in self._samples.values():
            systems = samples[:, 1]
            outside = systems[(systems < 0) | (systems >= num_systems)]
            if len(outside):
                raise DataError(
                    f"{self.source} has labels of system {outside[0]}, and there are "
                    f"{num_systems} structures; give both for the same structures"
                )

    def _blocks(
        self, request: LabelRequest
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
        """Numbers and samples of the blocks with the label; none where a gradient is not there."""
        if request.kind == VALUES:
            names = ["system", "atom"] if request.per_atom else ["system"]
            for position, components in self._positions(request.info):
                block = self._map.block(position)
                if list(block.samples.names) != names:
                    raise DataError(
                        f"{self.source} has the samples {list(block.samples.names)}, expected "
                        f"{names}; check sample_kind of the {request.role}"
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
    ) -> NDArray[np.int64]:
        """(N, 3) row in the block, structure and atom of each sample, ascending by structure.

        The samples of a piece are then a slice. Sorted at the first piece, and kept.
        """
        if key not in self._samples:
            rows = np.arange(len(systems))
            atoms = np.asarray(block.samples["atom"]) if per_atom else np.zeros_like(rows)
            samples = np.stack([rows, systems, atoms], axis=1)
            self._samples[key] = samples[np.argsort(systems, kind="stable")]
        return self._samples[key]


def read_system(path: Path) -> Structures:
    """The structure in a file that ``metatomic.torch.save`` wrote."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"'{path}' is no file of metatensor, or it is cut off") from error
    # By numpy: metatomic refuses a file by its suffix, and could not say that it holds labels.
    arrays = {}
    with archive:
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
