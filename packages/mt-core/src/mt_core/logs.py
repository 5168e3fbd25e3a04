"""Where the lines of a run go: the terminal, and train.log."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def logging_to(file: Path | None) -> Iterator[logging.Logger]:
    """The logger ``mt`` on standard output, and with time stamps in ``file``."""
    logger = logging.getLogger("mt")
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter("%(message)s"))
    handlers: list[logging.Handler] = [console]
    if file is not None:
        written = logging.FileHandler(file)
        written.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        handlers.append(written)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in handlers:
        logger.addHandler(handler)
    try:
        with quiet_libraries():
            yield logger
    finally:
        logger.setLevel(level)
        logger.propagate = propagate
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Without the warnings of libraries that the user of mt cannot act on."""
    with warnings.catch_warnings():
        for module in ("torch", "metatomic", "metatensor", "vesin", "ase"):
            warnings.filterwarnings("ignore", module=rf"{module}(\..*)?")
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        yield
