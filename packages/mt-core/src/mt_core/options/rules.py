"""What a JSON schema cannot say of the options: names, and options that contradict each other."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mt_core.options.datasets import (
    Section,
    as_list,
    can_have_gradients,
    expand_dataset,
    expand_target,
    is_dataset,
    sample_kind,
)
from mt_shared.errors import did_you_mean
from mt_shared.options import GRADIENT_OF, Fault, KeyPath, shown

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
# Two data sets may call one target by one name only if these agree.
_SHARED_FIELDS = ("quantity", "unit", "sample_kind", "type", "num_subtargets")


def under(faults: Iterable[Fault], path: KeyPath) -> bool:
    """Whether one of the faults is in or below a path."""
    return any(fault.path[: len(path)] == path for fault in faults)


def dataset_faults(section: Any, path: KeyPath, found: Sequence[Fault]) -> Iterator[Fault]:
    """Faults within the data sets of one section, but for what the schema has ``found`` already."""
    if isinstance(section, str) or not (isinstance(section, list) or is_dataset(section)):
        return
    for index, dataset in enumerate(as_list(section)):
        at = (*path, index) if isinstance(section, list) else path
        if not isinstance(dataset, dict) or not isinstance(dataset.get("targets"), dict):
            continue
        for name, written in dataset["targets"].items():
            place = (*at, "targets", name)
            yield from _name_faults(name, dataset["targets"], place)
            if isinstance(written, dict):
                # a value that the schema has refused would be told a second time, in other words
                sound = {key: written[key] for key in written if not under(found, (*place, key))}
                yield from _target_faults(name, sound, place)


def _name_faults(name: str, names: Section, path: KeyPath) -> Iterator[Fault]:
    # in an exported model both would be the output of the same name
    if f"mtt::{name}" in names:
        yield Fault(path, f"'{name}' and 'mtt::{name}' are the same target: keep one of them")
    if name.startswith("mtt::") and len(name) > len("mtt::"):
        return
    if name in _OLD_NAMES:
        new = _OLD_NAMES[name]
        message = f"metatomic calls it '{new}': rename it, and say 'key: {name}' if the file does"
    elif name in _GRADIENT_NAMES:
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
    kind = "atom" if written.get("per_atom") else "system"
    if "per_atom" in written and sample_kind(written) != kind:
        message = f"contradicts 'sample_kind: {written['sample_kind']}': keep sample_kind alone"
        yield Fault((*path, "per_atom"), message)
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
    target = expand_target(name, written, {"read_from": "", "reader": None})
    if not can_have_gradients(target):
        for word in asked:
            message = (
                f"only one energy of each structure has {word} "
                "(quantity energy, sample_kind system, type scalar, num_subtargets 1)"
            )
            yield Fault((*path, word), message)


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

    # every data set is held against the first one that says something of a target or of lengths
    known: dict[str, Section] = {}
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
                first = known.setdefault(name, target)
                for field in _SHARED_FIELDS:
                    if target[field] != first[field]:
                        message = f"found {target[field]!r}, expected {first[field]!r}"
                        yield Fault((*at, field), f"{message} as in another data set")


def _expanded_sets(section: Any, part: str) -> Iterator[tuple[KeyPath, Section]]:
    """Each data set of a section, complete, and where it stands."""
    if isinstance(section, list):
        for index, dataset in enumerate(section):
            yield (part, index), expand_dataset(dataset)
    elif isinstance(section, str) or is_dataset(section):
        yield (part,), expand_dataset(as_list(section)[0])
