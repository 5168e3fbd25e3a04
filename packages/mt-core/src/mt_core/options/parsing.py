"""The options of a training and of an evaluation: checked, completed, parsed. No torch here.

There is one way through this file. What was read is checked as it was written, so that an error
names what the user sees; then every default and shorthand is written out; and from there on it is
looked at through :class:`TrainingOptions`, which holds nothing a second time.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from mt_core.options.datasets import as_list, expand_section, is_dataset, to_specs
from mt_core.options.rules import PARTS, cross_faults, dataset_faults, spelling_faults, under
from mt_shared.errors import ArchitectureError
from mt_shared.options import (
    DatasetSpec,
    Fault,
    Hypers,
    HypersEntry,
    KeyPath,
    TargetSpec,
    atomic_number,
    find_faults,
    find_hyper_faults,
    length_hypers,
    merge_hypers,
    raise_faults,
    renamed_path,
    usual_names,
)
from mt_shared.registry import ArchitectureEntry

_OPTIONS_URN = "urn:mt-core:options:1"

FindEntry = Callable[[str], ArchitectureEntry]
Where = Mapping[KeyPath, str]


@dataclass(frozen=True)
class Indices:
    """Frames of the training file: their numbers, or the path of a file with one on each line."""

    values: tuple[int, ...] | str


SplitSpec = tuple[DatasetSpec, ...] | float | Indices
"""Data sets of their own, a fraction of each training set, or frames of the only one."""


@dataclass(frozen=True)
class ArchitectureOptions:
    """The section ``architecture``, hypers as model and trainer get them.

    ``atomic_types`` None: those of the data. ``unchecked``: the architecture has no schema, so its
    hypers passed as they were; what the trainer adds to them is not known here.
    """

    name: str
    atomic_types: tuple[int, ...] | None
    model: dict[str, Any]
    training: dict[str, Any]
    unchecked: bool


@dataclass(frozen=True)
class TrainingOptions:
    """The options of a training: a view of ``complete``, in which each of them stands once.

    :param complete: plain values in the layout of an options file, with every default and shorthand
        written out; they train the same model again
    :param written_model: what of the section ``architecture.model`` the user has written
    :param entry: the architecture; None where it was not looked up, and nothing is known of hypers
    :param renamed: what the user calls by another name than ``complete``, from where to where
    """

    complete: dict[str, Any]
    written_model: dict[str, Any] = field(compare=False)
    entry: ArchitectureEntry | None = field(compare=False)
    renamed: Mapping[KeyPath, KeyPath] = field(default_factory=dict, compare=False)

    @property
    def known_entry(self) -> ArchitectureEntry:
        """The architecture of a training, which was looked up for certain."""
        assert self.entry is not None, "a training looks its architecture up"
        return self.entry

    @property
    def device(self) -> str | None:
        """None: the best one that is there."""
        return self.complete["device"]

    @property
    def base_precision(self) -> int | None:
        """In bits; None: the one that the architecture prefers."""
        return self.complete["base_precision"]

    @property
    def threads(self) -> int | None:
        """Of the CPU; None: what the environment asks for, or what turns out to be fastest."""
        wish = self.complete["threads"]
        return None if wish == "auto" else int(wish)

    @property
    def seed(self) -> int | None:
        """None: chance decides."""
        return self.complete["seed"]

    @property
    def print_stats(self) -> bool | str:
        """Whether the table of labels is shown."""
        return self.complete["print_stats"]

    @property
    def final_eval(self) -> bool:
        """Whether the trained model is evaluated on every split."""
        return self.complete["final_eval"]

    @cached_property
    def architecture(self) -> ArchitectureOptions:
        """What is trained, and with which hypers."""
        section, entry = self.complete["architecture"], self.entry
        types = section["atomic_types"]
        return ArchitectureOptions(
            name=section["name"],
            atomic_types=None if types is None else tuple(types),
            model=section["model"],
            training=section["training"],
            unchecked=entry is None or entry.schema is None,
        )

    @property
    def finetune(self) -> dict[str, Any] | None:
        """The section ``architecture.training.finetune`` where it is active."""
        section: dict[str, Any] = self.architecture.training.get("finetune") or {}
        return section if section.get("read_from") is not None else None

    @property
    def length_unit(self) -> str | None:
        """Of all data and of the hypers that are lengths; None where it is not given."""
        return self.training_set[0].systems.length_unit

    @property
    def units(self) -> dict[KeyPath, str]:
        """Of the hypers that have one, by their paths in ``complete``."""
        if self.entry is None or not self.length_unit:
            return {}
        lengths = length_hypers(self.entry, self.complete["architecture"])
        return {("architecture", *path): self.length_unit for path in lengths}

    @cached_property
    def training_set(self) -> tuple[DatasetSpec, ...]:
        return to_specs(self.complete["training_set"])

    @cached_property
    def validation_set(self) -> SplitSpec:
        """What chooses the best model."""
        return _split_spec(self.complete["validation_set"])

    @cached_property
    def test_set(self) -> SplitSpec:
        """What no decision of the training depends on."""
        return _split_spec(self.complete["test_set"])

    @property
    def specs(self) -> tuple[DatasetSpec, ...]:
        """Every data set that the options describe."""
        parts = (self.training_set, self.validation_set, self.test_set)
        return tuple(spec for part in parts if isinstance(part, tuple) for spec in part)

    @property
    def targets(self) -> dict[str, TargetSpec]:
        """The targets of all data sets; those of one name are of one kind."""
        return {target.name: target for spec in self.specs for target in spec.targets}

    @property
    def inputs(self) -> dict[str, TargetSpec]:
        """What a model shall read (``extra_data``): every data set has the same."""
        return {each.name: each for spec in self.specs for each in spec.extra_data}

    def with_seed(self, seed: int) -> "TrainingOptions":
        return replace(self, complete=self.complete | {"seed": seed})

    def with_model_hypers(self, hypers: dict[str, Any]) -> "TrainingOptions":
        section = self.complete["architecture"] | {"model": hypers}
        return replace(self, complete=self.complete | {"architecture": section})


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
    :param where: see :func:`mt_shared.options.raise_faults`
    """
    faults = find_faults(options, options_schema())
    entry, renamed = None, {}
    # the rules look into sections, which only a mapping of options has
    if not any(fault.path == () for fault in faults):
        for part in PARTS:
            faults += list(dataset_faults(options.get(part), (part,), faults))
            faults += list(spelling_faults(options.get(part), (part,), faults))
        if not _in_data_sets(faults):
            faults += cross_faults(options)
        entry = _find_entry(options, faults, find_entry)
        if entry is not None:
            section, names_of_hypers = usual_names(entry, options["architecture"])
            options = options | {"architecture": section}
            at = ("architecture",)
            renamed = {(*at, *old): (*at, *new) for old, new in names_of_hypers.items()}
            where = {renamed_path(path, renamed): line for path, line in (where or {}).items()}
            # a hyper may name a target, which is compared where the targets are known for sure
            names = None
            if not _in_data_sets(faults):
                sets = as_list(options["training_set"])
                names = list(dict.fromkeys(name for each in sets for name in each["targets"]))
            known = merge_hypers(entry, {})
            faults = [_with_place(fault, known) for fault in faults]
            faults += find_hyper_faults(entry, options["architecture"], target_names=names)
    raise_faults(faults, source, where)
    written_model = options["architecture"].get("model") or {}
    return TrainingOptions(_complete(options, entry), written_model, entry, renamed)


