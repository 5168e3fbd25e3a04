"""What TorchScript refuses, in a few lines: of its own words, some errors fill several screens."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mt_shared.errors import ArchitectureError, UserError, is_out_of_memory

_PLACE = re.compile(r'File "([^"]+)", line (\d+)')
_SAYS_NOTHING = ("", "The original call is", "The following variants are available")
# of a call that has many forms, why it is not the first of them
_MAX_REASONS = 3
# before the places of an error at run time, the innermost last; of a loaded program, those in its
# generated files come before those in the source
_AT_RUN_TIME = re.compile(r"Traceback of TorchScript.*\(most recent call last\):")


@contextmanager
def explained(model: torch.nn.Module, what: str, advice: str = "") -> Iterator[None]:
    """Tell what a model fails with, in a few lines by the author's source.

    :param what: what has failed, the beginning of the error
    :param advice: its end
    """
    try:
        yield
    # a full disk and faults of the user's, which say what to do already
    except (OSError, UserError):
        raise
    # TorchScript's errors have no class in common
    except Exception as error:
        if is_out_of_memory(error):
            raise
        cause = torchscript_cause(model, error)
        raise ArchitectureError("\n".join(filter(None, (what, cause, advice)))) from error


def torchscript_cause(model: torch.nn.Module, error: Exception) -> str:
    """File, line and source of what is refused, and why, in at most ten lines.

    :param model: whose code was compiled or run: where the innermost place is in other code, the
        place in the author's that led there is shown too
    """
    # metatomic says no more than that it has failed
    cause = error if error.__cause__ is None else error.__cause__
    text = str(cause)
    *before, last = _AT_RUN_TIME.split(text)
    places = [(file, int(line)) for file, line in _PLACE.findall(last) if Path(file).is_file()]
    if before:
        places.reverse()
        reasons = last.strip().splitlines()[-1:]
    else:
        said = [line.strip().rstrip(" :") for line in text.partition('  File "')[0].splitlines()]
        first, *more = [line for line in said if line not in _SAYS_NOTHING] or [""]
        reasons = [f"{type(cause).__name__}: {first}", *more[: _MAX_REASONS - 1]]
    package = sys.modules.get(type(model).__module__.partition(".")[0])
    folders = {Path(folder).resolve() for folder in getattr(package, "__path__", [])}
    own = [place for place in places if folders.intersection(Path(place[0]).resolve().parents)]
    shown = [
        f"{file}, line {line}:\n    {linecache.getline(file, line).strip()}"
        for file, line in dict.fromkeys([*places[:1], *own[:1]])
    ]
    return "\n".join([*shown, *reasons])
