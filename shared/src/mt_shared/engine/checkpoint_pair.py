"""The two checkpoints that a run keeps: the latest and the one before it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mt_shared.contract import write_checkpoint

LATEST = "latest.ckpt"
PREVIOUS = "previous.ckpt"


def write_rotating(checkpoint: dict[str, Any], folder: Path) -> Path:
    """Write ``latest.ckpt``; what it was becomes ``previous.ckpt``.

    At every moment at least one whole checkpoint lies in the folder: the old one gets its second
    name before the new one takes the first.
    """
    latest, previous = folder / LATEST, folder / PREVIOUS
    incoming = folder / ".incoming.ckpt"
    write_checkpoint(checkpoint, incoming)
    if latest.exists():
        os.replace(latest, previous)
    os.replace(incoming, latest)
    return latest
