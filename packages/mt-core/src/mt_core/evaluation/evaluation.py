"""``mt eval``: predictions of a model, and their errors where there are labels."""

import logging
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from metatomic.torch import AtomisticModel

from mt_core.console import logging_to
from mt_core.evaluation.bare_data import is_data, spec_of_data
from mt_core.evaluation.comparison import Errors, add_errors, format_errors
from mt_core.evaluation.models import load_model, trained_targets
from mt_core.evaluation.prediction_files import Writer, open_writer
from mt_core.evaluation.predictions import (
    NUM_STRUCTURES,
    OutputRequest,
    PiecewisePredictor,
    best_device,
    request_targets,
    targets_of,
    trained_outputs,
)
from mt_core.evaluation.torchscript_errors import explained
from mt_core.loading import check_inputs_of_evaluation, check_types
from mt_core.options import parse_eval
from mt_shared.contract import TargetInfo
from mt_shared.data import (
    IMPOSSIBLE,
    gradient_factor,
    neighbor_lists,
    read_chunks,
    shortest_reach,
    target_info,
)
from mt_shared.errors import OptionsError
from mt_shared.options import DatasetSpec, read_with_lines
from mt_shared.threads import limited_threads

log = logging.getLogger("mt.eval")

_EXPECTED = "a data set in YAML (systems, perhaps targets), or a file of structures"


@dataclass
class Evaluation:
    """The errors by file and quantity, and the number of structures that were predicted."""

    num_structures: int = 0
    errors: dict[str, Errors] = field(default_factory=dict)


def evaluate(
    model: str | Path,
    options: str | Path | dict[str, Any] | list[Any],
    output: str | Path | None = None,
    batch_size: int | None = None,
    extensions: str | Path | None = None,
) -> Evaluation:
    """Predict every structure that the options name; memory does not grow with their number.

    :param model: an exported model or a checkpoint
    :param options: a file or its content: ``systems``, to be compared with ``targets``, and as
        ``extra_data`` the inputs that the model reads; or the file of structures itself, to be
        compared with the labels that it has under the names of the model's targets
    :param batch_size: structures at a time; by default as many atoms as a batch of the training may
        have held, and 64 structures at most
    :param output: extended xyz or, with the ending ``.mts``, metatensor
    :raises UserError: says what happened, where and what to do: OptionsError, DataError,
        ArchitectureError, CheckpointError
    """
    if batch_size is not None and batch_size < 1:
        raise OptionsError(f"the batch size is {batch_size}; expected 1 or more")
    is_bare = isinstance(options, str | Path) and is_data(model, options)
    specs = () if is_bare else _read_specs(options)
    evaluation = Evaluation()
    with logging_to(None), limited_threads():
        atomistic = load_model(model, extensions)
        specs = specs or (spec_of_data(atomistic, str(options)),)
        _refuse_overwriting(specs, output)
        # of every file, before an hour has gone into the first one
        plans = [_plan(atomistic, spec) for spec in specs]
        with open_writer(output) as writer:
            for plan in plans:
                _evaluate_file(atomistic, plan, batch_size, writer, evaluation)
        for file, errors in evaluation.errors.items():
            log.info(f"{file}:")
            log.info(format_errors(errors))
        files = ", ".join(str(file) for file in writer.files)
        written = f"; predictions are in {files}" if files else ""
        log.info(f"{evaluation.num_structures} structures evaluated{written}")
    return evaluation


def _read_specs(options: str | Path | dict[str, Any] | list[Any]) -> tuple[DatasetSpec, ...]:
    if not isinstance(options, str | Path):
        return parse_eval(options, "the options")
    values, where = read_with_lines(options, _EXPECTED)
    return parse_eval(values, str(options), where)


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
    # how a target is compared was settled by the training
    known = trained_targets(model)
    for name in targets.keys() & known.keys():
        target = known[name]
        targets[name] = replace(
            targets[name], extensive=target.extensive, per_structure=target.per_structure
        )
    requested = model.requested_inputs(use_new_names=True)
    inputs = {each.name: target_info(each) for each in spec.extra_data}
    check_inputs_of_evaluation(requested, inputs)
    # without targets, all that the model was trained on
    requests = request_targets(model, targets or targets_of(model))
    assumed = {} if spec.systems.length_unit else {"lengths": length_unit}
    assumed |= {each.name: targets[each.name].unit for each in spec.targets if not each.unit}
    assumed |= {each.name: requested[each.name].unit for each in spec.extra_data if not each.unit}
    # as the files are read: forces in a unit of their own are converted into these
    spec = replace(
        spec,
        systems=replace(spec.systems, length_unit=length_unit),
        targets=tuple(replace(each, unit=targets[each.name].unit) for each in spec.targets),
    )
    for each in spec.targets:
        for gradient in each.gradients:
            gradient_factor(gradient, each.unit, length_unit)
    return _Plan(spec, length_unit, targets, requests, assumed)


def _evaluate_file(
    model: AtomisticModel,
    plan: _Plan,
    batch_size: int | None,
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
    num_without_stress, reach = 0, shortest_reach(plan.length_unit)
    lost: dict[str, None] = {}
    predictor = PiecewisePredictor(
        model, plan.requests, plan.length_unit, best_device(model), batch_size
    )
    for chunk in read_chunks(spec, batch_size or NUM_STRUCTURES):
        check_types(chunk, known, fault)
        lost |= dict.fromkeys(chunk.lost)
        impossible = [status == IMPOSSIBLE for status in chunk.status.values()]
        num_without_stress += int(np.any(impossible, axis=0).sum())
        # engines compute neighbors by themselves; this is for its error, which names the frame
        neighbor_lists(chunk.structures, reach, chunk.source, chunk.frames)
        failure = (
            f"the model fails on frames {chunk.frames[0]} to {chunk.frames[-1]} (the first is 0) "
            f"of {chunk.source}; check that options and data are what it was trained on, or tell "
            "its authors:"
        )
        with explained(model, failure):
            pieces = list(predictor(chunk))
        for piece, predictions in pieces:
            add_errors(errors, predictions, piece, plan.targets, plan.length_unit)
            writer.write(piece.structures, predictions)
        evaluation.num_structures += len(chunk)
    # once a file: each chunk speaks for itself alone
    for note in lost:
        log.warning(f"note: {note}")
    if num_without_stress:
        log.info(
            f"{spec.systems.read_from}: {num_without_stress} structures have no stress: they are "
            "periodic nowhere, have no cell, or the file says so by NaN"
        )
    # without targets there is nothing to compare with
    if errors:
        # the file's name, with a number when it is evaluated more than once
        name = spec.systems.read_from
        names = chain([name], (f"{name} ({number})" for number in count(2)))
        evaluation.errors[next(each for each in names if each not in evaluation.errors)] = errors