def parse_eval(
    options: dict[str, Any] | list[Any], source: str, where: Where | None = None
) -> tuple[DatasetSpec, ...]:
    """Check the options of an evaluation and turn them into specs for the readers.

    :param where: see :func:`mt_shared.options.raise_faults`
    """
    faults = find_faults(options, eval_schema(), {_OPTIONS_URN: options_schema()})
    faults += list(dataset_faults(options, (), faults))
    raise_faults(faults, source, where)
    return to_specs(expand_section(options))


@cache
def options_schema() -> dict[str, Any]:
    """The JSON schema of the options of a training."""
    return _read_schema("schema-options.json")


@cache
def eval_schema() -> dict[str, Any]:
    """The JSON schema of the options of an evaluation."""
    return _read_schema("schema-eval.json")


def _read_schema(name: str) -> dict[str, Any]:
    return dict(json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8")))


def _in_data_sets(faults: list[Fault]) -> bool:
    return any(under(faults, (part,)) for part in PARTS)


def _find_entry(
    options: dict[str, Any], faults: list[Fault], find_entry: FindEntry | None
) -> ArchitectureEntry | None:
    """The architecture, if it can be found; why not is one more fault if there are others."""
    sections = [("architecture", key) for key in ("name", "model", "training")]
    no_section = any(fault.path == ("architecture",) for fault in faults)
    if find_entry is None or no_section or any(under(faults, path) for path in sections):
        return None
    try:
        return find_entry(options["architecture"]["name"])
    except ArchitectureError as error:
        # alone it is no fault of the file: the error says what to install, and needs no line number
        if not faults:
            raise
        faults.append(Fault(("architecture", "name"), str(error)))
        return None


def _with_place(fault: Fault, known: Hypers) -> Fault:
    """The same, or of a hyper that stands at the top where it belongs."""
    key, *below = fault.path
    if below or key in options_schema()["properties"]:
        return fault
    for section, hypers in (("training", known.training), ("model", known.model)):
        if key in hypers:
            message = f"it belongs below 'architecture': architecture.{section}.{key}"
            return Fault(fault.path, message)
    return fault


def _complete(options: dict[str, Any], entry: HypersEntry | None) -> dict[str, Any]:
    """Faultless options with every default and shorthand written out, in the order of the docs."""
    written, training_set = options["architecture"], expand_section(options["training_set"])
    if entry is not None:
        length_unit = as_list(training_set)[0]["systems"]["length_unit"]
        hypers = merge_hypers(entry, written, length_unit)
    else:
        hypers = Hypers(written.get("model") or {}, written.get("training") or {}, unchecked=True)
    types = written.get("atomic_types")
    if types is not None:
        types = sorted(number for each in types if (number := atomic_number(each)) is not None)
    return {
        "device": options.get("device"),
        "threads": options.get("threads", "auto"),
        "base_precision": options.get("base_precision"),
        "seed": options.get("seed"),
        "print_stats": options.get("print_stats", "auto"),
        "final_eval": options.get("final_eval", True),
        "architecture": {
            "name": written["name"],
            "atomic_types": types,
            "model": hypers.model,
            "training": hypers.training,
        },
        "training_set": training_set,
        "validation_set": expand_section(options["validation_set"]),
        "test_set": expand_section(options.get("test_set", 0.0)),
    }


def _split_spec(section: Any) -> SplitSpec:
    if isinstance(section, int | float):
        return float(section)
    if isinstance(section, dict) and not is_dataset(section):
        indices = section["indices"]
        return Indices(indices if isinstance(indices, str) else tuple(indices))
    return to_specs(section)
