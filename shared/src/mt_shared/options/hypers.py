"""Hypers of an architecture, on their one way from the defaults to model and trainer.

1. The defaults: those of the architecture, over the engine's if its schema refers to the engine.
2. ``usual_names``: a hyper that has several names gets the usual one.
3. ``merge_hypers``: the sections ``model`` and ``training`` of the user over the defaults, whose
   lengths are converted to the unit of the data (``lengths.py``).
4. ``find_hyper_faults``: what came of that is checked against the schema.
5. ``complete_engine_hypers``, by the shared trainer: what still lacks of its hypers, which is all
   that an architecture without a schema leaves to it.

``resolve_hypers`` takes the first four. The dispatcher takes them one by one, to name the faults
of the hypers together with those of all other options.

The hypers of the shared engine are described and defaulted once, beside the engine
(``engine/schema-engine.json``, ``engine/default-engine.yaml``). An architecture shows them as its
own, with their defaults, by ``"$ref": "urn:mt-shared:engine:1"`` in the schema of its section
``training``.
"""

import json
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from mt_shared.errors import ArchitectureError, nearest
from mt_shared.options.elements import atomic_number
from mt_shared.options.faults import Fault, KeyPath, dotted, raise_faults
from mt_shared.options.lengths import find_lengths, in_length_unit
from mt_shared.options.losses import loss_schemas
from mt_shared.options.options_file import deep_merge
from mt_shared.options.schema_check import find_faults
from mt_shared.options.schemas import SchemaSet
from mt_shared.options.yaml_loader import load_yaml

ENGINE_URN = "urn:mt-shared:engine:1"

# Not importlib.resources: it would import mt_shared.engine, which is the half with torch.
_ENGINE_FOLDER = Path(__file__).parents[1] / "engine"


class HypersEntry(Protocol):
    """What is needed of an architecture, without importing it: the registry's entries have it."""

    @property
    def name(self) -> str: ...

    @property
    def default_hypers(self) -> Mapping[str, Any]: ...

    @property
    def schema(self) -> Mapping[str, Any] | None: ...


@dataclass(frozen=True)
class Hypers:
    """Hypers as model and trainer get them: every default that is known filled in.

    ``unchecked``: the architecture has no schema, so that names are checked, and no values.
    """

    model: dict[str, Any]
    training: dict[str, Any]
    unchecked: bool = False


def resolve_hypers(
    entry: HypersEntry,
    user: Mapping[str, Any],
    *,
    source: str = "options",
    length_unit: str | None = None,
    target_names: Collection[str] | None = None,
) -> Hypers:
    """The hypers of model and trainer, merged and checked.

    :param user: the section ``architecture`` of the options
    :param source: the options file, named in the error
    :param length_unit: of the data
    :param target_names: the targets that hypers may name; None allows any name
    :raises OptionsError: lists every fault
    """
    user, _ = usual_names(entry, user)
    raise_faults(find_hyper_faults(entry, user, target_names=target_names), source)
    return merge_hypers(entry, user, length_unit)


def usual_names(
    entry: HypersEntry, user: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[KeyPath, KeyPath]]:
    """The section ``architecture`` with hypers that have several names under the usual one.

    :return: the section; and what was renamed, from where to where, within it
    """
    schema = entry.schema
    if schema is None:
        # the engine's, whose trainer may be the one that trains
        schema = {"properties": {"training": {"$ref": ENGINE_URN}}}
    schemas = SchemaSet(schema, engine_schemas())
    section = dict(user)
    renamed: dict[KeyPath, KeyPath] = {}
    for part, node in schemas.known_keys(schema).items():
        written, known = section.get(part) or {}, schemas.known_keys(node)
        own = entry.default_hypers.get(part) or {}
        usual = {
            key: known[key]["sameAs"]
            for key in written
            if "sameAs" in known.get(key, {}) and key not in own
        }
        # with both, the other name stays, and is refused
        usual = {key: name for key, name in usual.items() if name not in written}
        if usual:
            section[part] = {usual.get(key, key): value for key, value in written.items()}
            renamed |= {(part, key): (part, name) for key, name in usual.items()}
    return section, renamed


def merge_hypers(
    entry: HypersEntry, user: Mapping[str, Any], length_unit: str | None = None
) -> Hypers:
    """The defaults with the user's values over them, as they are written and unchecked.

    :param length_unit: of the data and of the user's values, to which defaults that are lengths are
        converted; None: it is not known, and the defaults stay as they are
    """
    defaults = entry.default_hypers
    if uses_engine(entry.schema):
        defaults = deep_merge({"training": engine_defaults()}, defaults)
    if length_unit:
        defaults = in_length_unit(defaults, length_hypers(entry, defaults), length_unit)
    merged = {
        # A section that is there but empty is null in YAML.
        section: deep_merge(defaults.get(section, {}), user.get(section) or {})
        for section in ("model", "training")
    }
    return Hypers(**merged, unchecked=entry.schema is None)


def length_hypers(entry: HypersEntry, hypers: Mapping[str, Any]) -> list[KeyPath]:
    """Which of these hypers, of the sections ``model`` and ``training``, are lengths."""
    if entry.schema is None:
        return []
    return find_lengths(hypers, entry.schema, engine_schemas())


