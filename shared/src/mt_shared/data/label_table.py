"""The table of labels that is shown before the first epoch.

What is in it is what training will see: a label that was lost, or read from the wrong key, shows
in the counts or in the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.dataset import FOUND, MISSING, NOT_FINITE, VALUES, Dataset
from mt_shared.data.duplicates import describe_duplicates

_HEADER = ("found", "missing", "NaN", "mean", "std", "min", "@frame", "max", "@frame")
_MAX_WIDTH = 100
_MAX_FRAME = 8


@dataclass(frozen=True)
class LabelRow:
    """One target or gradient in one split; numbers over structures, atoms and components.

    ``label`` is the target, with ``forces``, ``stress`` or ``virial`` for a gradient. Numbers are
    in the units of the file, NaN if there is no label. Counts are of structures. A frame is named
    by its number, with its file before it where the split has several.
    """

    split: str
    label: str
    unit: str
    found: int
    missing: int
    not_finite: int
    mean: float
    std: float
    min: float
    min_frame: str
    max: float
    max_frame: str


@dataclass(frozen=True)
class LabelTable:
    """Rows, and two lines that may be empty: repeated structures, labels that are not used."""

    rows: tuple[LabelRow, ...]
    duplicates: str
    unused: str

    def format(self) -> str:
        """Text of at most 100 columns: a block for each split."""
        table: list[tuple[str, ...]] = []
        for i, row in enumerate(self.rows):
            if i == 0 or self.rows[i - 1].split != row.split:
                table.append((row.split, *_HEADER))
            table.append(_cells(row))
        lines = _aligned(table) if table else []
        return "\n".join([*lines, *(line for line in (self.duplicates, self.unused) if line)])


def label_table(splits: Mapping[str, Sequence[Dataset]]) -> LabelTable:
    """Count and measure the labels of each split."""
    rows = [row for name, datasets in splits.items() for row in _split_rows(name, datasets)]
    structures = {name: [part.structures for part in parts] for name, parts in splits.items()}
    unused = dict.fromkeys(
        key for parts in splits.values() for part in parts for key in part.unused_keys
    )
    return LabelTable(
        rows=tuple(rows),
        duplicates=describe_duplicates(structures),
        unused=f"found, and not asked for: {', '.join(unused)}" if unused else "",
    )


def _split_rows(split: str, datasets: Sequence[Dataset]) -> Iterator[LabelRow]:
    names = dict.fromkeys(name for dataset in datasets for name in dataset.labels)
    for name in names:
        parts = dict.fromkeys(
            part
            for dataset in datasets
            if name in dataset.labels
            for part in (VALUES, *dataset.labels[name].gradients)
        )
        for part in parts:
            yield _row(split, datasets, name, part)


def _row(split: str, datasets: Sequence[Dataset], name: str, part: str) -> LabelRow:
    status = np.concatenate([_status(dataset, name, part) for dataset in datasets])
    having = [d for d in datasets if name in d.labels and (name, part) in d.status]
    label, unit = _title(having[0], name, part)
    numbers, frames = _numbers(having, name, part, len({d.source for d in datasets}) > 1)
    # Where every label is missing, the numbers are those of one NaN.
    known = np.isfinite(numbers)
    if known.any():
        numbers, frames = numbers[known], frames[known]
    else:
        numbers, frames = np.full(1, np.nan), np.array(["-"])
    low, high = int(numbers.argmin()), int(numbers.argmax())
    return LabelRow(
        split=split,
        label=label,
        unit=unit,
        found=int((status == FOUND).sum()),
        missing=int((status == MISSING).sum()),
        not_finite=int((status == NOT_FINITE).sum()),
        mean=float(numbers.mean()),
        std=float(numbers.std()),
        min=float(numbers[low]),
        min_frame=str(frames[low]),
        max=float(numbers[high]),
        max_frame=str(frames[high]),
    )


def _status(dataset: Dataset, name: str, part: str) -> NDArray[np.int8]:
    """(S,) status of a label; a data set that does not have the target lacks it throughout."""
    if (name, part) in dataset.status:
        return dataset.status[name, part]
    return np.full(len(dataset), MISSING)


def _title(dataset: Dataset, name: str, part: str) -> tuple[str, str]:
    """What a user calls the label, and its unit."""
    labels = dataset.labels[name]
    if part == VALUES:
        return name, labels.unit
    kind = _kind(dataset, name, part)
    if not labels.unit or not dataset.length_unit:
        return f"{name} {kind}", ""
    per = {"forces": f"/{dataset.length_unit}", "stress": f"/{dataset.length_unit}^3", "virial": ""}
    return f"{name} {kind}", f"{labels.unit}{per[kind]}"


def _kind(dataset: Dataset, name: str, part: str) -> str:
    usual = {"positions": "forces", "strain": "stress"}
    return {**usual, **dataset.labels[name].gradient_kinds}[part]


def _numbers(
    datasets: Sequence[Dataset], name: str, part: str, name_files: bool
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """(n,) all numbers as the files have them, and the frame (n,) each is from."""
    numbers, frames = [], []
    for dataset in datasets:
        labels, structures = dataset.labels[name], dataset.structures
        array = labels.values if part == VALUES else _as_in_file(dataset, name, part)
        per_atom = part == "positions" or (part == VALUES and labels.sample_kind == "atom")
        frame: NDArray[Any] = dataset.frames
        if per_atom:
            frame = frame[structures.system_of_atom]
        if name_files:
            frame = np.char.add(f"{Path(dataset.source).stem}:", frame.astype(str))
        numbers.append(array.ravel())
        frames.append(np.repeat(frame, array[:1].size))
    return np.concatenate(numbers), np.concatenate(frames)


def _as_in_file(dataset: Dataset, name: str, part: str) -> NDArray[np.float64]:
    """Forces, stress or virial instead of the derivatives that training uses."""
    gradient = dataset.labels[name].gradients[part]
    if _kind(dataset, name, part) != "stress":
        return -gradient
    volumes = dataset.structures.volumes
    # Without a cell there is no stress, and the gradient is NaN already.
    return gradient / np.where(volumes > 0, volumes, 1.0)[:, None, None]


def _cells(row: LabelRow) -> tuple[str, ...]:
    unit = f" ({row.unit})" if row.unit else ""
    return (
        f"  {row.label}{unit}",
        str(row.found),
        str(row.missing),
        str(row.not_finite),
        *(_number(x) for x in (row.mean, row.std)),
        _number(row.min),
        _last(row.min_frame, _MAX_FRAME),
        _number(row.max),
        _last(row.max_frame, _MAX_FRAME),
    )


def _number(value: float) -> str:
    """At most ten characters."""
    if np.isnan(value):
        return "-"
    return f"{value:.6g}" if 0.1 <= abs(value) < 1e6 else f"{value:.4g}"


def _last(text: str, width: int) -> str:
    return text if len(text) <= width else f"..{text[-(width - 2) :]}"


def _first(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    room = _MAX_WIDTH - sum(widths[1:]) - len(widths[1:])
    widths[0] = min(widths[0], room)
    lines = []
    for name, *cells in table:
        texts = [cell.rjust(w) for cell, w in zip(cells, widths[1:], strict=True)]
        lines.append(" ".join([_first(name, widths[0]).ljust(widths[0]), *texts]))
    return lines
