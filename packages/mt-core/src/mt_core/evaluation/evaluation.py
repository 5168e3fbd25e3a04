"""``mt eval``: predictions of a model, and their errors where there are labels."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mt_core.console import logging_to
from mt_core.evaluation.models import load_model
from mt_core.evaluation.prediction_files import Writer, open_writer
from mt_core.evaluation.predictions import Predictions, Wanted, predict
from mt_core.options import parse_eval
from mt_shared.contract import TargetInfo
from mt_shared.data import (
    MIN_DISTANCE,
    Dataset,
    Structures,
    TargetLabels,
    neighbor_lists,
    read_chunks,
)
from mt_shared.engine import Metric, metrics_of
from mt_shared.errors import DataError, OptionsError, did_you_mean
from mt_shared.options import DatasetSpec, read_yaml

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel, ModelOutput

log = logging.getLogger("mt.eval")


@dataclass
class Errors:
    """Sums over one file of the errors of one quantity."""

    metric: Metric
    number: int = 0
    squares: float = 0.0
    absolute: float = 0.0

    def add(self, predicted: np.ndarray, labelled: np.ndarray) -> None:
        """Take note of differences; NaN, for labels that are missing, do not count."""
        known = np.isfinite(labelled)
        difference = predicted[known] - labelled[known]
        self.number += difference.size
        self.squares += float(np.sum(difference**2))
        self.absolute += float(np.sum(np.abs(difference)))

    @property
    def rmse(self) -> float:
        """In the unit of the metric; NaN without labels, infinite if a prediction is NaN."""
        return self.metric.factor * self._mean(self.squares) ** 0.5

    @property
    def mae(self) -> float:
        """In the unit of the metric; NaN without labels, infinite if a prediction is NaN."""
        return self.metric.factor * self._mean(self.absolute)

    def _mean(self, total: float) -> float:
        if not self.number:
            return np.nan
        return np.inf if np.isnan(total) else total / self.number


@dataclass
class Evaluation:
    """The errors by file and quantity, and the number of structures that were predicted."""

    num_structures: int = 0
    errors: dict[str, dict[str, Errors]] = field(default_factory=dict)


def evaluate(
    model: str | Path,
    options: str | Path | dict[str, Any] | list[Any],
    output: str | Path | None = None,
    batch_size: int = 64,
    extensions: str | Path | None = None,
) -> Evaluation:
    """Predict every structure that the options name; memory does not grow with their number.

    :param model: an exported model or a checkpoint
    :param options: a file or its content: ``systems`` and, to be compared with, ``targets``
    :param output: extended xyz or, with the ending ``.mts``, metatensor
    """
    if batch_size < 1:
        raise OptionsError(f"the batch size is {batch_size}; expected 1 or more")
    specs = _specs(options)
    _refuse_inputs(specs, output)
    evaluation = Evaluation()
    with logging_to(None):
        atomistic = load_model(model, extensions)
        device = best_device(atomistic)
        atomistic = atomistic.to(device)
        with open_writer(output) as writer:
            for spec in specs:
                _evaluate_file(atomistic, spec, batch_size, device, writer, evaluation)
        for file, errors in evaluation.errors.items():
            log.info(f"{file}:")
            log.info(format_errors(errors))
        files = ", ".join(str(file) for file in writer.files)
        written = f"; predictions are in {files}" if files else ""
        log.info(f"{evaluation.num_structures} structures evaluated{written}")
    return evaluation


def _specs(options: str | Path | dict[str, Any] | list[Any]) -> tuple[DatasetSpec, ...]:
    if isinstance(options, str | Path):
        return parse_eval(read_yaml(options), str(options))
    return parse_eval(options, "the options")


def _refuse_inputs(specs: tuple[DatasetSpec, ...], output: str | Path | None) -> None:
    for spec in specs:
        for file in (spec.systems.read_from, *(target.read_from for target in spec.targets)):
            if output is not None and Path(file).resolve() == Path(output).resolve():
                raise OptionsError(f"-o {output}: the predictions would replace the data in {file}")


def best_device(model: AtomisticModel) -> torch.device:
    """The first device of the model's list that this machine has."""
    from metatomic.torch import pick_device

    return torch.device(pick_device(model.capabilities().supported_devices, None))


def _evaluate_file(
    model: AtomisticModel,
    spec: DatasetSpec,
    batch_size: int,
    device: torch.device,
    writer: Writer,
    evaluation: Evaluation,
) -> None:
    name = _free_key(spec.systems.read_from, evaluation)
    wanted = wanted_outputs(model, spec)
    length_unit = spec.systems.length_unit or model.capabilities().length_unit
    targets = target_infos(model, spec)
    _say_assumed(spec, targets, length_unit)
    errors: dict[str, Errors] = {}
    for chunk in read_chunks(spec, batch_size):
        _check_types(model, chunk)
        # engines compute neighbors by themselves; this is for its error, which names the frame
        neighbor_lists(chunk.structures, 10 * MIN_DISTANCE, chunk.source, chunk.frames)
        fitting = [_for_chunk(output, chunk) for output in wanted]
        predictions = predict(model, chunk.structures, fitting, length_unit, device)
        add_errors(errors, predictions, chunk, targets, length_unit)
        writer.write(chunk.structures, predictions)
        evaluation.num_structures += len(chunk)
    if errors:
        evaluation.errors[name] = errors


