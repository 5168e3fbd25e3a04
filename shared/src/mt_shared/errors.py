"""Errors that are meant for the user: the command line shows them without a traceback."""

import sys
from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """What happened, where, what was expected and what to do: the message says all four."""


class OptionsError(UserError):
    """A fault in an options file, in hypers or in a flag of the command line."""


class DataError(UserError):
    """A fault in the structures or labels of a data set."""


class ArchitectureError(UserError):
    """An architecture is not installed, cannot be loaded or does not keep the contract."""


class CheckpointError(UserError):
    """A checkpoint or an exported model cannot be read or does not fit."""


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that looks most like ``name``, if any looks alike at all."""
    known = list(candidates)
    matches = get_close_matches(name, known, n=1, cutoff=0.6)
    # SOAP_BPNN has no letter in common with soap_bpnn
    matches = matches or get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` to append to a message, or nothing."""
    match = nearest(name, candidates)
    return f" (did you mean '{match}'?)" if match else ""


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether the memory of the machine or of a device was not enough."""
    if isinstance(failure, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(failure, torch.OutOfMemoryError):
        return True
    # on a CPU, and from inside a TorchScript program, torch raises a plain RuntimeError
    signs = ("not enough memory", "out of memory", "can't allocate memory")
    return isinstance(failure, RuntimeError) and any(sign in str(failure) for sign in signs)
