"""What a JSON schema cannot say of the options: names, and options that contradict each other."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

from mt_core.options.datasets import (
    Section,
    as_list,
    can_have_gradients,
    expand_dataset,
    expand_label,
    expand_target,
    is_dataset,
    sample_kind,
)
from mt_core.options.names import name_fault, same_column
from mt_shared.errors import did_you_mean
from mt_shared.options import (
    GRADIENT_OF,
    LENGTH_UNITS,
    STANDARD_INPUTS,
    Fault,
    KeyPath,
    dump_inline,
    find_faults,
    input_name_schema,
    shown,
)

PARTS = ("training_set", "validation_set", "test_set")

# The outputs that metatomic knows and a model can learn; a test compares them with metatomic.
# https://docs.metatensor.org/metatomic/latest/outputs/
STANDARD_TARGETS = (
    "energy",
    "charge",
    "heat_flux",
    "mass",
    "momentum",
    "non_conservative_force",
    "non_conservative_forces",
    "non_conservative_stress",
    "position",
    "spin_multiplicity",
    "velocity",
)
_OLD_NAMES = {
    "charges": "charge",
    "masses": "mass",
    "momenta": "momentum",
    "positions": "position",
    "velocities": "velocity",
}
# Written as targets by who thinks of them as labels of their own.
_GRADIENT_NAMES = {"force": "forces"} | {word: word for word in GRADIENT_OF}
# Where the files are that a description does not name: above it, which is of no account here.
_NO_FILE: Section = {"read_from": "", "reader": None}
# Two data sets may call one target, or one input, by one name only if these agree.
_SHARED_FIELDS = ("quantity", "unit", "sample_kind", "type", "num_subtargets", "extensive")


def under(faults: Iterable[Fault], path: KeyPath) -> bool:
    """Whether one of the faults is in or below a path."""
    return any(fault.path[: len(path)] == path for fault in faults)


def _each(section: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Section]]:
    """The data sets of a section as they are written, and where each stands."""
    if isinstance(section, str) or not (isinstance(section, list) or is_dataset(section)):
        return
    for index, dataset in enumerate(as_list(section)):
        if isinstance(dataset, dict):
            yield (*path, index) if isinstance(section, list) else path, dataset


def spelling_faults(section: Any, path: KeyPath, found: Sequence[Fault]) -> Iterator[Fault]:
    """Names that no exported model and no file of predictions could have.

    They are given by a training. In an evaluation they are those of a model, which may be another
    program's.

    :param found: of names that have a fault already, nothing more is said
    """
    for at, dataset in _each(section, path):
        for part in ("targets", "extra_data"):
            names = dataset.get(part)
            names = names if isinstance(names, dict) else {}
            for name, written in names.items():
                has_key = isinstance(written, dict) and "key" in written
                fault = name_fault(name, has_key)
                if fault is not None and not under(found, (*at, part, name)):
                    yield Fault((*at, part, name), fault)
            for name, other in combinations(names, 2):
                column = same_column(name, other)
                if column is not None:
                    message = f"in files of predictions it is '{column}', as '{name}': rename one"
                    yield Fault((*at, part, other), message)


def dataset_faults(section: Any, path: KeyPath, found: Sequence[Fault]) -> Iterator[Fault]:
    """Faults within the data sets of one section, but for what the schema has ``found`` already."""
    for at, dataset in _each(section, path):
        yield from _length_unit_faults(dataset.get("systems"), (*at, "systems"))
        targets, inputs = (
            part if isinstance(part := dataset.get(key), dict) else {}
            for key in ("targets", "extra_data")
        )
        for name, written in targets.items():
            place = (*at, "targets", name)
            yield from _name_faults(name, targets, place)
            yield from _target_faults(name, _sound(written, place, found), place)
        for name, written in inputs.items():
            place = (*at, "extra_data", name)
            if name in targets:
                message = f"'{name}' is a target as well: what is predicted cannot be read"
                yield Fault(place, message)
            yield from _input_name_faults(name, place)
            if isinstance(written, str | dict):
                for fault in _input_faults(name, _sound(written, place, found), place):
                    # what is left of a refused key is its default, of which nothing is to be said
                    if not under(found, fault.path):
                        yield fault


def _length_unit_faults(systems: Any, path: KeyPath) -> Iterator[Fault]:
    unit = systems.get("length_unit") if isinstance(systems, dict) else None
    if isinstance(unit, str) and unit and unit.lower() not in LENGTH_UNITS:
        hint = did_you_mean(unit, LENGTH_UNITS)
        message = f"found '{unit}', expected angstrom (A), bohr, nm, um, mm, cm or m{hint}"
        yield Fault((*path, "length_unit"), message)


def _sound(written: Any, path: KeyPath, found: Sequence[Fault]) -> Section:
    """What is written of a target or an input, without what the schema has refused already."""
    # it would be told a second time, in other words
    keys = written if isinstance(written, dict) else {}
    return {key: keys[key] for key in keys if not under(found, (*path, key))}


def _input_name_faults(name: str, path: KeyPath) -> Iterator[Fault]:
    faults = find_faults(name, input_name_schema(), at=path)
    if faults and _OLD_NAMES.get(name) in STANDARD_INPUTS:
        yield _renamed(name, path)
    else:
        yield from faults


def _renamed(name: str, path: KeyPath) -> Fault:
    new = _OLD_NAMES[name]
    message = f"metatomic calls it '{new}': rename it, and say 'key: {name}' if the file does"
    return Fault(path, message)


def _input_faults(name: str, written: Section, path: KeyPath) -> Iterator[Fault]:
    contradictions = list(_sample_kind_faults(written, path))
    yield from contradictions
    if name in STANDARD_INPUTS and not contradictions:
        yield from _standard_faults(name, written, path)
    match written.get("type"):
        case {"spherical": {"irreps": [_, _, *_]}}:
            message = "an input has one irrep: write each of several as an input of its own"
            yield Fault((*path, "type", "spherical", "irreps"), message)


def _standard_faults(name: str, written: Section, path: KeyPath) -> Iterator[Fault]:
    """Where an input of a standard name is not what engines call by it."""
    standard, has = STANDARD_INPUTS[name], expand_label(name, written, _NO_FILE)
    expected = {
        "sample_kind": standard.sample_kinds,
        "type": (standard.type,),
        "num_subtargets": (1,),
    }
    for key, values in expected.items():
        if has[key] not in values:
            known = " or ".join(map(dump_inline, values))
            message = (
                f"found {dump_inline(has[key])}, expected {known}, as engines give '{name}' to a "
                f"model; a name of your own, such as 'mtt::{name}', is free"
            )
            yield Fault((*path, key), message)


def _name_faults(name: str, names: Section, path: KeyPath) -> Iterator[Fault]:
    # in an exported model both would be the output of the same name
    if f"mtt::{name}" in names:
        yield Fault(path, f"'{name}' and 'mtt::{name}' are the same target: keep one of them")
    if name.startswith("mtt::") and len(name) > len("mtt::"):
        return
    if name in _OLD_NAMES:
        yield _renamed(name, path)
        return
    if name in _GRADIENT_NAMES:
        message = f"it is a gradient: write '{_GRADIENT_NAMES[name]}: true' below its energy"
    # one level of indentation too few turns the keys of a target into targets
    elif name in ("key", "unit", "read_from", "reader", *GRADIENT_OF):
        message = "it describes a target: indent it below the name of the target"
    elif name.split("/")[0] in STANDARD_TARGETS and not name.endswith("/"):
        return
    else:
        hint = did_you_mean(name, STANDARD_TARGETS)
        message = f"it is no output that metatomic knows{hint}; a name of your own is 'mtt::{name}'"
    yield Fault(path, message)


def _target_faults(name: str, written: Section, path: KeyPath) -> Iterator[Fault]:
    contradictions = list(_sample_kind_faults(written, path))
    if contradictions:
        yield from contradictions
        return
    if name.split("/")[0] == "energy" and written.get("quantity") not in (None, "", "energy"):
        message = f"found {written['quantity']!r}, expected 'energy' for a target of that name"
        yield Fault((*path, "quantity"), message)
        return
    # only what is asked for: where nothing is said, gradients are read if the file has them
    asked = [word for word in GRADIENT_OF if written.get(word)]
    if "stress" in asked and "virial" in asked:
        message = "'stress' and 'virial' are the same gradient: keep one of them"
        yield Fault((*path, "virial"), message)
    # complete, since the quantity of a target may follow from its name or its gradients
    target = expand_target(name, written, _NO_FILE)
    if not target["extensive"]:
        message = ""
        if target["sample_kind"] == "atom":
            message = "each atom has a value of its own, which is neither a sum nor a mean"
        elif target["quantity"] == "energy":
            message = (
                "an energy with forces is a sum over atoms; one that does not grow with the "
                "structure is a target of another name ('mtt::x'), without that quantity"
            )
        if message:
            yield Fault((*path, "extensive"), message)
            return
    if not can_have_gradients(target):
        for word in asked:
            message = (
                f"only one energy of each structure has {word} "
                "(quantity energy, sample_kind system, type scalar, num_subtargets 1)"
            )
            yield Fault((*path, word), message)


def _sample_kind_faults(written: Section, path: KeyPath) -> Iterator[Fault]:
    kind = "atom" if written.get("per_atom") else "system"
    if "per_atom" in written and sample_kind(written) != kind:
        message = f"contradicts 'sample_kind: {written['sample_kind']}': keep sample_kind alone"
        yield Fault((*path, "per_atom"), message)


def cross_faults(options: Section) -> Iterator[Fault]:
    """Contradictions between the sections of faultless data sets."""
    fractions = {
        part: options[part] for part in PARTS if isinstance(options.get(part), int | float)
    }
    if sum(fractions.values()) >= 1:
        both = " and ".join(f"{part} {fraction}" for part, fraction in fractions.items())
        yield Fault(("validation_set",), f"{both} leave nothing to train on")

    several = isinstance(options["training_set"], list) and len(options["training_set"]) > 1
    for part in PARTS[1:]:
        section = options.get(part)
        # of several files nobody could say which one a mere number counts in
        if several and isinstance(section, dict) and not is_dataset(section):
            message = "training_set has several data sets: write systems, targets and indices"
            yield Fault((part, "indices"), message)

    # every data set is held against the first one that says something of a target or of lengths,
    # and of inputs against the very first: a model reads the same of every structure
    known: dict[str, Section] = {}
    inputs: Section | None = None
    length_unit = None
    for part in PARTS:
        for path, dataset in _expanded_sets(options.get(part), part):
            unit = dataset["systems"]["length_unit"]
            length_unit = length_unit or unit
            if unit != length_unit:
                message = f"found {shown(unit)}, expected {length_unit!r} as in the first data set"
                yield Fault((*path, "systems", "length_unit"), message)
            for name, target in dataset["targets"].items():
                at = (*path, "targets", name)
                if name not in known and part != "training_set":
                    hint = did_you_mean(name, known)
                    yield Fault(at, f"training_set has no such target{hint}")
                yield from _differences(target, known.setdefault(name, target), at)
            found = dataset.get("extra_data", {})
            inputs = found if inputs is None else inputs
            for name in dict.fromkeys((*inputs, *found)):
                at = (*path, "extra_data", name)
                if name not in found or name not in inputs:
                    where = "another data set gives it" if name in inputs else "another has none"
                    message = f"{where}, and a model reads it of every structure: give it in all"
                    yield Fault(at, message)
                else:
                    yield from _differences(found[name], inputs[name], at)


def _differences(found: Section, first: Section, path: KeyPath) -> Iterator[Fault]:
    for field in _SHARED_FIELDS:
        # an input is neither a sum nor a mean
        if field in found and found[field] != first[field]:
            message = f"found {found[field]!r}, expected {first[field]!r} as in another data set"
            yield Fault((*path, field), message)


def _expanded_sets(section: Any, part: str) -> Iterator[tuple[KeyPath, Section]]:
    """Each data set of a section, complete, and where it stands."""
    if isinstance(section, list):
        for index, dataset in enumerate(section):
            yield (part, index), expand_dataset(dataset)
    elif isinstance(section, str) or is_dataset(section):
        yield (part,), expand_dataset(as_list(section)[0])
