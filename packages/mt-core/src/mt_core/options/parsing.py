"""The options of a training and of an evaluation: checked, completed, parsed. No torch here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from mt_core.options.datasets import as_list, expand_section, is_dataset, to_specs
from mt_core.options.rules import PARTS, cross_faults, dataset_faults, under
from mt_shared.errors import ArchitectureError
from mt_shared.options import (
    DatasetSpec,
    Fault,
    Hypers,
    HypersEntry,
    KeyPath,
    atomic_number,
    find_faults,
    find_hyper_faults,
    merge_hypers,
    raise_faults,
    with_atomic_numbers,
)

_FOLDER = Path(__file__).parent
_OPTIONS_URN = "urn:mt-core:options:1"

FindEntry = Callable[[str], HypersEntry]
Where = Mapping[KeyPath, str]


@dataclass(frozen=True)
class Indices:
    """Frames of the training file: their numbers, or the path of a file with one on each line."""

    values: tuple[int, ...] | str


SplitSpec = tuple[DatasetSpec, ...] | float | Indices
"""Data sets of their own, a fraction of each training set, or frames of the only one."""


@dataclass(frozen=True)
class ArchitectureOptions:
    """The section ``architecture``; ``atomic_types`` None: those of the data.

    ``given_model``: what of ``model`` the user has written. ``unchecked``: the architecture has no
    schema, so its hypers passed as they were.
    """

    name: str
    atomic_types: tuple[int, ...] | None
    model: dict[str, Any]
    given_model: dict[str, Any] = field(compare=False)
    training: dict[str, Any]
    unchecked: bool


@dataclass(frozen=True)
class TrainingOptions:
    """The options of a training; None: the choice is left to the architecture or to chance."""

    device: str | None
    base_precision: int | None
    seed: int | None
    architecture: ArchitectureOptions
    training_set: tuple[DatasetSpec, ...]
    validation_set: SplitSpec
    test_set: SplitSpec
    print_stats: bool | str
    final_eval: bool
    resolved: dict[str, Any]
    """The same as plain values in the layout of an options file, which can be trained again."""

    @property
    def specs(self) -> tuple[DatasetSpec, ...]:
        """Every data set that the options describe."""
        parts = (self.training_set, self.validation_set, self.test_set)
        return tuple(spec for part in parts if isinstance(part, tuple) for spec in part)

    @property
    def finetune(self) -> dict[str, Any] | None:
        """The section ``architecture.training.finetune`` where it is active."""
        section: dict[str, Any] = self.architecture.training.get("finetune") or {}
        return section if section.get("read_from") is not None else None


def parse_training(
    options: dict[str, Any],
    source: str,
    find_entry: FindEntry | None = None,
    where: Where | None = None,
) -> TrainingOptions:
    """Check the options of a training, fill in every default and write out every shorthand.

    :param source: the options file, named in the error
    :param find_entry: gives the installed architecture of a name; without it, the hypers stay as
        they are and unchecked
    :param where: see :func:`mt_shared.options.faults.raise_faults`
    :raises OptionsError: lists every fault
    :raises ArchitectureError: the architecture is not there, and nothing else is wrong
    """
    faults = find_base_faults(options)
    entry = _find_entry(options, faults, find_entry)
    if entry is not None:
        names = None if _in_datasets(faults) else _target_names(options)
        faults += find_hyper_faults(entry, options["architecture"], target_names=names)
    raise_faults(faults, source, where)
    given_model = options["architecture"].get("model") or {}
    return _parse(_resolve(options, entry), entry, given_model)


def parse_eval(
    options: dict[str, Any] | list[Any], source: str, where: Where | None = None
) -> tuple[DatasetSpec, ...]:
    """Check the options of an evaluation and turn them into specs for the readers.

    :raises OptionsError: lists every fault
    """
    faults = find_faults(options, eval_schema(), {_OPTIONS_URN: options_schema()})
    faults += list(dataset_faults(options, (), faults))
    raise_faults(faults, source, where)
    return to_specs(expand_section(options))


def find_base_faults(options: dict[str, Any]) -> list[Fault]:
    """The faults of everything but the hypers."""
    faults = find_faults(options, options_schema())
    if not isinstance(options, dict):
        return faults
    for part in PARTS:
        faults += list(dataset_faults(options.get(part), (part,), faults))
    if not _in_datasets(faults):
        faults += cross_faults(options)
    return faults


@cache
def options_schema() -> dict[str, Any]:
    """The JSON schema of the options of a training."""
    return _read_schema("schema-options.json")


@cache
def eval_schema() -> dict[str, Any]:
    """The JSON schema of the options of an evaluation."""
    return _read_schema("schema-eval.json")


def _read_schema(name: str) -> dict[str, Any]:
    return dict(json.loads((_FOLDER / name).read_text(encoding="utf-8")))


def _in_datasets(faults: list[Fault]) -> bool:
    return any(under(faults, (part,)) for part in PARTS)


def _find_entry(
    options: dict[str, Any], faults: list[Fault], find_entry: FindEntry | None
) -> HypersEntry | None:
    """The architecture, if it can be found; why not is one more fault if there are others."""
    sections = [("architecture", key) for key in ("name", "model", "training")]
    if any(fault.path == ("architecture",) for fault in faults) or not isinstance(options, dict):
        return None
    if find_entry is None or any(under(faults, section) for section in sections):
        return None
    try:
        return find_entry(options["architecture"]["name"])
    except ArchitectureError as error:
        if not faults:
            raise
        faults.append(Fault(("architecture", "name"), str(error)))
        return None


def _target_names(options: dict[str, Any]) -> list[str]:
    names = [name for dataset in as_list(options["training_set"]) for name in dataset["targets"]]
    return list(dict.fromkeys(names))


def _resolve(options: dict[str, Any], entry: HypersEntry | None) -> dict[str, Any]:
    """The options with every default and shorthand written out, in the order of the docs."""
    given = options["architecture"]
    hypers = merge_hypers(entry, given) if entry else _as_given(given)
    return {
        "device": options.get("device"),
        "base_precision": options.get("base_precision"),
        "seed": options.get("seed"),
        "print_stats": options.get("print_stats", "auto"),
        "final_eval": options.get("final_eval", True),
        "architecture": {
            "name": given["name"],
            "atomic_types": _atomic_types(given.get("atomic_types")),
            "model": hypers.model,
            "training": hypers.training,
        },
        "training_set": expand_section(options["training_set"]),
        "validation_set": expand_section(options["validation_set"]),
        "test_set": expand_section(options.get("test_set", 0.0)),
    }


def _as_given(architecture: dict[str, Any]) -> Hypers:
    model, training = (architecture.get(section) or {} for section in ("model", "training"))
    return Hypers(model, training, unchecked=True)


def _atomic_types(given: list[int | str] | None) -> list[int] | None:
    if given is None:
        return None
    numbers = [atomic_number(element) for element in given]
    return sorted(number for number in numbers if number is not None)


def _parse(
    resolved: dict[str, Any], entry: HypersEntry | None, given_model: dict[str, Any]
) -> TrainingOptions:
    fields = {
        **resolved,
        "architecture": _parse_architecture(resolved["architecture"], entry, given_model),
        "training_set": to_specs(resolved["training_set"]),
        "validation_set": _split_spec(resolved["validation_set"]),
        "test_set": _split_spec(resolved["test_set"]),
    }
    return TrainingOptions(**fields, resolved=resolved)


def _parse_architecture(
    architecture: dict[str, Any], entry: HypersEntry | None, given_model: dict[str, Any]
) -> ArchitectureOptions:
    types = architecture["atomic_types"]
    hypers = _as_given(architecture)
    if entry is not None:
        hypers = replace(with_atomic_numbers(entry, hypers), unchecked=entry.schema is None)
    return ArchitectureOptions(
        name=architecture["name"],
        atomic_types=None if types is None else tuple(types),
        model=hypers.model,
        given_model=given_model,
        training=hypers.training,
        unchecked=hypers.unchecked,
    )


def _split_spec(section: Any) -> SplitSpec:
    if isinstance(section, int | float):
        return float(section)
    if isinstance(section, dict) and not is_dataset(section):
        indices = section["indices"]
        return Indices(indices if isinstance(indices, str) else tuple(indices))
    return to_specs(section)
