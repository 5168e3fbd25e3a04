"""What TorchScript refuses, in a few lines: of its own words, some errors fill several screens."""

from __future__ import annotations

import linecache
import re
import sys
from pathlib import Path

import torch

_PLACE = re.compile(r'File "([^"]+)", line (\d+)')
_SAYS_NOTHING = ("", "The original call is", "The following variants are available")
# of a call that has many forms, why it is not the first of them
_MAX_REASONS = 3
# before the places of an error at run time, the innermost last; of a loaded program, those in its
# generated files come before those in the source
_AT_RUN_TIME = re.compile(r"Traceback of TorchScript.*\(most recent call last\):")


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
        reasons = [line for line in said if line not in _SAYS_NOTHING][:_MAX_REASONS]
        reasons[:1] = [f"{type(cause).__name__}: {line}" for line in reasons[:1] or [""]]
    package = sys.modules.get(type(model).__module__.partition(".")[0])
    folders = {Path(folder).resolve() for folder in getattr(package, "__path__", [])}
    own = [place for place in places if folders.intersection(Path(place[0]).resolve().parents)]
    shown = [
        f"{file}, line {line}:\n    {linecache.getline(file, line).strip()}"
        for file, line in dict.fromkeys([*places[:1], *own[:1]])
    ]
    return "\n".join([*shown, *reasons])
