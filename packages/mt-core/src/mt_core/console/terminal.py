"""How wide the terminal is that a command prints to."""

from __future__ import annotations

import shutil
import sys


def terminal_width(otherwise: int) -> int:
    """In letters; ``otherwise`` where the output goes to a file or to another program."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else otherwise