def find_hyper_faults(
    entry: HypersEntry, user: Mapping[str, Any], *, target_names: Collection[str] | None = None
) -> list[Fault]:
    """The faults in the user's sections ``model`` and ``training``, once merged.

    :raises ArchitectureError: the fault is in the defaults, which the user has not touched
    """
    if entry.schema is None:
        return unread_hypers(entry, user, engine_defaults())
    merged = merge_hypers(entry, user)
    faults = find_faults(
        {"model": merged.model, "training": merged.training},
        _closed_schema(entry.schema),
        engine_schemas(),
        at=("architecture",),
        target_names=target_names,
    )
    # The user is not to blame for what only the architecture has written.
    own = [
        fault
        for fault in faults
        if _is_there(entry.default_hypers, fault.path[1:]) and not _is_there(user, fault.path[1:])
    ]
    if own:
        shown = "; ".join(f"{dotted(fault.path[1:])}: {fault.message}" for fault in own)
        raise ArchitectureError(
            f"the defaults of the architecture '{entry.name}' do not fit its own schema "
            f"({shown}): tell its maintainers, or if it is yours, mend default-hypers.yaml or "
            "schema-hypers.json"
        )
    return faults


def unread_hypers(
    entry: HypersEntry, user: Mapping[str, Any], of_trainer: Mapping[str, Any]
) -> list[Fault]:
    """What a user names and neither the defaults of an architecture without a schema nor
    ``of_trainer`` do: a value may be anything there, but a name that nobody reads would be ignored.

    Within a mapping the names are those of its default; one that is empty takes any.

    :param of_trainer: the defaults of what is read of the section ``training`` beside those of the
        architecture: :func:`engine_defaults`, where the shared trainer may be the one that trains
    """
    faults: list[Fault] = []
    for section, others in (("model", {}), ("training", of_trainer)):
        known = _known_names(entry.default_hypers.get(section) or {}, others)
        faults += _unknown_names(user.get(section) or {}, known, ("architecture", section))
    return faults


def _known_names(own: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """The names of both; one that takes any names with either does."""
    known = dict(own)
    for name, default in others.items():
        mine = own.get(name, default)
        both = isinstance(mine, Mapping) and isinstance(default, Mapping) and mine and default
        known[name] = _known_names(mine, default) if both else {}
    return known


def _unknown_names(user: Mapping[str, Any], known: Mapping[str, Any], at: KeyPath) -> list[Fault]:
    faults: list[Fault] = []
    for name, value in user.items():
        below = known.get(name)
        if name not in known:
            match, names = nearest(name, known), ", ".join(sorted(known))
            hint = f"did you mean '{match}'?" if match else f"known here: {names or 'none'}"
            faults.append(Fault((*at, name), f"unknown key, {hint}"))
        elif below and isinstance(below, Mapping) and isinstance(value, Mapping):
            faults += _unknown_names(value, below, (*at, name))
    return faults


def _is_there(tree: Any, path: KeyPath) -> bool:
    """Whether there is a value at this path below a mapping."""
    for part in path:
        if not isinstance(tree, Mapping) or part not in tree:
            return False
        tree = tree[part]
    return bool(path)


def _closed_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with unknown keys of ``training.finetune`` refused.

    The engine leaves that section open, for an architecture may describe keys of its own there;
    JSON schema cannot close it from outside the section.
    """
    closed = deepcopy(dict(schema))
    if uses_engine(schema):
        own = closed["properties"]["training"].setdefault("properties", {})
        finetune = {"$ref": f"{ENGINE_URN}#/$defs/finetune", "unevaluatedProperties": False}
        own.setdefault("finetune", finetune)
    return closed


def complete_engine_hypers(hypers: Mapping[str, Any]) -> dict[str, Any]:
    """The section ``training`` as the shared trainer needs it: none of its hypers lacks.

    What is not given has the default of the engine, and elements of ``atomic_baseline`` are atomic
    numbers. Keys that the engine does not know are the architecture's own, and stay as they are.
    Complete hypers come back equal.

    :raises OptionsError: lists every fault in the engine's hypers
    """
    defaults = engine_defaults()
    complete: dict[str, Any] = deep_merge(defaults, hypers)
    of_engine = {name: complete[name] for name in defaults}
    at = ("architecture", "training")
    faults = find_faults(of_engine, {"$ref": ENGINE_URN}, engine_schemas(), at=at)
    raise_faults(faults, "hypers of the shared trainer")
    return complete | {"atomic_baseline": baseline_by_type(complete["atomic_baseline"])}


def baseline_by_type(atomic_baseline: Mapping[str, Any]) -> dict[str, float | dict[int, float]]:
    """A checked ``atomic_baseline`` with atomic numbers for keys (``"6"`` and ``C`` become 6)."""
    by_target: dict[str, float | dict[int, float]] = {}
    for target, value in atomic_baseline.items():
        if isinstance(value, Mapping):
            numbers = map(atomic_number, value)
            energies = map(float, value.values())
            by_target[target] = {z: energy for z, energy in zip(numbers, energies) if z is not None}
        else:
            by_target[target] = float(value)
    return by_target


def uses_engine(schema: Mapping[str, Any] | None) -> bool:
    """Whether the training hypers of an architecture include the shared engine's."""
    training = (schema or {}).get("properties", {}).get("training", {})
    return bool(training.get("$ref") == ENGINE_URN)


@cache
def engine_schema() -> dict[str, Any]:
    """The JSON schema of the engine's training hypers."""
    return dict(json.loads((_ENGINE_FOLDER / "schema-engine.json").read_text(encoding="utf-8")))


def engine_schemas() -> dict[str, dict[str, Any]]:
    """What the schema of an architecture may refer to, by URN."""
    return {ENGINE_URN: engine_schema(), **loss_schemas()}


def engine_defaults() -> dict[str, Any]:
    """The engine's training hypers as they are when nobody sets them."""
    path = _ENGINE_FOLDER / "default-engine.yaml"
    return dict(load_yaml(path.read_text(encoding="utf-8"), path.name))
