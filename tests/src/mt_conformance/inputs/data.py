"""Structures with labels, and small files cut out of them without touching a digit."""

from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.spatial.distance import cdist

from mt_shared.data import Dataset, Structures, TargetLabels, offsets_from_counts

ETHANOL = "ethanol"
ICE = "ice"
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

    def write(self, path: Path, name: str, frames: slice) -> None:
        """A file of some frames of an example."""
        path.write_text("".join(self.frames(name)[frames]), encoding="utf-8")

    def molecules(self) -> tuple[list[ase.Atoms], list[float]]:
        """Molecules whose energies are sums over their atoms of a number for each element."""
        structures = [molecule(name) for name in NAMES]
        return structures, [
            sum(ENERGIES[number] for number in atoms.numbers) for atoms in structures
        ]


def labelled(atoms: ase.Atoms, energy: float, forces: np.ndarray) -> ase.Atoms:
    """A copy of the structure with these labels, which ASE writes into a file."""
    copied = atoms.copy()
    copied.calc = SinglePointCalculator(copied, energy=energy, forces=forces)
    return copied


def as_dataset(
    structures: Sequence[ase.Atoms], labels: dict[str, TargetLabels], source: str
) -> Dataset:
    """Structures and labels as a trainer gets them."""
    return Dataset(
        structures=Structures(
            positions=np.concatenate([atoms.positions for atoms in structures]),
            types=np.concatenate([atoms.numbers for atoms in structures]).astype(np.int32),
            cells=np.stack([atoms.cell.array for atoms in structures]),
            pbc=np.stack([atoms.pbc for atoms in structures]),
            offsets=offsets_from_counts([len(atoms) for atoms in structures]),
        ),
        labels=labels,
        frames=np.arange(len(structures)),
        source=source,
    )


def set_comment(frame: str, old: str, new: str) -> str:
    """A frame with a word of its comment line replaced, which must be there."""
    count, comment, *atoms = frame.splitlines(keepends=True)
    assert old in comment, f"'{old}' is not in the comment line: {comment}"
    return "".join([count, comment.replace(old, new), *atoms])


def with_neighbors(frame: str) -> str:
    """A frame with a label of each atom: a smooth count of its neighbors, the sum of exp(-d)."""
    count, comment, *atoms = frame.splitlines(keepends=True)
    comment = comment.replace("forces:R:3", "forces:R:3:neighbors:R:1")
    positions = np.loadtxt(atoms, usecols=(1, 2, 3))
    # without the atom itself, at distance 0
    labels = np.exp(-cdist(positions, positions)).sum(axis=1) - 1.0
    rows = [f"{atom.rstrip()} {label:.8f}\n" for atom, label in zip(atoms, labels)]
    return "".join([count, comment, *rows])
