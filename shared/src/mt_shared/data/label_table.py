"""The table of labels that is shown before the first epoch.

What is in it is what training will see: a label that was lost, or read from the wrong key, shows
in the counts or in the numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.dataset import FOUND, MISSING, NOT_FINITE, VALUES, Dataset
from mt_shared.data.fingerprints import describe_duplicates
from mt_shared.options import WORD_OF, gradient_unit
from mt_shared.tables import columns

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

    def cells(self) -> tuple[str, ...]:
        """A line of the table."""
        return (
            f"  {self.label} ({self.unit})" if self.unit else f"  {self.label}",
            *map(str, (self.found, self.missing, self.not_finite)),
            *map(_number, (self.mean, self.std, self.min)),
            _shortened(self.min_frame),
            _number(self.max),
            _shortened(self.max_frame),
        )


@dataclass(frozen=True)
class LabelTable:
    """Rows, and two lines that may be empty: repeated structures, labels that are not used."""

    rows: tuple[LabelRow, ...]
    duplicates: str
    unused: str

    def format(self) -> str:
        """Text of 100 columns, but for names that are longer: a block for each split."""
        table: list[tuple[str, ...]] = []
        for i, row in enumerate(self.rows):
            if i == 0 or self.rows[i - 1].split != row.split:
                table.append((row.split, *_HEADER))
            table.append(row.cells())
        lines = [self.duplicates, self.unused]
        if table:
            # A name that leaves no room for the numbers stands on a line of its own, whole: its end
            # may be all that tells it from another.
            widths = [max(map(len, cells)) for cells in zip(*(row[1:] for row in table))]
            room = _MAX_WIDTH - sum(widths) - len(widths)
            short = [(name if len(name) <= room else "", *cells) for name, *cells in table]
            text = columns(short, right=range(1, 1 + len(widths)), gap=" ").splitlines()
            lines[:0] = chain.from_iterable(
                [name, line] if len(name) > room else [line]
                for (name, *_), line in zip(table, text)
            )
        return "\n".join(filter(None, lines))


def label_table(splits: Mapping[str, Sequence[Dataset]]) -> LabelTable:
    """Count and measure the labels of each split."""
    rows = []
    for split, datasets in splits.items():
        for name in dict.fromkeys(name for dataset in datasets for name in dataset.labels):
            having = [dataset.labels[name] for dataset in datasets if name in dataset.labels]
            parts = dict.fromkeys(part for labels in having for part in labels.parts)
            rows += [_row(split, datasets, name, part) for part in parts]
    unused = dict.fromkeys(
        key for parts in splits.values() for part in parts for key in part.unused_keys
    )
    return LabelTable(
        rows=tuple(rows),
        duplicates=describe_duplicates(
            {name: [part.structures for part in parts] for name, parts in splits.items()}
        ),
        unused=f"found, and not asked for: {', '.join(unused)}" if unused else "",
    )


def _row(split: str, datasets: Sequence[Dataset], name: str, part: str) -> LabelRow:
    # A data set that does not have the target lacks it throughout.
    status = np.concatenate(
        [d.status.get((name, part), np.full(len(d), MISSING)) for d in datasets]
    )
    having = [d for d in datasets if name in d.labels and part in d.labels[name].parts]
    label, unit = name, having[0].labels[name].unit
    if part != VALUES:
        word, length = _word(having[0], name, part), having[0].length_unit
        label = f"{name} {word}"
        unit = gradient_unit(word, unit, length) if unit and length else ""

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


def _word(dataset: Dataset, name: str, part: str) -> str:
    """What the file has, or what one usually says of a gradient."""
    return dataset.labels[name].gradient_kinds.get(part, WORD_OF[part])


def _numbers(
    datasets: Sequence[Dataset], name: str, part: str, name_files: bool
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """(n,) all numbers as the files have them, and the frame (n,) each is from."""
    numbers, frames = [], []
    for dataset in datasets:
        labels, structures = dataset.labels[name], dataset.structures
        array = labels.parts[part]
        if part != VALUES:
            # Forces, stress or virial instead of the derivatives that training uses.
            is_stress = _word(dataset, name, part) == "stress"
            array = array / structures.volumes[:, None, None] if is_stress else -array
        frame: NDArray[Any] = dataset.frames
        if labels.is_per_atom(part):
            frame = frame[structures.system_of_atom]
        if name_files:
            frame = np.char.add(f"{Path(dataset.source).stem}:", frame.astype(str))
        numbers.append(array.ravel())
        # As often as there are numbers in a row; of a slice, since there may be no row at all.
        frames.append(np.repeat(frame, array[:1].size))
    return np.concatenate(numbers), np.concatenate(frames)


def _number(value: float) -> str:
    """At most ten characters."""
    if np.isnan(value):
        return "-"
    return f"{value:.6g}" if 0.1 <= abs(value) < 1e6 else f"{value:.4g}"


def _shortened(frame: str) -> str:
    # The end of it, where the number is.
    return frame if len(frame) <= _MAX_FRAME else f"..{frame[-(_MAX_FRAME - 2) :]}"
