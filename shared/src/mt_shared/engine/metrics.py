"""Root mean square and mean absolute errors: what is compared with what, and in which unit.

An epoch's line, ``mt eval`` and the final table use it, and so may a fit in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mt_shared.contract import TargetInfo
from mt_shared.data import Batch, GraphStore
from mt_shared.engine.prediction import Prediction, part
from mt_shared.options import WORD_OF

# Of numpy or of torch: nothing here needs to know which.
Array = Any

ROUNDING = 1e-6
"""An error no larger than this, of numbers that are of order one, is rounding of float32."""


@dataclass(frozen=True)
class Metric:
    """One kind of error: what it is called, its unit, and the factor into that unit.

    :param gradient: ``""`` for the values of the target themselves, or ``positions``, ``strain``
    :param per: ``atom`` or ``volume``, by which predictions and labels are divided, or ``""``
    """

    target: str
    gradient: str
    label: str
    unit: str
    factor: float
    per: str = ""

    def compared(self, array: Array, num_atoms: Array, volumes: Array) -> Array:
        """What is compared of predictions, labels or their differences: by atom, or by volume.

        :param array: values (S, ...) or (A, ...), or a derivative: ``positions`` (A, 3), ``strain``
            (S, 3, 3); forces and the virial, which differ from it in sign, will do as well
        :param num_atoms: (S,)
        :param volumes: (S,), NaN for a structure without a volume: its stress is NaN, and no label
        """
        if self.per == "":
            return array
        return divided(array, num_atoms if self.per == "atom" else volumes)

    def line(self, train: float, val: float, kind: str = "RMSE") -> str:
        """Both errors for a log: ``forces 10.1 (val 12.3) meV/A``; ``-`` where there is none."""
        label = self.label if kind == "RMSE" else f"{self.label} {kind}"
        # without labels there is no error
        errors = ["-" if math.isnan(error) else f"{error:.4g}" for error in (train, val)]
        return f"{label} {errors[0]} (val {errors[1]}) {self.unit}"


def divided(array: Array, divisors: Array) -> Array:
    """Each row of an array (S, ...) by its divisor (S,)."""
    return array / divisors.reshape(-1, *[1] * (array.ndim - 1))


def metrics_of(targets: dict[str, TargetInfo], length_unit: str) -> list[Metric]:
    """The errors that are reported: energies by atom, forces, stress; in meV and A if possible."""
    metrics = []
    length = "A" if length_unit.lower() in ("angstrom", "a") else length_unit or "length"
    for name, target in targets.items():
        # users of eV think in meV; other units are taken as they are
        unit, factor = ("meV", 1e3) if target.unit == "eV" else (target.unit, 1.0)
        per = "atom" if target.by_atom else ""
        by_atom_unit = f"{unit}/atom" if unit else "per atom"
        metrics.append(Metric(name, "", name, by_atom_unit if per else unit, factor, per))
        for gradient in target.gradients:
            word = WORD_OF[gradient]
            label = word if name == "energy" else f"{name} {word}"
            per, power = ("", "") if gradient == "positions" else ("volume", "^3")
            gradient_unit = f"{unit}/{length}{power}" if unit else ""
            metrics.append(Metric(name, gradient, label, gradient_unit, factor, per))
    return metrics


class ErrorSums:
    """Sums of one kind of error over structures, from which its two means follow.

    :param sums: number of elements, sum of squares, sum of absolute values: an array of float64, or
        a tensor on the device of a training
    """

    def __init__(self, metric: Metric, sums: Array | None = None):
        self.metric = metric
        self.sums = np.zeros(3) if sums is None else sums

    def add(
        self,
        predicted: Array,
        label: Array,
        num_atoms: Array,
        volumes: Array,
        complete: bool = False,
    ) -> None:
        """Take note of some structures; labels that are not finite are missing and do not count.

        For the arguments see :meth:`Metric.compared`.

        :param complete: whether it is known that no label is missing
        """
        error = self.metric.compared(predicted - label, num_atoms, volumes)
        if not complete:
            # The label decides, not the error: a prediction of NaN must not pass for no label. A
            # GPU has to be waited for here, since the number of errors depends on the data.
            error = error[abs(self.metric.compared(label, num_atoms, volumes)) < math.inf]
        # errors of float32 are squared as they are, but added up in float64
        kind = self.sums.dtype
        self.sums[0] += math.prod(error.shape)
        self.sums[1] += (error * error).sum(dtype=kind)
        self.sums[2] += abs(error).sum(dtype=kind)

    @property
    def number(self) -> int:
        """How many elements were compared."""
        return int(self.sums[0])

    @property
    def rmse(self) -> float:
        """In the unit of the metric; NaN without labels, infinite if a prediction is NaN."""
        return self.metric.factor * math.sqrt(self._mean(1))

    @property
    def mae(self) -> float:
        """As :attr:`rmse`."""
        return self.metric.factor * self._mean(2)

    def _mean(self, column: int) -> float:
        number, total = float(self.sums[0]), float(self.sums[column])
        if not number:
            return math.nan
        # the best model is the one with the least error, and NaN would be less than nothing
        return math.inf if math.isnan(total) else total / number


class EpochErrors:
    """The errors of the batches of an epoch, on the device of the data.

    :param metrics: M, whose factors turn the model's raw numbers into their units
    :param store: of the structures, of which each batch holds some
    :param sums: (M, 3) of the steps that are done; None at the beginning
    """

    def __init__(self, metrics: list[Metric], store: GraphStore, sums: Tensor | None):
        if sums is None:
            sums = torch.zeros(len(metrics), 3, dtype=torch.float64, device=store.volumes.device)
        self.sums = sums
        self.metrics = metrics
        self.all_have_volumes = store.all_have_volumes

    @torch.no_grad()
    def update(self, predictions: dict[str, Prediction], batch: Batch) -> None:
        """Add the errors of a batch; missing labels do not count."""
        for metric, sums in zip(self.metrics, self.sums):
            target = batch.targets[metric.target]
            predicted = part(predictions[metric.target], metric.gradient)
            label = part(target, metric.gradient)
            complete = target.complete[metric.gradient]
            complete &= metric.per != "volume" or self.all_have_volumes
            errors = ErrorSums(metric, sums)
            errors.add(predicted, label, batch.num_atoms, batch.volumes, complete)

    def results(self) -> dict[str, float]:
        """``{"energy RMSE": ..., "energy MAE": ...}`` in the units of the metrics."""
        results = {}
        for metric, sums in zip(self.metrics, self.sums.cpu()):
            errors = ErrorSums(metric, sums)
            results[f"{metric.label} RMSE"] = errors.rmse
            results[f"{metric.label} MAE"] = errors.mae
        return results


def selection_metric(kind: str, results: dict[str, float], metrics: list[Metric]) -> float:
    """What the best model has least of.

    ``rmse_prod`` and ``mae_prod`` are products over targets and gradients: halving the error of
    the forces counts as much as halving that of the energy, whatever their units.

    :return: infinite if a prediction is NaN; NaN if nothing has labels
    """
    if kind == "loss":
        return math.inf if math.isnan(results["loss"]) else results["loss"]
    suffix = {"rmse_prod": "RMSE", "mae_prod": "MAE"}[kind]
    # Where an error is as small as rounding, such as that of forces which are zero by symmetry, it
    # is noise, by which no model is better than another.
    errors = [
        max(results[f"{metric.label} {suffix}"], metric.factor * ROUNDING) for metric in metrics
    ]
    # what has no labels in the validation set is left out
    errors = [error for error in errors if not math.isnan(error)]
    return math.prod(errors) if errors else math.nan
