"""The numbers of one key in a file: as they are read, in the shape that a label needs.

Letters of shapes: S structures, N rows (one for each structure, or for each atom).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]

# Where the six numbers of Voigt's notation (xx, yy, zz, yz, xz, xy) are in the matrix.
_VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


@dataclass(frozen=True)
class ColumnSpec:
    """A key that some label needs; the numbers of all other keys are not even parsed.

    :param shape: of the numbers of one row, as the label has them
    :param accepted: the shapes in a file that stand for it, the usual one first
    """

    key: str
    per_atom: bool
    shape: Shape
    accepted: tuple[Shape, ...]


@dataclass(frozen=True)
class Column:
    """The numbers of one key in all structures of a file, or of a piece of it.

    :param values: (N, \\*shape), NaN where the key is missing or has another shape
    :param found: (S,) which structures have the key, in whatever shape
    :param other_shapes: what is found in a structure (its index) instead of an accepted shape;
        None for what is no number
    """

    values: NDArray[np.float64]
    found: NDArray[np.bool_]
    other_shapes: dict[int, Shape | None]


class ColumnBuilder:
    """Collects the numbers of one key, some structures at a time, in the order of the file."""

    def __init__(self, spec: ColumnSpec) -> None:
        self._spec = spec
        self._values: list[NDArray[np.float64]] = []
        self._found: list[bool] = []
        self._other_shapes: dict[int, Shape | None] = {}

    def add(self, values: NDArray[np.float64] | None, num_structures: int, num_rows: int) -> None:
        """The next structures have the key, all in one shape.

        :param values: (rows, ...); None for what is no number
        """
        shape = None if values is None else values.shape[1:]
        if values is not None and shape in self._spec.accepted:
            assert len(values) == num_rows, "a row for each structure or atom"
            self._values.append(_reshaped(values, self._spec.shape))
        else:
            # Whether this is a fault is known only later: the structures may not be chosen.
            first = len(self._found)
            self._other_shapes |= dict.fromkeys(range(first, first + num_structures), shape)
            self._values.append(np.full((num_rows, *self._spec.shape), np.nan))
        self._found += [True] * num_structures

    def add_missing(self, num_structures: int, num_rows: int) -> None:
        """The next structures do not have the key."""
        self._values.append(np.full((num_rows, *self._spec.shape), np.nan))
        self._found += [False] * num_structures

    def build(self) -> Column:
        return Column(np.concatenate(self._values), np.array(self._found), self._other_shapes)


def _reshaped(values: NDArray[np.float64], shape: Shape) -> NDArray[np.float64]:
    """The same numbers in order; but six numbers for a matrix are in Voigt's order."""
    if shape == (3, 3) and values.shape[1:] == (6,):
        return values[:, _VOIGT]
    return values.reshape(-1, *shape)
