"""Lists of frame numbers: given in the options or in a text file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mt_shared.errors import DataError, shortened
from mt_shared.user_files import kind_of, missing, mistaken

Indices = Sequence[int] | NDArray[np.int64] | str | Path


@dataclass(frozen=True)
class FrameNumbers:
    """Numbers of frames, each at most once; ``what`` says in errors whose indices these are."""

    frames: NDArray[np.int64]
    what: str

    def check_range(self, num_frames: int) -> None:
        """Refuse the number of a frame that is not there."""
        outside = self.frames[(self.frames < 0) | (self.frames >= num_frames)]
        if len(outside):
            raise DataError(
                f"{self.what}: the index {outside[0]} is out of range; "
                f"there are {num_frames} frames, 0 to {num_frames - 1}"
            )


def read_frame_numbers(indices: Indices, what: str) -> FrameNumbers:
    """Frame numbers of a list, or of a text file with one on each line."""
    if isinstance(indices, str | Path):
        what, expected = f"{what} ('{indices}')", "the number of a frame on each line"
        try:
            lines = Path(indices).read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError as error:
            raise DataError(missing(indices, "file of indices")) from error
        except UnicodeDecodeError as error:
            raise DataError(mistaken(indices, expected, kind_of(indices))) from error
        except OSError as error:
            raise DataError(f"'{indices}' cannot be read: {error.strerror}") from error
        found: list[int] = []
        for number, line in enumerate(lines, start=1):
            try:
                found += [int(line)] if line.strip() else []
            except ValueError as error:
                raise DataError(
                    f"'{indices}', line {number}: expected the number of a frame, found "
                    f"'{shortened(line)}'"
                ) from error
        indices = found
    try:
        frames = np.asarray(indices, dtype=np.int64).reshape(-1)
    except OverflowError as error:
        raise DataError(f"{what}: no file has so many frames: {max(indices)}") from error
    unique, counts = np.unique(frames, return_counts=True)
    if len(unique) != len(frames):
        raise DataError(f"{what}: the index {unique[counts > 1][0]} is there more than once")
    return FrameNumbers(frames, what)
