"""Rows of the table, their file, and what there is to know of the machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

HEADER = ("figure", "ours", "metatrain", "ratio", "goal", "reached")


@dataclass(frozen=True)
class Row:
    """One figure: all values of both sides, smaller is better.

    :param goal: largest ratio of the medians, ours over metatrain's; None: only told
    """

    figure: str
    unit: str
    ours: list[float]
    metatrain: list[float]
    goal: float | None

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return median(self.ours) / median(self.metatrain)

    @property
    def reached(self) -> bool | None:
        """None where there is no goal."""
        return None if self.goal is None else self.ratio <= self.goal

    def cells(self) -> tuple[str, ...]:
        """As text, under HEADER."""
        goal = "" if self.goal is None else f"{self.goal:.3g}"
        reached = {True: "yes", False: "no", None: ""}[self.reached]
        ours, metatrain = (spread(values, self.unit) for values in (self.ours, self.metatrain))
        return self.figure, ours, metatrain, f"{self.ratio:.3f}", goal, reached


def spread(values: list[float], unit: str) -> str:
    """Median (smallest-largest)."""
    return f"{median(values):.4g} {unit} ({min(values):.4g}-{max(values):.4g})"


def table(cells: Sequence[tuple[str, ...]]) -> str:
    """Markdown, which is also readable in a terminal."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    rule = tuple("-" * width for width in widths)
    lines = [cells[0], rule, *cells[1:]]
    return "\n".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |"
        for line in lines
    )


def write_json(path: Path, conditions: dict[str, Any], **values: Any) -> None:
    """All values, for those who do not like medians."""
    text = json.dumps({"conditions": conditions, **values}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def figures_of(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows for the file."""
    return [asdict(row) | {"ratio": row.ratio, "reached": row.reached} for row in rows]


def machine() -> dict[str, Any]:
    """What a reader needs to judge the numbers by, and no name."""
    load = os.getloadavg()[0]
    return {"cores": os.cpu_count(), "machine": platform.machine(), "load_at_start": load}
