"""Structures with labels, and small files cut out of them without touching a digit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np

from mt_conformance.inputs.abilities import Capabilities, forces, stress

ETHANOL = "ethanol"
ICE = "ice"
FRAMES = Path(__file__).with_name("frames")


@dataclass(frozen=True)
class Examples:
    """A folder with a file for each: molecules of ethanol, and cells of ice."""

    folder: Path = FRAMES

    def structures(self, name: str, number: int) -> list[ase.Atoms]:
        """The first structures of an example, without their labels."""
        found = list(ase.io.iread(self._file(name), index=f":{number}"))
        for atoms in found:
            atoms.calc = None
        return found

    def frames(self, name: str) -> list[str]:
        """The text of each frame, to be put together to other files."""
        return list(_frames(self._file(name).read_text(encoding="utf-8")))

    def write(self, path: Path, name: str, frames: slice) -> Path:
        """A file of some frames of an example."""
        path.write_text("".join(self.frames(name)[frames]), encoding="utf-8")
        return path

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.xyz"


def _frames(text: str) -> Iterator[str]:
    lines = text.splitlines(keepends=True)
    start = 0
    while start < len(lines):
        stop = start + int(lines[start]) + 2
        yield "".join(lines[start:stop])
        start = stop


def energy_target(
    capabilities: Capabilities, periodic: bool = False, **more: Any
) -> dict[str, Any]:
    """The section of the energy in an options file, with the gradients that it is able to."""
    target = {"key": "energy", "unit": "eV", "forces": forces(capabilities)}
    if periodic and stress(capabilities):
        target["stress"] = True
    return target | more


def data_set(file: str, targets: dict[str, Any]) -> dict[str, Any]:
    """A data set of an options file."""
    return {"systems": {"read_from": file, "length_unit": "angstrom"}, "targets": targets}


def set_comment(frame: str, words: Sequence[tuple[str, str]]) -> str:
    """A frame with words of its comment line replaced, each of which must be there."""
    count, comment, *atoms = frame.splitlines(keepends=True)
    for old, new in words:
        assert old in comment, f"'{old}' is not in the comment line: {comment}"
        comment = comment.replace(old, new)
    return "".join([count, comment, *atoms])


def with_neighbors(frame: str) -> str:
    """A frame with a label of each atom: a smooth count of its neighbors, the sum of exp(-d)."""
    count, comment, *atoms = frame.splitlines(keepends=True)
    comment = comment.replace("forces:R:3", "forces:R:3:neighbors:R:1")
    positions = np.array([[float(word) for word in atom.split()[1:4]] for atom in atoms])
    distances = np.linalg.norm(positions[:, None] - positions, axis=2)
    labels = np.exp(-distances).sum(axis=1) - 1.0
    rows = [f"{atom.rstrip()} {label:.8f}\n" for atom, label in zip(atoms, labels)]
    return "".join([count, comment, *rows])