def _say_assumed(spec: DatasetSpec, targets: dict[str, TargetInfo], length_unit: str) -> None:
    """Units that the options leave out are the model's."""
    assumed = {} if spec.systems.length_unit else {"lengths": length_unit}
    assumed |= {
        target.name: targets[target.name].unit for target in spec.targets if not target.unit
    }
    units = ", ".join(f"{name} in {unit}" for name, unit in assumed.items() if unit)
    if units:
        log.info(f"{spec.systems.read_from}: taken as the model has it: {units}")


def _free_key(name: str, evaluation: Evaluation) -> str:
    """The file's name, with a number when it is evaluated more than once."""
    number, key = 1, name
    while key in evaluation.errors:
        number += 1
        key = f"{name} ({number})"
    return key


def wanted_outputs(model: AtomisticModel, spec: DatasetSpec) -> list[Wanted]:
    """The targets of the options, or without any all that the model was trained on.

    :raises OptionsError: for a target that the model does not have
    """
    if spec.targets:
        return outputs_of_targets(model, target_infos(model, spec))
    outputs = trained_outputs(model)
    energies = {name: name.split("/")[0] == "energy" for name in outputs}
    return [Wanted(name, "", False, energies[name], energies[name]) for name in outputs]


def outputs_of_targets(model: AtomisticModel, targets: dict[str, TargetInfo]) -> list[Wanted]:
    """What to ask of the model for these targets, in their units.

    :raises OptionsError: for a target that the model does not have
    """
    outputs = trained_outputs(model)
    wanted = []
    for name, target in targets.items():
        if name not in outputs:
            raise OptionsError(
                f"the model does not predict '{name}'{did_you_mean(name, outputs)}; "
                f"it predicts {', '.join(sorted(outputs))}"
            )
        unit = target.unit if outputs[name].unit else ""
        gradients = target.is_energy and not target.per_atom and target.num_subtargets == 1
        wanted.append(Wanted(name, unit, target.per_atom, gradients, gradients))
    return wanted


def trained_outputs(model: AtomisticModel) -> dict[str, ModelOutput]:
    """The outputs of the model that are targets, rather than features."""
    return {
        name: output
        for name, output in model.capabilities().outputs.items()
        if name not in ("feature", "features") and "::aux::" not in name
    }


def target_infos(model: AtomisticModel, spec: DatasetSpec) -> dict[str, TargetInfo]:
    """What the options say of each target of a data set, in the model's unit if they say none."""
    outputs = trained_outputs(model)
    return {
        target.name: TargetInfo(
            quantity=target.quantity,
            unit=target.unit or (outputs[target.name].unit if target.name in outputs else ""),
            sample_kind=target.sample_kind,
            num_subtargets=target.num_subtargets,
        )
        for target in spec.targets
    }


def _for_chunk(wanted: Wanted, chunk: Dataset) -> Wanted:
    """Without the stress where no structure of the chunk is periodic in all directions."""
    stress = wanted.stress and bool(chunk.structures.pbc.all(axis=1).any())
    return Wanted(wanted.name, wanted.unit, wanted.per_atom, wanted.forces, stress)


def _check_types(model: AtomisticModel, chunk: Dataset) -> None:
    known = model.capabilities().atomic_types
    unknown = ~np.isin(chunk.structures.types, known)
    if unknown.any():
        atom = int(np.argmax(unknown))
        system = int(chunk.structures.system_of_atom[atom])
        raise DataError(
            f"{chunk.source}, frame {chunk.frames[system]}: the atomic type "
            f"{chunk.structures.types[atom]} was not in the training of this model, which knows "
            f"{sorted(known)}; train one on data that contain it"
        )


def add_errors(
    errors: dict[str, Errors],
    predictions: dict[str, Predictions],
    chunk: Dataset,
    targets: dict[str, TargetInfo],
    length_unit: str,
) -> None:
    """Add the differences between the predictions and the labels of one chunk."""
    for name, target in targets.items():
        if name not in chunk.labels:
            continue
        labels = chunk.labels[name]
        info = replace(target, gradients=tuple(labels.gradients))
        for metric in metrics_of({name: info}, length_unit):
            found = errors.setdefault(metric.label, Errors(metric))
            found.add(*_compared(metric, predictions[name], labels, chunk.structures))


def _compared(
    metric: Metric,
    prediction: Predictions,
    labels: TargetLabels,
    structures: Structures,
) -> tuple[np.ndarray, np.ndarray]:
    """What is predicted, and what the labels say, which is not finite where there is none."""
    if metric.gradient == "positions":
        assert prediction.forces is not None
        return prediction.forces, -labels.gradients["positions"]
    if metric.gradient == "strain":
        if prediction.stress is None:
            return np.zeros(0), np.zeros(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            labelled = labels.gradients["strain"] / structures.volumes[:, None, None]
        return prediction.stress, labelled
    if prediction.values.shape != labels.values.shape:
        raise OptionsError(
            f"the model predicts {prediction.values.shape[-1]} sub-targets of '{metric.target}', "
            f"the options give num_subtargets {labels.values.shape[-1]}"
        )
    sizes = 1 if prediction.per_atom else structures.atoms_per_system[:, None]
    return prediction.values / sizes, labels.values / sizes


def format_errors(errors: dict[str, Errors]) -> str:
    """A table of root mean square and mean absolute errors, ``-`` where there are no labels."""
    rows = [("", "RMSE", "MAE", "unit")]
    for label, found in errors.items():
        numbers = (f"{found.rmse:.4g}", f"{found.mae:.4g}") if found.number else ("-", "-")
        rows.append((label, *numbers, found.metric.unit))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
        for row in rows
    )
