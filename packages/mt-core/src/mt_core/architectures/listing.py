"""``mt list``: the architectures, installed or to be had, with their stage and abilities."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import Any

from mt_core.architectures.capability_words import finetuning_of, gradients_of, targets_of
from mt_core.architectures.installed import people_of
from mt_core.architectures.lifecycle import LifeCycle, first_party, notice, stage_of
from mt_core.architectures.terminal import labelled, terminal_width, wrapped
from mt_shared.registry import ArchitectureEntry, People, distribution_name, installed
from mt_shared.tables import columns

HEADER = (
    *("NAME", "STAGE", "VERSION", "DISTRIBUTION"),
    *("TARGETS", "GRADIENTS", "FINE-TUNING", "MAINTAINERS", "INSTALLED"),
)
_GAP = "  "
_UNKNOWN = "-"
# These may be broken into lines where the terminal is narrow, the others are names.
_FIRST_TO_BREAK = HEADER.index("TARGETS")


@dataclass(frozen=True)
class Row:
    """One architecture of the list; ``remedy`` says how to get it, ``error`` why it is broken."""

    name: str
    life_cycle: LifeCycle
    installed: bool
    distribution: str
    version: str | None = None
    summary: str = ""
    capabilities: dict[str, Any] | None = None
    maintainers: People = ()
    error: str | None = None
    remedy: str | None = None


def rows() -> list[Row]:
    """Every installed and every first-party architecture, by name."""
    entries = installed()
    return [_row(name, entries.get(name)) for name in sorted({*entries, *first_party()})]


def _row(name: str, entry: ArchitectureEntry | None) -> Row:
    if entry is None:
        distribution = distribution_name(name)
        remedy = f"pip install {distribution}"
        return Row(name, stage_of(name), False, distribution, remedy=remedy)
    return Row(
        name=name,
        life_cycle=stage_of(name, entry.distribution),
        installed=True,
        distribution=entry.distribution,
        version=entry.version,
        summary=entry.summary,
        capabilities=entry.capabilities,
        maintainers=entry.maintainers,
        error=entry.error,
    )


def as_json(listed: list[Row]) -> str:
    """The list for programs."""
    import json

    plain = []
    for row in listed:
        facts = asdict(row)
        # the life cycle goes beside the other facts, its days as text
        life_cycle = facts.pop("life_cycle")
        days = {key: str(day) for key, day in life_cycle.items() if day is not None}
        plain.append({"name": facts.pop("name"), **life_cycle, **days, **facts})
    return json.dumps(plain, indent=2)


def as_table(listed: list[Row], width: int | None = None) -> str:
    """The list for people: a table, and what else has to be said of single ones.

    Long cells are broken into lines to fit the width. Where the names alone are wider, each
    architecture gets lines of its own instead.

    :param width: in letters; None: as wide as the terminal, without a bound where there is none
    """
    width = width or terminal_width(otherwise=sys.maxsize)
    cells = [_cells(row) for row in listed]
    widths = _fitted([HEADER, *cells], width)
    if widths is None:
        lines = [line for row in cells for line in _block(row, width)]
    else:
        broken = [[wrapped(*cell) for cell in zip(row, widths)] for row in (HEADER, *cells)]
        table = [line for row in broken for line in zip_longest(*row, fillvalue="")]
        lines = [columns(table, gap=_GAP)]
    for row in listed:
        remarks = [f"{row.name} is broken: {row.error}"] if row.error else []
        if row.life_cycle.stage == "deprecated":
            remarks.append(str(notice(row.name, row.life_cycle)))
        for remark in remarks:
            lines += wrap(remark, width, subsequent_indent="  ", break_long_words=False)
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    able = row.capabilities
    abilities = (targets_of, gradients_of, finetuning_of)
    return (
        *(row.name, row.life_cycle.stage, row.version or _UNKNOWN, row.distribution),
        *(_UNKNOWN if able is None else words(able) for words in abilities),
        people_of(row.maintainers),
        "broken" if row.error else row.remedy or "yes",
    )


# ---- layout


def _fitted(cells: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Widths of the columns, some of those that may be broken narrowed until all fit; or None."""
    by_column = list(zip(*cells, strict=True))
    widths = [max(map(len, column)) for column in by_column]
    # words stay whole
    least = [max(len(word) for cell in column for word in cell.split()) for column in by_column]
    room = width - len(_GAP) * (len(HEADER) - 1)
    breakable = range(_FIRST_TO_BREAK, len(HEADER))
    # those that give most come first, so that few columns are broken
    for column in sorted(breakable, key=lambda each: least[each] - widths[each]):
        excess = max(sum(widths) - room, 0)
        widths[column] = max(least[column], widths[column] - excess)
    return widths if sum(widths) <= room else None


def _block(row: Sequence[str], width: int) -> Iterator[str]:
    """One architecture on lines of its own, one for each thing that is known of it."""
    yield row[0]
    labels = map(str.lower, HEADER[1:])
    known = [(label, fact) for label, fact in zip(labels, row[1:]) if fact != _UNKNOWN]
    yield from labelled(known, width, "  ")
