"""``mt list``: the architectures, installed or to be had, with their stage and abilities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mt_core.lifecycle import first_party, stage_of
from mt_shared.registry import ArchitectureEntry, distribution_name, installed

HEADER = ("NAME", "STAGE", "VERSION", "DISTRIBUTION", "TARGETS", "GRADIENTS", "FINE-TUNING")


@dataclass(frozen=True)
class Row:
    """One architecture of the list; ``remedy`` says how to get it, ``error`` why it is broken."""

    name: str
    stage: str
    since: str
    installed: bool
    distribution: str
    version: str | None
    capabilities: dict[str, Any] | None
    error: str | None
    remedy: str | None


def rows() -> list[Row]:
    """Every installed and every first-party architecture, by name."""
    entries = installed()
    names = sorted({*entries, *first_party()})
    return [_row(name, entries.get(name)) for name in names]


def as_json(listed: list[Row]) -> str:
    """The list for programs."""
    import json

    return json.dumps([asdict(row) for row in listed], indent=2)


def as_table(listed: list[Row]) -> str:
    """The list for people: a table, and a line for each one that is broken or missing."""
    cells = [HEADER, *(_cells(row) for row in listed)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    lines += [f"{row.name} is broken: {row.error}" for row in listed if row.error]
    lines += [f"{row.name} is not installed: {row.remedy}" for row in listed if row.remedy]
    return "\n".join(lines)


def _row(name: str, entry: ArchitectureEntry | None) -> Row:
    life_cycle = stage_of(name)
    distribution = entry.distribution if entry else distribution_name(name)
    return Row(
        name=name,
        stage=life_cycle.stage,
        since=life_cycle.since,
        installed=entry is not None,
        distribution=distribution,
        version=entry.version if entry else None,
        capabilities=entry.capabilities if entry else None,
        error=entry.error if entry else None,
        remedy=None if entry else f"pip install {distribution}",
    )


def _cells(row: Row) -> tuple[str, ...]:
    version = "broken" if row.error else row.version or "-"
    able = row.capabilities
    if able is None:
        return (row.name, row.stage, version, row.distribution, "-", "-", "-")
    targets = ", ".join(
        f"{kind} per {' and '.join(samples)}" for kind, samples in able["targets"].items()
    )
    gradients = ", ".join(able["gradients"]) or "none"
    finetuning = ", ".join(able["finetuning"]) or "none"
    return (row.name, row.stage, version, row.distribution, targets, gradients, finetuning)
