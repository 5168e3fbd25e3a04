"""What a user sees of a fit: its errors, in the log and in ``train.csv``."""

from __future__ import annotations

import csv
import logging
import math
from pathlib import Path

import numpy as np

from mt_gap.data import Data, less, without_composition
from mt_gap.fitting import raw_predictions
from mt_gap.model import Gap
from mt_shared.data import TargetLabels
from mt_shared.engine import Metric, normalizations

log = logging.getLogger("mt.train")

Errors = dict[str, float]
"""Root mean square errors by metric, in its unit; NaN where there are no labels."""


def unexplained(model: Gap, data: Data) -> Data:
    """The labels less what the model says of them; repulsion is off the labels already."""
    name = model.energy_name
    baseline = normalizations(model, [name])[name]
    left = without_composition(data, model.dataset_info.targets[name], baseline.composition)
    if not model.is_fitted or not data.structures.num_systems:
        return left
    raw = raw_predictions(model, data.structures, data.gradients)
    gradients = {each: baseline.scale * array for each, array in raw.gradients.items()}
    return less(left, TargetLabels(baseline.scale * raw.values, gradients))


def errors_of(left: Data, metrics: list[Metric]) -> Errors:
    """The errors of a model, from what it leaves unexplained."""
    return {metric.label: metric.factor * _rmse(_array(left, metric)) for metric in metrics}


def _array(left: Data, metric: Metric) -> np.ndarray:
    structures = left.structures
    if metric.gradient == "":
        return left.labels.values / structures.atoms_per_system[:, None]
    array = left.labels.gradients.get(metric.gradient, np.zeros(0))
    if metric.gradient == "strain" and len(array):
        volumes = np.where(structures.pbc.all(axis=1), structures.volumes, np.nan)
        return array / volumes[:, None, None]
    return array


def _rmse(errors: np.ndarray) -> float:
    finite = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else math.nan


def write_errors(folder: Path, metrics: list[Metric], train: Errors, val: Errors) -> None:
    """One row in ``train.csv``, whose columns are named as those of a training over epochs."""
    columns = [("train", train, metric) for metric in metrics]
    columns += [("val", val, metric) for metric in metrics]
    with (folder / "train.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([_column(split, metric) for split, _, metric in columns])
        writer.writerow([repr(errors[metric.label]) for _, errors, metric in columns])


def _column(split: str, metric: Metric) -> str:
    unit = f" [{metric.unit}]" if metric.unit else ""
    return f"{split} {metric.label} RMSE{unit}"


def say_errors(metrics: list[Metric], train: Errors, val: Errors) -> None:
    """One line in the log."""
    parts = [
        f"{metric.label} {train[metric.label]:.4g} (val {val[metric.label]:.4g}) {metric.unit}"
        for metric in metrics
    ]
    log.info(" | ".join(["fit", *parts]))
