"""What fails in the code of an architecture's classes, told as a fault of that code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mt_shared.contract import CodeInCheckpoint, misfit, read_checkpoint
from mt_shared.errors import ArchitectureError, UserError, is_out_of_memory
from mt_shared.registry import place_in_source

_LONGEST = 300


@contextmanager
def failing(
    owner: type, method: str, context: str | None = None, checkpoint: dict[str, Any] | None = None
) -> Iterator[None]:
    """Tell what fails in a method of an architecture's class, with its place.

    :param context: what the method was called for
    :param checkpoint: of a user, who wants to know with which version it can be read
    :raises ArchitectureError: names the method, what it raised, and where
    """
    try:
        yield
    # a full disk
    except OSError:
        raise
    except UserError as error:
        # or what such a class refuses by itself: a user is told in its words
        if checkpoint is not None or isinstance(error.__cause__, OSError):
            raise
        raise ArchitectureError(f"{_failed(owner, method, context)}: {error}") from error
    # whatever an author's code raises is told as that code's fault
    except Exception as error:
        if is_out_of_memory(error):
            raise
        place = place_in_source(error, owner.__module__.partition(".")[0])
        where = "" if place is None else f" ({place})"
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}"
        advice = "" if checkpoint is None else f". {misfit(checkpoint)}"
        raise ArchitectureError(
            f"{_failed(owner, method, context)}: {said}{where}{advice}"
        ) from error


def _failed(owner: type, method: str, context: str | None) -> str:
    when = "" if context is None else f" for '{context}'"
    return f"the checkpoint does not come back: {method} of {owner.__name__}{when} failed"


def read_own(path: Path, writer: type) -> dict[str, Any]:
    """A checkpoint that was written here just now.

    :raises ArchitectureError: it could not be read without running code
    """
    try:
        return read_checkpoint(path)
    except CodeInCheckpoint as error:
        raise ArchitectureError(
            f"save_checkpoint of {writer.__name__} has written objects ({error.names}), and nobody "
            "reads such a file, since reading it would run code: turn them into tensors and plain "
            "values (to_dict(), .tolist(), str()), and write by write_checkpoint of "
            "mt_shared.contract, which names their place"
        ) from error
