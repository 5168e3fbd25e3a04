"""How far predictions are from labels, summed up over batches, and the table of it."""

from dataclasses import replace
from textwrap import indent

from mt_core.evaluation.predictions import Predictions
from mt_shared.contract import TargetInfo
from mt_shared.data import Dataset
from mt_shared.engine import ErrorSums, metrics_of
from mt_shared.errors import OptionsError
from mt_shared.tables import columns

Errors = dict[str, ErrorSums]
"""Sums of errors by what they are errors of: ``energy``, ``forces``, ..."""


def add_errors(
    errors: Errors,
    predictions: dict[str, Predictions],
    data: Dataset,
    targets: dict[str, TargetInfo],
    length_unit: str,
) -> None:
    """Add the differences between predictions and the labels of the same structures."""
    structures = data.structures
    for name, target in targets.items():
        if name not in data.labels:
            continue
        predicted, labels = predictions[name], data.labels[name]
        if predicted.type != target.type:
            raise OptionsError(
                f"the model predicts '{name}' as {predicted.type.to_dict()}, the options give it "
                f"the type {target.type.to_dict()}"
            )
        if predicted.values.shape != labels.values.shape:
            raise OptionsError(
                f"the model predicts {predicted.values.shape[-1]} sub-targets of '{name}', the "
                f"options give num_subtargets {labels.values.shape[-1]}"
            )
        # of the gradients those that these data have labels of, which the model may not know
        info = replace(target, gradients=tuple(labels.gradients))
        for metric in metrics_of({name: info}, length_unit):
            found = errors.setdefault(metric.label, ErrorSums(metric))
            found.add(
                predicted.gradients[metric.gradient] if metric.gradient else predicted.values,
                labels.gradients[metric.gradient] if metric.gradient else labels.values,
                structures.atoms_per_system,
                structures.volumes,
            )


def format_errors(errors: Errors) -> str:
    """A table of root mean square and mean absolute errors, ``-`` where there are no labels."""
    rows = [("", "RMSE", "MAE", "unit")]
    for label, found in errors.items():
        numbers = (f"{found.rmse:.4g}", f"{found.mae:.4g}") if found.number else ("-", "-")
        rows.append((label, *numbers, found.metric.unit))
    return indent(columns(rows), "  ")
