"""Text for a terminal: how wide it is, and what is broken into lines to fit."""

import shutil
import sys
from collections.abc import Iterable, Iterator
from textwrap import wrap


def terminal_width(otherwise: int) -> int:
    """In letters; ``otherwise`` where the output goes to a file or to another program."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else otherwise


def wrapped(text: str, width: int, margin: str = "") -> list[str]:
    """A text in lines that begin with ``margin``; words stay whole, even if one is wider."""
    return wrap(
        text,
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        # names, commands and addresses are copied from here
        break_long_words=False,
        break_on_hyphens=False,
    )


def labelled(facts: Iterable[tuple[str, str]], width: int, margin: str = "") -> Iterator[str]:
    """Lines with a label and what it says, broken into lines, one below the other."""
    facts = list(facts)
    hang = margin + " " * (max(len(label) for label, _ in facts) + 2)
    for label, fact in facts:
        first, *others = wrapped(fact, width, hang)
        yield from [(margin + label).ljust(len(hang)) + first[len(hang) :], *others]
