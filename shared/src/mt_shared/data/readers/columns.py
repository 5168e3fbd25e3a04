"""What a file holds, frame by frame turned into columns: the form all keyed readers produce.

Letters of shapes: A atoms, S frames, K numbers of one frame (or of one atom).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.structures import Structures, offsets_from_counts

# Arrays of ASE that describe a structure and are no labels.
STRUCTURE_KEYS = frozenset(
    "positions numbers symbols momenta masses tags initial_charges initial_magmoms "
    "move_mask".split()
)
# What ASE moves from the comment line, or the columns, to the results of a calculator.
RESULTS_PER_SYSTEM = frozenset(
    "energy free_energy stress dipole magmom dielectric_tensor polarization".split()
)
RESULTS_PER_ATOM = frozenset(
    "forces stresses charges magmoms energies born_effective_charges".split()
)

# The size of a piece that is the whole file.
ALL_FRAMES = sys.maxsize

Shape = tuple[int, ...]
Convert = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Wanted:
    """The keys that some target needs; the numbers of other keys are not even parsed."""

    system: frozenset[str]
    atom: frozenset[str]


@dataclass(frozen=True)
class Layout:
    """The keys of a frame, by the place where ASE keeps them."""

    info: tuple[str, ...]
    arrays: tuple[str, ...]
    calculator: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.info, *self.arrays, *self.calculator)

    def __str__(self) -> str:
        places = {"info": self.info, "arrays": self.arrays, "calculator": self.calculator}
        return "; ".join(f"{place}: {', '.join(keys) or '-'}" for place, keys in places.items())


@dataclass(frozen=True)
class Column:
    """The numbers of one key in all frames.

    ``shape_index`` points into ``shapes``: the shape that the key has in a frame (for arrays the
    one of an atom), None where it is no number, or -1 where the frame lacks it. ``blocks`` has for
    each shape the rows (frames or atoms) that have it, and their numbers.
    """

    num_rows: int
    shape_index: NDArray[np.int32]  # (S,)
    shapes: tuple[Shape | None, ...]
    blocks: dict[Shape, tuple[NDArray[np.int64], NDArray[np.float64]]]

    @property
    def found(self) -> NDArray[np.bool_]:
        """(S,) whether the frame has the key."""
        return self.shape_index >= 0

    def dense(
        self, shape: Shape, accepted: Container[Shape], convert: Convert | None = None
    ) -> NDArray[np.float64]:
        """(rows, shape) numbers of the accepted shapes, NaN elsewhere.

        :param convert: makes (n, shape) of (n, accepted shape); None: the same numbers in order
        """
        out = np.full((self.num_rows, *shape), np.nan)
        for found, (rows, values) in self.blocks.items():
            if found in accepted:
                out[rows] = convert(values) if convert else values.reshape(-1, *shape)
        return out


@dataclass(frozen=True)
class Frames:
    """The frames of one file, or of a piece of it.

    :param layouts: the different sets of keys, ``layout_index`` (S,) points into them
    :param label_keys: keys that look like labels: results of a calculator, real numbers
    """

    source: str
    structures: Structures
    system_columns: dict[str, Column]
    atom_columns: dict[str, Column]
    layouts: tuple[Layout, ...]
    layout_index: NDArray[np.int32]
    label_keys: tuple[str, ...]

    def layout(self, frame: int) -> Layout:
        return self.layouts[self.layout_index[frame]]

    def column(self, key: str, per_atom: bool) -> Column:
        """The column of a key, without a number in it if no frame has the key."""
        columns = self.atom_columns if per_atom else self.system_columns
        if key in columns:
            return columns[key]
        num_rows = self.structures.num_atoms if per_atom else self.structures.num_systems
        shape_index = np.full(self.structures.num_systems, -1, dtype=np.int32)
        return Column(num_rows, shape_index, (), {})


class ColumnBuilder:
    """Collects blocks of frames in which a key has one shape."""

    def __init__(self) -> None:
        self._frames: dict[Shape | None, list[NDArray[np.int64]]] = {}
        self._rows: dict[Shape, list[NDArray[np.int64]]] = {}
        self._values: dict[Shape, list[NDArray[np.float64]]] = {}

    def add(
        self,
        frames: NDArray[np.int64],
        rows: NDArray[np.int64],
        values: NDArray[np.float64] | None,
    ) -> None:
        """Numbers ``values`` (rows, ...) of some frames; None where they are no numbers."""
        if values is None:
            self._frames.setdefault(None, []).append(frames)
            return
        shape = values.shape[1:]
        self._frames.setdefault(shape, []).append(frames)
        self._rows.setdefault(shape, []).append(rows)
        self._values.setdefault(shape, []).append(values)

    def build(self, num_frames: int, num_rows: int) -> Column:
        shape_index = np.full(num_frames, -1, dtype=np.int32)
        for index, frames in enumerate(self._frames.values()):
            shape_index[np.concatenate(frames)] = index
        blocks = {
            shape: (np.concatenate(self._rows[shape]), np.concatenate(self._values[shape]))
            for shape in self._rows
        }
        return Column(num_rows, shape_index, tuple(self._frames), blocks)


class FramesBuilder:
    """Collects chunks of frames, in the order of the file."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.num_frames = 0
        self.num_atoms = 0
        self._chunks: list[tuple[NDArray[Any], ...]] = []
        self._system: dict[str, ColumnBuilder] = {}
        self._atom: dict[str, ColumnBuilder] = {}
        self._layouts: dict[Layout, int] = {}
        self._layout_index: list[int] = []
        self._label_keys: dict[str, None] = {}

    def add_layout(self, layout: Layout) -> bool:
        """Note the keys of the next frame; True if no earlier frame had just these."""
        is_new = layout not in self._layouts
        self._layout_index.append(self._layouts.setdefault(layout, len(self._layouts)))
        return is_new

    def add_label_keys(self, keys: Sequence[str]) -> None:
        self._label_keys |= dict.fromkeys(keys)

    def add_system_values(
        self, key: str, values: Sequence[NDArray[np.float64] | tuple[()] | None]
    ) -> None:
        """One entry for each frame of the chunk: numbers, None (no numbers) or () (missing)."""
        no_numbers = [i for i, value in enumerate(values) if value is None]
        by_shape: dict[Shape, dict[int, NDArray[np.float64]]] = {}
        for i, value in enumerate(values):
            if value is not None and not isinstance(value, tuple):
                by_shape.setdefault(value.shape, {})[i] = value
        builder = self._system.setdefault(key, ColumnBuilder())
        for members in by_shape.values():
            frames = np.array(list(members)) + self.num_frames
            builder.add(frames, frames, np.stack(list(members.values())))
        if no_numbers:
            frames = np.array(no_numbers) + self.num_frames
            builder.add(frames, frames, None)

    def add_system_block(self, key: str, values: NDArray[np.float64]) -> None:
        """Numbers (frames of the chunk, ...) that all frames of the chunk have."""
        frames = np.arange(len(values)) + self.num_frames
        self._system.setdefault(key, ColumnBuilder()).add(frames, frames, values)

    def add_atom_block(
        self,
        key: str,
        values: NDArray[np.float64] | None,
        frames: NDArray[np.int64],
        atoms: NDArray[np.int64],
    ) -> None:
        """Numbers (atoms, ...) of some frames; both are counted within the chunk."""
        builder = self._atom.setdefault(key, ColumnBuilder())
        builder.add(frames + self.num_frames, atoms + self.num_atoms, values)

    def end_chunk(
        self,
        positions: NDArray[np.float64],
        types: NDArray[np.int32],
        cells: NDArray[np.float64],
        pbc: NDArray[np.bool_],
        counts: NDArray[np.int64],
    ) -> None:
        """The structures of the chunk, after all its labels."""
        self._chunks.append((positions, types, cells, pbc, counts))
        self.num_frames += len(counts)
        self.num_atoms += len(types)

    def build(self) -> Frames:
        positions, types, cells, pbc, counts = map(np.concatenate, zip(*self._chunks, strict=True))
        structures = Structures(positions, types, cells, pbc, offsets_from_counts(counts))
        num_frames, num_atoms = self.num_frames, self.num_atoms
        return Frames(
            source=self.source,
            structures=structures,
            system_columns={k: b.build(num_frames, num_frames) for k, b in self._system.items()},
            atom_columns={k: b.build(num_frames, num_atoms) for k, b in self._atom.items()},
            layouts=tuple(self._layouts),
            layout_index=np.array(self._layout_index, dtype=np.int32),
            label_keys=tuple(self._label_keys),
        )
