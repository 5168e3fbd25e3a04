"""Which frames of a file, or of a piece of it, are meant, and how errors and notes count them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Selection:
    """Frames of one piece of a file.

    :param rows: (S,) the frames that are meant, counted within the piece
    :param first_frame: number in the file of the piece's first frame
    :param whole: whether the piece is the whole file
    """

    rows: NDArray[np.int64]
    first_frame: int = 0
    whole: bool = True

    @property
    def frames(self) -> NDArray[np.int64]:
        """(S,) numbers in the file, the first is 0."""
        return self.rows + self.first_frame

    def share(self, count: int) -> str:
        """``count`` of these frames, in words; a piece says which frames were counted."""
        frames = self.frames
        piece = "" if self.whole else f" from {frames.min()} to {frames.max()}"
        return f"{count} of {len(frames)} frames{piece}"
