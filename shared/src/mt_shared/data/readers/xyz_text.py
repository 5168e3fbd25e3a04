"""The text of extended xyz, cut into frames and these gathered into chunks; no number is parsed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mt_shared.data.readers.comment_line import parse_comment
from mt_shared.data.structures import frame_error
from mt_shared.errors import DataError, shortened

# Atoms that are parsed together: enough to make the cost of a chunk small, and few enough that
# the text in memory stays below about 50 MB.
CHUNK_ATOMS = 50_000

_DEFAULT_PROPERTIES = "species:S:1:pos:R:3"


class IrregularXyz(Exception):
    """The file has what only ASE's reader knows, such as cell vectors after the atoms."""


@dataclass
class Chunk:
    """Consecutive structures with the same ``Properties``."""

    source: str
    properties: str
    first_frame: int
    comments: list[dict[str, Any]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)  # where in the file each structure begins
    rows: list[str] = field(default_factory=list)  # the line of each atom

    def row_error(self, row: int, what: str, todo: str) -> DataError:
        """An error about the line of one atom; ``row`` counts the atoms of the chunk."""
        ends = np.cumsum(self.counts)
        frame = int(np.searchsorted(ends, row, side="right"))
        line = self.lines[frame] + 2 + row - int(ends[frame] - self.counts[frame])
        what = f"line {line} '{shortened(self.rows[row])}' {what}"
        return frame_error(self.source, self.first_frame + frame, what, todo)


def scan_chunks(path: Path, size: int) -> Iterator[Chunk]:
    """All frames in chunks, none of which goes beyond a multiple of ``size`` frames.

    A chunk comes when the next frame is found to begin, so what follows its last frame is known.

    :raises IrregularXyz: if ASE should read the file from here on
    """
    chunk: Chunk | None = None
    for frame, (line, comment, rows) in enumerate(_frames(path)):
        properties = comment.pop("Properties", _DEFAULT_PROPERTIES)
        # A chunk has one table of columns, and pieces end where chunks do.
        if chunk and (
            chunk.properties != properties or len(chunk.rows) >= CHUNK_ATOMS or frame % size == 0
        ):
            yield chunk
            chunk = None
        chunk = chunk or Chunk(path.name, properties, frame)
        chunk.comments.append(comment)
        chunk.counts.append(len(rows))
        chunk.lines.append(line)
        chunk.rows += rows
    if chunk:
        yield chunk


def _frames(path: Path) -> Iterator[tuple[int, dict[str, Any], list[str]]]:
    """Line number of the start, comment, and the lines of the atoms, of each frame."""
    frame, line_number = 0, 0
    # Windows' editor puts a mark before the text
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            line_number += 1
            # Unlike ASE, which takes a blank line between frames for the end of the file.
            if not line.strip():
                continue
            num_atoms = _num_atoms(path, frame, line_number, line)
            comment_line = next(file, None)
            if comment_line is None:
                what = "the file ends before the comment line"
                raise frame_error(path.name, frame, what, "the file is cut off, write it again")
            try:
                comment = parse_comment(comment_line)
            except ValueError as error:
                what = f"the comment line {line_number + 1} cannot be parsed ({error})"
                raise frame_error(path.name, frame, what, "expected pairs key=value") from error
            # The lines as they are, line ends included: they are split all at once, a chunk later.
            rows = list(islice(file, num_atoms))
            if len(rows) < num_atoms:
                what = f"line {line_number} announces {num_atoms} atoms, and the file ends after "
                what += str(len(rows))
                raise frame_error(path.name, frame, what, "the file is cut off, write it again")
            yield line_number, comment, rows
            line_number += num_atoms + 1
            frame += 1


def _num_atoms(path: Path, frame: int, line_number: int, line: str) -> int:
    if line.lstrip().startswith("VEC"):
        raise IrregularXyz
    # What is no number counts as a negative one: both are the same fault.
    try:
        num_atoms = int(line)
    except ValueError:
        num_atoms = -1
    if num_atoms < 0:
        what = f"line {line_number} is '{shortened(line)}', expected the number of atoms"
        todo = "check that the frame before it has as many lines as it announces"
        if frame == 0:
            todo = "an extended xyz file begins with one"
        raise frame_error(path.name, frame, what, todo)
    return num_atoms
