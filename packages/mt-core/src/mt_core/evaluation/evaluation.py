"""``mt eval``: predictions of a model, and their errors where there are labels."""

import logging
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from metatomic.torch import AtomisticModel

from mt_core.console import logging_to
from mt_core.evaluation.comparison import Errors, add_errors, format_errors
from mt_core.evaluation.models import load_model
from mt_core.evaluation.prediction_files import Writer, open_writer
from mt_core.evaluation.predictions import (
    OutputRequest,
    best_device,
    predict,
    request_targets,
    trained_outputs,
)
from mt_core.evaluation.torchscript_errors import explained
from mt_core.loading import check_inputs_of_evaluation, check_types
from mt_core.options import parse_eval
from mt_shared.contract import TargetInfo
from mt_shared.data import (
    IMPOSSIBLE,
    MIN_DISTANCE,
    neighbor_lists,
    read_chunks,
    target_info,
)
from mt_shared.errors import OptionsError
from mt_shared.options import DatasetSpec, read_yaml

log = logging.getLogger("mt.eval")


@dataclass
class Evaluation:
    """The errors by file and quantity, and the number of structures that were predicted."""

    num_structures: int = 0
    errors: dict[str, Errors] = field(default_factory=dict)


def evaluate(
    model: str | Path,
    options: str | Path | dict[str, Any] | list[Any],
    output: str | Path | None = None,
    batch_size: int = 64,
    extensions: str | Path | None = None,
) -> Evaluation:
    """Predict every structure that the options name; memory does not grow with their number.

    :param model: an exported model or a checkpoint
    :param options: a file or its content: ``systems``, to be compared with ``targets``, and as
        ``extra_data`` the inputs that the model reads
    :param output: extended xyz or, with the ending ``.mts``, metatensor
    :raises UserError: says what happened, where and what to do: OptionsError, DataError,
        ArchitectureError, CheckpointError
    """
    if batch_size < 1:
        raise OptionsError(f"the batch size is {batch_size}; expected 1 or more")
    if isinstance(options, str | Path):
        specs = parse_eval(read_yaml(options), str(options))
    else:
        specs = parse_eval(options, "the options")
    _refuse_overwriting(specs, output)
    evaluation = Evaluation()
    with logging_to(None):
        atomistic = load_model(model, extensions)
        device = best_device(atomistic)
        atomistic = atomistic.to(device)
        # of every file, before an hour has gone into the first one
        plans = [_plan(atomistic, spec) for spec in specs]
        with open_writer(output) as writer:
            for plan in plans:
                _evaluate_file(atomistic, plan, batch_size, device, writer, evaluation)
        for file, errors in evaluation.errors.items():
            log.info(f"{file}:")
            log.info(format_errors(errors))
        files = ", ".join(str(file) for file in writer.files)
        written = f"; predictions are in {files}" if files else ""
        log.info(f"{evaluation.num_structures} structures evaluated{written}")
    return evaluation


def _refuse_overwriting(specs: tuple[DatasetSpec, ...], output: str | Path | None) -> None:
    for spec in specs:
        labels = (each.read_from for each in (*spec.targets, *spec.extra_data))
        for file in (spec.systems.read_from, *labels):
            if output is not None and Path(file).resolve() == Path(output).resolve():
                raise OptionsError(f"-o {output}: the predictions would replace the data in {file}")


@dataclass(frozen=True)
class _Plan:
    """What is predicted of one file; all that can be wrong with it, but for the data, is checked.

    :param assumed: units that the options leave out, by what they are of: the model's are taken
    """

    spec: DatasetSpec
    length_unit: str
    targets: dict[str, TargetInfo]
    requests: list[OutputRequest]
    assumed: dict[str, str]


def _plan(model: AtomisticModel, spec: DatasetSpec) -> _Plan:
    outputs = trained_outputs(model)
    # units that the options leave out are the model's
    length_unit = spec.systems.length_unit or model.capabilities().length_unit
    units = {name: output.unit for name, output in outputs.items()}
    targets = {
        target.name: target_info(target, unit=units.get(target.name)) for target in spec.targets
    }
    requested = model.requested_inputs(use_new_names=True)
    inputs = {each.name: target_info(each) for each in spec.extra_data}
    check_inputs_of_evaluation(requested, inputs)
    # without targets all that the model was trained on, each in its own unit; what an output is,
    # metatomic says by its name: energy, energy/pbe, ...
    requests = request_targets(model, targets) or [
        OutputRequest(name, "", per_atom=False, gradients=name.split("/")[0] == "energy")
        for name in outputs
    ]
    assumed = {} if spec.systems.length_unit else {"lengths": length_unit}
    assumed |= {each.name: targets[each.name].unit for each in spec.targets if not each.unit}
    assumed |= {each.name: requested[each.name].unit for each in spec.extra_data if not each.unit}
    return _Plan(spec, length_unit, targets, requests, assumed)


def _evaluate_file(
    model: AtomisticModel,
    plan: _Plan,
    batch_size: int,
    device: torch.device,
    writer: Writer,
    evaluation: Evaluation,
) -> None:
    spec, assumed = plan.spec, plan.assumed
    if any(assumed.values()):
        shown = ", ".join(f"{name} in {unit}" for name, unit in assumed.items() if unit)
        log.info(f"{spec.systems.read_from}: taken as the model has it: {shown}")

    errors: Errors = {}
    known = sorted(model.capabilities().atomic_types)
    fault = (
        "the atomic type {type} was not in the training of this model, which knows "
        f"{known}; train one on data that contain it"
    )
    num_without_stress = 0
    for chunk in read_chunks(spec, batch_size):
        check_types(chunk, known, fault)
        impossible = [status == IMPOSSIBLE for status in chunk.status.values()]
        num_without_stress += int(np.any(impossible, axis=0).sum())
        # engines compute neighbors by themselves; this is for its error, which names the frame
        neighbor_lists(chunk.structures, 10 * MIN_DISTANCE, chunk.source, chunk.frames)
        failure = (
            f"the model fails on frames {chunk.frames[0]} to {chunk.frames[-1]} (the first is 0) "
            f"of {chunk.source}; check that options and data are what it was trained on, or tell "
            "its authors:"
        )
        with explained(model, failure):
            predictions = predict(model, chunk, plan.requests, plan.length_unit, device)
        add_errors(errors, predictions, chunk, plan.targets, plan.length_unit)
        writer.write(chunk.structures, predictions)
        evaluation.num_structures += len(chunk)
    # once a file: each chunk speaks for itself alone
    if num_without_stress:
        log.info(
            f"{spec.systems.read_from}: {num_without_stress} structures are periodic nowhere, or "
            "have no cell, and have no stress"
        )
    # without targets there is nothing to compare with
    if errors:
        # the file's name, with a number when it is evaluated more than once
        name = spec.systems.read_from
        names = chain([name], (f"{name} ({number})" for number in count(2)))
        evaluation.errors[next(each for each in names if each not in evaluation.errors)] = errors
