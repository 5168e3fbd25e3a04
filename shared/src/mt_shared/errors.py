"""Errors that are meant for the user: the command line shows them without a traceback."""

import re
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
    if matches:
        return matches[0]
    # SOAP_BPNN has no letter in common with soap_bpnn
    small = {each.lower(): each for each in known}
    matches = get_close_matches(name.lower(), small, n=1, cutoff=0.6)
    return small[matches[0]] if matches else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` to append to a message, or nothing."""
    match = nearest(name, candidates)
    return f" (did you mean '{match}'?)" if match else ""


def shortened(text: str, length: int = 60) -> str:
    """A text of others as an error quotes it: on one line, and without its middle if it is long."""
    line = " ".join(text.split())
    half = (length - 5) // 2
    return line if len(line) <= length else f"{line[:half]} ... {line[-half:]}"


def plain_number(text: str) -> str | None:
    """The number that a text was meant as, as it has to be written, or None if it is none.

    ``1.0D-03`` is 1.0e-03, ``0,5`` is 0.5, ``1_000`` is 1000, ``10%`` is 0.1.
    """
    # dashes that text processors make of a minus
    spelled = re.sub("[\N{MINUS SIGN}\N{EN DASH}]", "-", text.strip().strip("\"'"))
    spelled = re.sub(r"[dD](?=[-+]?\d+$)", "e", spelled)
    if re.fullmatch(r"[-+]?[1-9]\d{0,2}([,_]\d{3})+", spelled):
        spelled = re.sub("[,_]", "", spelled)
    else:
        spelled = spelled.replace(",", ".").replace("_", "")
    number = spelled.removesuffix("%")
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", number):
        return None
    return number if number == spelled else f"{float(number) / 100:g}"


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether the memory of the machine or of a device was not enough."""
    if isinstance(failure, MemoryError):
        return True
    # metatomic raises an error of its own, by the one that says why
    if failure.__cause__ is not None and is_out_of_memory(failure.__cause__):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(failure, torch.OutOfMemoryError):
        return True
    # on a CPU, and from inside a TorchScript program, torch raises a plain RuntimeError
    signs = ("not enough memory", "out of memory", "can't allocate memory")
    return isinstance(failure, RuntimeError) and any(sign in str(failure) for sign in signs)
