"""What a model reads of structures and atoms beside positions and types, and what options give."""

from collections.abc import Iterator, Mapping
from typing import Any

from metatomic.torch import ModelOutput

from mt_shared.contract import ModelInterface, TargetInfo
from mt_shared.data import check_unit, conversion, requested_inputs
from mt_shared.errors import OptionsError

_OF_EACH = {"system": "structure", "atom": "atom"}


def check_inputs_of_training(model: ModelInterface[Any], given: Mapping[str, TargetInfo]) -> None:
    """Refuse options that do not give what a model reads, or give what nothing reads.

    What ``capabilities.yaml`` names was compared before any data were read; the model itself is the
    last word, and the only one where there is no such file.

    :param given: the inputs of the data
    """
    requested = requested_inputs(model)
    faults = list(_faults(requested, given))
    # in a training nothing is converted; where one of the two is not named, they are the same
    for name, info in given.items():
        unit = requested[name].unit if name in requested else ""
        if info.unit and unit and info.unit != unit:
            faults.append(f"it reads '{name}' in {unit}, and the options have it in {info.unit}")
    _refuse(faults)


def check_inputs_of_evaluation(
    requested: Mapping[str, ModelOutput], given: Mapping[str, TargetInfo]
) -> None:
    """The same of an exported model, which converts units; ``requested`` is what it asks for.

    :raises DataError: for units that metatomic does not know, or that cannot be converted
    """
    faults = list(_faults(requested, given))
    for name, info in given.items():
        check_unit(info.unit, info.quantity or name)
        if info.unit and name in requested and not requested[name].unit:
            faults.append(
                f"it reads '{name}' in a unit that it does not name, and the options have it in "
                f"{info.unit}, from which nothing can be converted: leave the unit out, and give "
                "the numbers as in its training"
            )
    _refuse(faults)
    for name, info in given.items():
        if info.unit:
            conversion(info.unit, requested[name].unit)


def _faults(requested: Mapping[str, ModelOutput], given: Mapping[str, TargetInfo]) -> Iterator[str]:
    for name, request in requested.items():
        of_each = _OF_EACH[request.sample_kind]
        if name not in given:
            of_atom = ", sample_kind: atom" if request.sample_kind == "atom" else ""
            yield (
                f"it reads '{name}' of each {of_each}, and the options do not give it: write "
                f"extra_data: {{{name}: {{key: its name in the file{of_atom}}}}}"
            )
        elif given[name].sample_kind != request.sample_kind:
            yield (
                f"it reads '{name}' of each {of_each}, and the options give it of each "
                f"{_OF_EACH[given[name].sample_kind]}: write sample_kind: {request.sample_kind}"
            )
    for name in given:
        if name not in requested:
            reads = ", ".join(requested) or "nothing of the kind"
            yield f"nothing reads '{name}', since it reads {reads}: leave it out of extra_data"


def _refuse(faults: list[str]) -> None:
    if faults:
        raise OptionsError(f"the model and extra_data do not fit: {'; '.join(faults)}")
