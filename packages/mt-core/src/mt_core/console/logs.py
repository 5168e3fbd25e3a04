"""Where the lines of a run go: the terminal, and train.log."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mt_core.console.failures import explain


@contextmanager
def logging_to(file: Path | None) -> Iterator[logging.Logger]:
    """The logger ``mt`` on standard output, and with time stamps in ``file``."""
    logger = logging.getLogger("mt")
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter("%(message)s"))
    handlers: list[logging.Handler] = [console]
    if file is not None:
        written = logging.FileHandler(file, encoding="utf-8")
        written.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        handlers.append(written)
    # put back at the end: from Python, the program around us has loggers of its own
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in handlers:
        # a full disk or a closed terminal costs lines of the log, not the training
        handler.handleError = lambda record: None  # type: ignore[method-assign]
        logger.addHandler(handler)
    try:
        with quiet_libraries():
            yield logger
    except BaseException as failure:
        # what ended the run, for the file alone: the terminal gets it from the command line
        said = explain(failure)
        text = said or f"ended by {type(failure).__name__}"
        trace = None if said else (type(failure), failure, failure.__traceback__)
        for handler in handlers[1:]:
            handler.handle(logger.makeRecord("mt", logging.ERROR, "", 0, text, (), trace))
        raise
    finally:
        logger.setLevel(level)
        logger.propagate = propagate
        for handler in handlers:
            logger.removeHandler(handler)
            # closing writes what is buffered, which a full disk refuses
            with suppress(OSError):
                handler.close()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Without the warnings of libraries that the user of mt cannot act on."""
    with warnings.catch_warnings():
        for module in ("torch", "metatomic", "metatensor", "vesin", "ase"):
            warnings.filterwarnings("ignore", module=rf"{module}(\..*)?")
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        # metatomic's, by the line that calls it: mt says it in its own words, before training
        warnings.filterwarnings(
            "ignore", message="No length unit was provided", category=UserWarning
        )
        yield
