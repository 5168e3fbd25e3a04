"""Rows of the table, their file, and what there is to know of the machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
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
        return median(self.ours) / median(self.metatrain)

    @property
    def reached(self) -> bool | None:
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
    padded = [map(str.ljust, line, widths) for line in (cells[0], rule, *cells[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def write_json(path: Path, conditions: dict[str, Any], **values: Any) -> None:
    """All values, for those who do not like medians."""
    text = json.dumps({"conditions": conditions, **values}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What a reader needs to judge the numbers by, and no name."""
    load = os.getloadavg()[0]
    return {"cores": os.cpu_count(), "machine": platform.machine(), "load_at_start": load}
