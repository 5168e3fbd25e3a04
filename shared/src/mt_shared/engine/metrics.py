"""Root mean square and mean absolute errors, summed up over batches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from mt_shared.contract import TargetInfo
from mt_shared.data import Batch
from mt_shared.engine.prediction import Prediction

PREFIXES = {"eV": ("meV", 1e3)}


@dataclass(frozen=True)
class Metric:
    """One kind of error: what it is called, its unit, and the factor into that unit."""

    target: str
    gradient: str
    label: str
    unit: str
    factor: float


def metrics_of(
    targets: dict[str, TargetInfo], length_unit: str, per_structure: tuple[str, ...] = ()
) -> list[Metric]:
    """The errors that are reported: energies by atom, forces, stress; in meV and A if possible."""
    metrics = []
    for name, target in targets.items():
        unit, factor = PREFIXES.get(target.unit, (target.unit, 1.0))
        by_atom = not target.per_atom and name not in per_structure
        by_atom_unit = f"{unit}/atom" if unit else "per atom"
        metrics.append(Metric(name, "", name, by_atom_unit if by_atom else unit, factor))
        length = "A" if length_unit.lower() in ("angstrom", "a") else length_unit or "length"
        for gradient in target.gradients:
            label = "forces" if gradient == "positions" else "stress"
            label = label if name == "energy" else f"{name} {label}"
            per = f"/{length}" if gradient == "positions" else f"/{length}^3"
            metrics.append(Metric(name, gradient, label, f"{unit}{per}" if unit else "", factor))
    return metrics


class ErrorSums:
    """Sums of squared and absolute errors of each metric, in float64.

    :param scales: by target, what turns the model's raw numbers into the unit of the target
    """

    def __init__(
        self,
        metrics: list[Metric],
        scales: dict[str, float],
        per_structure: tuple[str, ...],
        device: torch.device,
    ):
        self.metrics = metrics
        self.scales = scales
        self.per_structure = per_structure
        # columns: number of elements, sum of squares, sum of absolute values
        self.sums = torch.zeros(len(metrics), 3, dtype=torch.float64, device=device)

    def update(self, predictions: dict[str, Prediction], batch: Batch) -> None:
        """Add the errors of a batch; missing labels do not count."""
        with torch.no_grad():
            for row, metric in enumerate(self.metrics):
                error, label = self._compared(metric, predictions[metric.target], batch)
                if not batch.targets[metric.target].complete[metric.gradient]:
                    error = error[torch.isfinite(label)]
                self.sums[row, 0] += error.numel()
                self.sums[row, 1] += error.square().sum(dtype=torch.float64)
                self.sums[row, 2] += error.abs().sum(dtype=torch.float64)

    def _compared(
        self, metric: Metric, prediction: Prediction, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The errors, and the labels, which are not finite where there is none."""
        target = batch.targets[metric.target]
        if metric.gradient == "":
            error = prediction.values - target.values
            if not target.per_atom and metric.target not in self.per_structure:
                error = error / batch.num_atoms.unsqueeze(1)
            return error, target.values
        label = target.gradients[metric.gradient]
        error = prediction.gradients[metric.gradient] - label
        if metric.gradient == "positions":
            return error, label
        # a structure without a cell has a NaN label
        return error / batch.volumes.reshape(-1, 1, 1), label

    def results(self) -> dict[str, float]:
        """``{"energy RMSE": ..., "energy MAE": ...}`` in the units of the metrics.

        NaN without labels, infinite if a prediction is NaN.
        """
        results = {}
        for metric, (number, squares, absolute) in zip(self.metrics, self.sums.tolist()):
            factor = metric.factor * self.scales[metric.target]
            results[f"{metric.label} RMSE"] = factor * math.sqrt(_mean(squares, number))
            results[f"{metric.label} MAE"] = factor * _mean(absolute, number)
        return results


def _mean(total: float, number: float) -> float:
    if not number:
        return math.nan
    return math.inf if math.isnan(total) else total / number


def selection_metric(kind: str, results: dict[str, float]) -> float:
    """What the best model has least of.

    ``rmse_prod`` and ``mae_prod`` are products over targets and gradients: halving the error of
    the forces counts as much as halving that of the energy, whatever their units.
    """
    if kind == "loss":
        return results["loss"]
    suffix = {"rmse_prod": "RMSE", "mae_prod": "MAE"}[kind]
    values = [value for name, value in results.items() if name.endswith(suffix)]
    return math.prod(value for value in values if not math.isnan(value))
