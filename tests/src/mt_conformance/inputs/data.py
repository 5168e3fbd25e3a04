"""Structures with labels, and small files cut out of them without touching a digit."""

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import ase.io
import numpy as np
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from mt_shared.data import Dataset, Structures, TargetLabels, offsets_from_counts

ETHANOL = "ethanol"
ICE = "ice"
MOLECULES = "molecules"
FRAMES = Path(__file__).with_name("frames")
ENERGIES = {1: -13.5, 6: -1027.75, 8: -2041.25}
"""In eV, of an atom; of the size of total energies, without a rounding error."""
NAMES = (
    *("CH4", "H2O", "CH3OH", "C2H6", "C2H4", "C2H2", "CO2", "H2CO"),
    *("CH3CH2OH", "HCOOH", "H2O2", "CH3OCH3", "CH3CHO", "C3H8", "CH3COOH"),
)


class Examples:
    """The structures of the suite: cut out of files of ethanol and ice, and other molecules."""

    def ethanol(self, number: int = 1) -> list[ase.Atoms]:
        """The first molecules, without their labels."""
        return self._structures(ETHANOL, number)

    def ice(self, number: int = 1) -> list[ase.Atoms]:
        """The first crystals, without their labels."""
        return self._structures(ICE, number)

    def both(self, molecules: int = 2, crystals: int = 1) -> list[ase.Atoms]:
        """The first molecules and crystals, which differ in size, composition and periodicity."""
        return [*self.ethanol(molecules), *self.ice(crystals)]

    def _structures(self, name: str, number: int) -> list[ase.Atoms]:
        found = list(ase.io.iread(FRAMES / f"{name}.xyz", f":{number}"))
        for atoms in found:
            atoms.calc = None
        return found

    def frames(self, name: str) -> list[str]:
        """The text of each frame, to be put together to other files."""
        lines = (FRAMES / f"{name}.xyz").read_text(encoding="utf-8").splitlines(keepends=True)
        # files are cut as text: reading and writing them again would round the labels
        frames, start = [], 0
        while start < len(lines):
            stop = start + int(lines[start]) + 2
            frames.append("".join(lines[start:stop]))
            start = stop
        return frames

    def molecules(self) -> tuple[list[ase.Atoms], list[float]]:
        """Molecules whose energies are sums over their atoms of a number for each element."""
        structures = [molecule(name) for name in NAMES]
        return structures, [
            sum(ENERGIES[number] for number in atoms.numbers) for atoms in structures
        ]


def labelled(
    atoms: ase.Atoms, energy: float, forces: np.ndarray, stress: np.ndarray | None = None
) -> ase.Atoms:
    """A copy of the structure with these labels, which ASE writes into a file."""
    copied = atoms.copy()
    results = {} if stress is None else {"stress": stress}
    copied.calc = SinglePointCalculator(copied, energy=energy, forces=forces, **results)
    return copied


def as_dataset(
    structures: Sequence[ase.Atoms],
    labels: dict[str, TargetLabels],
    source: str,
    inputs: dict[str, TargetLabels] | None = None,
) -> Dataset:
    """Structures, labels and inputs as a trainer gets them."""
    return Dataset(
        structures=Structures(
            positions=np.concatenate([atoms.positions for atoms in structures]),
            types=np.concatenate([atoms.numbers for atoms in structures]).astype(np.int32),
            cells=np.stack([atoms.cell.array for atoms in structures]),
            pbc=np.stack([atoms.pbc for atoms in structures]),
            offsets=offsets_from_counts([len(atoms) for atoms in structures]),
        ),
        labels=labels,
        extra=inputs or {},
        frames=np.arange(len(structures)),
        source=source,
    )


def as_frames(structures: Sequence[ase.Atoms]) -> list[str]:
    """The frames of extended xyz that ASE writes of structures, each by itself."""
    found = []
    for atoms in structures:
        text = StringIO()
        ase.io.write(text, atoms, format="extxyz")
        found.append(text.getvalue())
    return found


def as_structure(frame: str) -> ase.Atoms:
    """What ASE reads of one frame of extended xyz."""
    return next(ase.io.iread(StringIO(frame), format="extxyz"))


def set_comment(frame: str, old: str, new: str) -> str:
    """A frame with a word of its comment line replaced, which must be there."""
    count, comment, *atoms = frame.splitlines(keepends=True)
    assert old in comment, f"'{old}' is not in the comment line: {comment}"
    return "".join([count, comment.replace(old, new), *atoms])


def with_word(frame: str, key: str, value: str) -> str:
    """A frame with one more word in its comment line."""
    count, comment, *atoms = frame.splitlines(keepends=True)
    return "".join([count, f"{comment.rstrip()} {key}={value}\n", *atoms])


def with_nan(frame: str, key: str) -> str:
    """A frame whose first number under a key, of the structure or of its atoms, is NaN."""
    count, comment, *atoms = frame.splitlines(keepends=True)
    named = re.compile(rf'(\b{key}="?)[^\s"]+')
    if named.search(comment):
        return "".join([count, named.sub(r"\1NaN", comment), *atoms])
    words = atoms[0].split()
    words[_columns(comment)[key].start] = "NaN"
    return "".join([count, comment, " ".join(words) + "\n", *atoms[1:]])


def with_neighbors(frame: str) -> str:
    """A frame with two labels of each atom, smooth counts of neighbors: sums of exp(-d), exp(-2d).

    In a crystal, of the nearest image of each other atom.
    """
    atoms = as_structure(frame)
    distances = atoms.get_all_distances(mic=bool(atoms.pbc.any()))
    # without the atom itself, at distance 0
    sums = [np.exp(-power * distances).sum(axis=1) - 1.0 for power in (1, 2)]
    return with_column(frame, "neighbors", [[f"{x:.8f}" for x in row] for row in zip(*sums)])


def with_harmonics(frame: str) -> str:
    """A frame with its vectors, forces and dipole, as harmonics of degree 1: y, z, x."""
    count, comment, *atoms = frame.splitlines(keepends=True)
    columns = _columns(comment)["forces"]
    forces = [atom.split()[columns] for atom in atoms]
    dipole = re.search(r'dipole="(\S+) (\S+) (\S+)"', comment)
    if dipole:
        x, y, z = dipole.groups()
        comment = comment.replace(dipole[0], f'{dipole[0]} harmonics="{y} {z} {x}"')
    frame = "".join([count, comment, *atoms])
    return with_column(frame, "harmonics_of_atom", [[y, z, x] for x, y, z in forces])


def _columns(comment: str) -> dict[str, slice]:
    """Which columns of a frame belong to which name."""
    properties = re.search(r"Properties=(\S+)", comment)
    assert properties, f"no columns are named in {comment}"
    words = properties[1].split(":")
    found, start = {}, 0
    for name, width in zip(words[::3], words[2::3]):
        found[name] = slice(start, start + int(width))
        start += int(width)
    return found


def with_column(frame: str, name: str, numbers: list[list[str]]) -> str:
    """A frame with more numbers in the row of each atom."""
    count, comment, *atoms = frame.splitlines(keepends=True)
    comment = re.sub(r"(Properties=\S+)", rf"\1:{name}:R:{len(numbers[0])}", comment)
    rows = [f"{atom.rstrip()} {' '.join(row)}\n" for atom, row in zip(atoms, numbers)]
    return "".join([count, comment, *rows])
