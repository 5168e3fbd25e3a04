"""What a user sees of a fit: its errors, in the log and in ``train.csv``."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

from mt_gap.data import Data
from mt_shared.engine import ErrorSums, Metric

log = logging.getLogger("mt.train")

Errors = dict[str, float]
"""Root mean square errors by metric, in its unit; NaN where there are no labels."""


def errors_of(left: Data, metrics: list[Metric]) -> Errors:
    """The errors of a model, from what it leaves unexplained."""
    structures, found = left.structures, {}
    for metric in metrics:
        errors = ErrorSums(metric)
        array = left.labels.values
        if metric.gradient:
            array = left.labels.gradients[metric.gradient]
        # predictions are off these labels: the errors are those of a prediction of zero
        errors.add(0.0, array, structures.atoms_per_system, structures.volumes)
        found[metric.label] = errors.rmse
    return found


def write_errors(folder: Path, metrics: list[Metric], train: Errors, val: Errors) -> None:
    """One row in ``train.csv``, whose columns are named as those of a training over epochs."""
    row = {}
    for split, errors in (("train", train), ("val", val)):
        for metric in metrics:
            unit = f" [{metric.unit}]" if metric.unit else ""
            row[f"{split} {metric.label} RMSE{unit}"] = repr(errors[metric.label])
    with (folder / "train.csv").open("w", newline="") as file:
        csv.writer(file).writerows([row.keys(), row.values()])


def log_errors(metrics: list[Metric], train: Errors, val: Errors) -> None:
    """One line in the log."""
    parts = [metric.line(train[metric.label], val[metric.label]) for metric in metrics]
    log.info(" | ".join(["fit", *parts]))
