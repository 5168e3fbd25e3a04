"""What readers of files with keyed labels (extended xyz, all of ASE's formats) produce.

Letters of shapes: S structures, N rows (one for each structure, or for each atom).
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.dataset import VALUES
from mt_shared.data.readers.label_requests import (
    ColumnSpec,
    LabelBlock,
    LabelRequest,
    Shape,
    StructurePiece,
)
from mt_shared.data.structures import Structures, concatenate, frame_error
from mt_shared.errors import did_you_mean, plain_number, shortened

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

OF_EACH = {"system": "of the structure", "atom": "of each atom"}

SAME_FRAMES = "structures and labels must be the same frames in the same order"

# The size of a piece that is the whole file.
ALL_FRAMES = sys.maxsize

# Where the six numbers of Voigt's notation (xx, yy, zz, yz, xz, xy) are in the matrix.
_VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


@dataclass(frozen=True)
class Column:
    """The numbers of one key in all structures of a file, or of a piece of it.

    ``other_shapes`` is what a structure (its index) has instead of an accepted shape, None for
    what is no number; ``texts`` what that is, where it is known.
    """

    values: NDArray[np.float64]  # (N, *shape), NaN where the key is missing or of another shape
    found: NDArray[np.bool_]  # (S,) which structures have the key, in whatever shape
    other_shapes: dict[int, Shape | None]
    texts: dict[int, str]


class ColumnBuilder:
    """Collects the numbers of one key, some structures at a time, in the order of the file."""

    def __init__(self, spec: ColumnSpec) -> None:
        self._spec = spec
        self._values: list[NDArray[np.float64]] = []
        self._found: list[bool] = []
        self._other_shapes: dict[int, Shape | None] = {}
        self._texts: dict[int, str] = {}

    def add(
        self,
        values: NDArray[np.float64] | None,
        num_structures: int,
        num_rows: int,
        text: str = "",
    ) -> None:
        """The next structures have the key, all in one shape.

        :param values: (rows, ...); None for what is no number
        :param text: what that is, as far as it is known
        """
        shape = None if values is None else values.shape[1:]
        wanted = self._spec.shape
        if values is not None and shape in self._spec.accepted:
            assert len(values) == num_rows, "a row for each structure or atom"
            # The same numbers in order; but six numbers for a matrix are in Voigt's order.
            is_voigt = wanted == (3, 3) and shape == (6,)
            self._values.append(values[:, _VOIGT] if is_voigt else values.reshape(-1, *wanted))
        else:
            # Whether this is a fault is known only later: the structures may not be chosen.
            first = len(self._found)
            rows = range(first, first + num_structures)
            self._other_shapes |= dict.fromkeys(rows, shape)
            if text:
                self._texts |= dict.fromkeys(rows, text)
            self._values.append(np.full((num_rows, *wanted), np.nan))
        self._found += [True] * num_structures

    def add_missing(self, num_structures: int, num_rows: int) -> None:
        """The next structures do not have the key."""
        self._values.append(np.full((num_rows, *self._spec.shape), np.nan))
        self._found += [False] * num_structures

    def build(self) -> Column:
        return Column(
            np.concatenate(self._values), np.array(self._found), self._other_shapes, self._texts
        )


@dataclass(frozen=True)
class KeyPlaces:
    """The keys of a structure, by the place where ASE keeps them."""

    info: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()
    calculator: tuple[str, ...] = ()

    def place(self, key: str) -> str | None:
        """What has this key: ``system``, ``atom``, or None of both."""
        if key in self.arrays or (key in self.calculator and key in RESULTS_PER_ATOM):
            return "atom"
        return "system" if key in self.info or key in self.calculator else None

    def __str__(self) -> str:
        return "; ".join(f"{place}: {', '.join(keys) or '-'}" for place, keys in vars(self).items())


@dataclass(frozen=True)
class KeyedPiece:
    """The structures of a file, or of a piece of it, with the numbers of the keys asked for."""

    source: str
    structures: Structures
    columns: dict[ColumnSpec, Column]
    keys: tuple[KeyPlaces, ...]  # (S) all keys of each structure
    label_keys: tuple[str, ...]  # that look like labels: results of a calculator, real numbers

    def labels(self, request: LabelRequest, piece: StructurePiece) -> LabelBlock:
        """The label of all structures of a piece, which has the same frames as this one.

        Forces, stress and virial are turned into derivatives of the energy.
        """
        theirs, ours = self.structures.atoms_per_system, piece.structures.atoms_per_system
        differ = np.flatnonzero(theirs != ours)
        if request.per_atom and len(differ):
            row = differ[0]
            what = f"it has {theirs[row]} atoms, and this frame of '{piece.source}' has {ours[row]}"
            raise frame_error(self.source, row + piece.first_frame, what, SAME_FRAMES)
        column = self.columns[request.column]
        # A shape that is not accepted is a fault only in a structure that is chosen.
        bad = next((row for row in piece.rows.tolist() if row in column.other_shapes), None)
        if bad is not None:
            shape = column.other_shapes[bad]
            text = column.texts.get(bad, "")
            found = _no_number(text) if shape is None else f"has {_describe(shape)}"
            expected = " or ".join(map(_describe, request.column.accepted))
            what = f"'{request.spec.key}' of {request.role} '{request.name}' {found}, "
            what += f"expected {expected}"
            what += " for each atom" if request.per_atom else ""
            todo = f"check type and num_subtargets of the {request.role}, and the file"
            raise frame_error(self.source, bad + piece.first_frame, what, todo)
        if request.kind == VALUES:
            return LabelBlock(column.values, column.found)
        values = column.values * request.factor
        if request.kind == "stress":
            # without a volume it is no label, which the builder of labels sees to
            volumes = np.nan_to_num(piece.structures.volumes, nan=1.0)
            return LabelBlock(values * volumes[:, None, None], column.found)
        return LabelBlock(-values, column.found)

    def place(self, key: str, row: int) -> str | None:
        """What has this key in a structure (its index): ``system``, ``atom``, or None of both."""
        return self.keys[row].place(key)

    def misplaced(self, key: str, rows: Iterable[int], per_atom: bool) -> str | None:
        """Where these structures (their indices) have this key in another place or case, in words.

        None where they do not.

        :param per_atom: whether it is looked for among what each atom has
        """
        wanted = "atom" if per_atom else "system"
        for keys in dict.fromkeys(self.keys[row] for row in rows):
            for place, names in vars(keys).items():
                for name in names:
                    if name != key and name.casefold() == key.casefold():
                        return f"'{name}' (in {place}) is written otherwise"
            found = keys.place(key)
            if found not in (None, wanted):
                return f"'{key}' is {OF_EACH[found]} there, not {OF_EACH[wanted]}"
        return None

    def hint(self, key: str, row: int) -> str:
        """What may help a user who does not find a key in a structure (its index)."""
        keys = self.keys[row]
        similar = did_you_mean(key, (*keys.info, *keys.arrays, *keys.calculator))
        return f"{similar}; the keys there are {keys}"


def _describe(shape: Shape) -> str:
    return f"the shape ({', '.join(map(str, shape))})" if shape else "one number"


def _no_number(text: str) -> str:
    plain = plain_number(text)
    hint = "" if plain is None else f" (write {plain})"
    return f"is no number: {shortened(text)}{hint}" if text else "is no number"


class KeyedPieceBuilder:
    """Collects structures, some at a time, in the order of the file.

    The reader adds the same structures to all ``columns`` and to the rest.
    """

    def __init__(self, source: str, columns: Iterable[ColumnSpec]) -> None:
        self.source = source
        self.columns = {spec: ColumnBuilder(spec) for spec in columns}
        self.num_structures = 0
        self._structures: list[Structures] = []
        self._keys: list[KeyPlaces] = []
        self._known_keys: dict[KeyPlaces, KeyPlaces] = {}
        self._label_keys: dict[str, None] = {}

    def add_keys(self, keys: KeyPlaces) -> bool:
        """The keys of the next structure; True if no structure before it had just these."""
        # Most files have the same keys throughout: the object of the structure before is known
        # without a hash of all its texts, and of equal ones only the first is kept.
        if self._keys and keys is self._keys[-1]:
            self._keys.append(keys)
            return False
        num_known = len(self._known_keys)
        self._keys.append(self._known_keys.setdefault(keys, keys))
        return len(self._known_keys) > num_known

    def add_label_keys(self, keys: Iterable[str]) -> None:
        self._label_keys |= dict.fromkeys(keys)

    def add_structures(self, structures: Structures) -> None:
        self._structures.append(structures)
        self.num_structures += structures.num_systems

    def build(self) -> KeyedPiece:
        return KeyedPiece(
            source=self.source,
            structures=concatenate(self._structures),
            columns={spec: builder.build() for spec, builder in self.columns.items()},
            keys=tuple(self._keys),
            label_keys=tuple(self._label_keys),
        )
