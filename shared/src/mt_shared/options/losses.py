"""The losses that are installed, and the schemas by which the option ``loss`` is checked.

A loss is an entry point of the group ``mt.losses``: the name is the one of options files, the value
``package.module:Name`` names what makes it. The JSON schema of its settings is ``schema-NAME.json``
in the folder of that module. None of them is imported here.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from mt_shared.entry_points import entry_points_of, name_and_version, normalized, package_folder
from mt_shared.errors import UserError, did_you_mean
from mt_shared.options.faults import dotted
from mt_shared.options.schema_check import find_faults
from mt_shared.options.schemas import Schema, schema_fault

LOSS_GROUP = "mt.losses"
LOSSES_URN = "urn:mt-shared:losses:1"
DEFAULT_LOSS = "mse"
TERM_KEYS = ("type", "weight", "reduction", "forces", "stress", "virial", "gradients")
"""What the engine itself reads of the options of a target; settings of a loss stand beside them."""

_SHARED = "mt-shared"
_MASK = "its mask comes from an extra data set, which no loss reads yet"
_MASKED = f"{_MASK}; what is missing or NaN is masked by every loss anyway"
_BASE = f"it is the base of other losses, not one by itself: write one of them, as '{DEFAULT_LOSS}'"
_ENSEMBLE = "it trains ensembles, which are not implemented yet"
# The names of metatrain 2026.4.1 that we have no loss of. They stay free for what they mean there:
# options of metatrain must not come to mean something else here.
_RESERVED = {
    "masked_mse": _MASKED,
    "masked_mae": _MASKED,
    "masked_huber": _MASKED,
    "pointwise": _BASE,
    "masked_pointwise": _BASE,
    "shift_agnostic_mse": "it is for densities of states, which are not implemented yet",
    "gaussian_nll_ensemble": _ENSEMBLE,
    "gaussian_crps_ensemble": _ENSEMBLE,
    "empirical_crps_ensemble": _ENSEMBLE,
    "llpr_ensemble": _ENSEMBLE,
}
# What the schema of a loss has to be, beside a JSON schema.
_SHAPE = {
    "type": "object",
    "required": ["description", "properties"],
    "properties": {
        "description": {"type": "string"},
        "type": {"const": "object"},
        "properties": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["description"],
                "properties": {"description": {"type": "string"}},
            },
        },
        "additionalProperties": {"const": False},
        "required": {"type": "array", "items": {"type": "string"}},
    },
}


@dataclass(frozen=True)
class LossEntry:
    """One installed loss, as the metadata and the schema of its package describe it.

    ``value`` is the entry point's, ``package.module:Name``; ``error`` says why the loss cannot be
    used, if so. ``clash`` says who else registers the name of a loss that is used all the same.
    """

    name: str
    distribution: str
    version: str
    value: str
    schema: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    clash: str | None = None


def installed_losses() -> dict[str, LossEntry]:
    """Every installed loss by name, the broken ones with their error.

    :raises UserError: mt-shared itself is installed without its own
    """
    return dict(_installed(tuple(sys.path)))


def find_loss(name: str) -> LossEntry:
    """The installed loss of that name, fit for use.

    :raises UserError: there is none, or it is broken
    """
    entries = installed_losses()
    if name not in entries:
        raise UserError(
            f"the loss '{name}' is not installed{did_you_mean(name, entries)}; installed: "
            f"{', '.join(entries)}. A package adds others by entry points of the group {LOSS_GROUP}"
        )
    error = entries[name].error
    if error is not None:
        raise UserError(f"the loss '{name}' cannot be used: {error}")
    return entries[name]


def loss_schemas() -> dict[str, dict[str, Any]]:
    """What the schema of the engine refers to for its option ``loss``, by URN.

    ``urn:mt-shared:losses:1`` describes ``name`` (of a loss that stands alone), ``type`` (the same
    beside settings) and ``settings``; ``urn:mt-shared:losses:1:NAME`` are the schemas of losses.
    """
    entries = installed_losses()
    schemas = {name: entry.schema for name, entry in entries.items() if entry.error is None}
    errors = {name: entry.error for name, entry in entries.items() if entry.error is not None}
    refused = {**_RESERVED, **errors}
    names = {
        "title": f"a loss ({', '.join(schemas)}, or what a package adds by {LOSS_GROUP})",
        "description": " ".join(f"{name}: {each['description']}" for name, each in schemas.items()),
        "enum": list(schemas),
    }
    without_settings = {
        name: f"it has settings without a default: write a mapping of type, {', '.join(needed)}"
        for name, schema in schemas.items()
        if (needed := schema.get("required", []))
    }
    parts = {
        "type": {**names, "refused": _refusals(refused)},
        "name": {**names, "refused": _refusals({**refused, **without_settings})},
        "settings": _settings(schemas),
    }
    return {LOSSES_URN: {"$defs": parts}} | {_urn(name): schema for name, schema in schemas.items()}


def _urn(name: str) -> str:
    return f"{LOSSES_URN}:{name}"


def _refusals(reasons: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"if": {"const": name}, "reason": reason} for name, reason in reasons.items()]


# ---- the settings of all losses, as one schema


def _settings(schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """The settings that stand beside ``type``: each is known, and checked where its type has it."""
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for name, schema in schemas.items():
        for setting in schema["properties"]:
            owners[setting].append(name)
    return {
        "properties": {
            setting: _described(setting, {name: schemas[name] for name in names})
            for setting, names in owners.items()
        },
        "allOf": [_of_type(name, schemas[name], owners) for name in schemas],
    }


def _described(setting: str, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """A setting for those who read: which losses have it, and what it means to them."""
    of_each = {name: schema["properties"][setting] for name, schema in schemas.items()}
    text = " ".join(f"Of {name}: {each['description']}" for name, each in of_each.items())
    if len(of_each) > 1:
        # They may take different values, and the one that is meant checks its own.
        return {"title": "what the loss takes", "description": text}
    (name,) = of_each
    return {"$ref": f"{_urn(name)}#/properties/{setting}", "description": text}


def _of_type(name: str, schema: Schema, owners: Mapping[str, list[str]]) -> dict[str, Any]:
    """What holds where the type is this one: its own schema, and nothing that others have."""
    is_meant: dict[str, Any] = {"properties": {"type": {"const": name}}}
    if name != DEFAULT_LOSS:
        is_meant["required"] = ["type"]
    foreign = {
        setting: {"refused": [{"if": {}, "reason": f"only the type {_quoted(names)} has it"}]}
        for setting, names in owners.items()
        if setting not in schema["properties"]
    }
    return {"if": is_meant, "then": {"$ref": _urn(name), "properties": foreign}}


def _quoted(names: Iterable[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)


# ---- what is installed


# The folders in which Python looks are all that the result depends on, and looking takes a while.
@cache
def _installed(folders: tuple[str, ...]) -> dict[str, LossEntry]:
    points: defaultdict[str, list[EntryPoint]] = defaultdict(list)
    for point in entry_points_of(LOSS_GROUP):
        points[point.name].append(point)
    entries = {name: [_read(point) for point in points[name]] for name in sorted(points)}
    if DEFAULT_LOSS not in entries:
        raise UserError(
            f"{_SHARED} is installed without its losses, the entry points {LOSS_GROUP}: reinstall "
            f"it by pip install --force-reinstall {_SHARED}, or in a clone of the repository by "
            "pip install -e shared"
        )
    return {name: _only_one(each) for name, each in entries.items()}


def _only_one(entries: list[LossEntry]) -> LossEntry:
    """The loss of a name; with an error where several register it, or nobody may.

    Ours stays as it is: a stranger must not take the default from those who never asked for it.
    """
    first, *others = entries
    ours = next((each for each in entries if normalized(each.distribution) == _SHARED), None)
    is_reserved = first.name in _RESERVED
    if not others and not is_reserved:
        return first
    strangers = sorted(each.distribution for each in entries if each is not ours)
    names = " and ".join(strangers)
    remedy = f"pip uninstall {', or '.join(strangers)}, or have its maintainers rename the loss"
    if ours is not None:
        reason = f"the name is reserved for the loss of {_SHARED}, and {names} registers it too"
        return replace(ours, clash=f"{reason}: {remedy}")
    reason = (
        f"the name is reserved for the loss of metatrain, and {names} registers it"
        if is_reserved
        else f"{names} both register a loss of this name"
    )
    return replace(first, distribution=names, error=f"{reason}: {remedy}")


def _read(point: EntryPoint) -> LossEntry:
    """What the package says of the loss, or the reason why it says nothing useful."""
    entry = LossEntry(point.name, "unknown", "unknown", point.value)
    try:
        distribution, version = name_and_version(point)
        entry = replace(entry, distribution=distribution, version=version)
        return replace(entry, schema=_read_schema(_schema_path(entry)))
    except UserError as error:
        return replace(entry, error=str(error))
    # Whatever else is wrong with a stranger's package must not hinder the others.
    except Exception as error:
        reason = f"its files cannot be read: {type(error).__name__}: {error}"
        return replace(entry, error=reason)


def _schema_path(entry: LossEntry) -> Path:
    """Where the schema of a loss has to be, found without importing its package."""
    module, _, attribute = entry.value.partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    if not all(part.isidentifier() for part in [entry.name, *parts]):
        raise UserError(
            f"the entry point of {entry.distribution} is '{entry.name} = {entry.value}'; expected "
            "NAME = package.module:Name, all of them identifiers of Python"
        )
    package, *inside = module.split(".")
    folder = package_folder(package)
    if folder is None:
        raise UserError(
            f"{entry.distribution} {entry.version} names the package '{package}', which is not "
            f"there; reinstall it: pip install --force-reinstall {entry.distribution}"
        )
    place = folder.joinpath(*inside)
    return (place if place.is_dir() else place.parent) / f"schema-{entry.name}.json"


def _read_schema(path: Path) -> dict[str, Any]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}, which describes the settings of the loss") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if faults := find_faults(schema, _SHAPE):
        said = [f"{dotted(fault.path)}: {fault.message}".removeprefix(": ") for fault in faults]
        raise UserError(f"{path} does not describe a loss: {'; '.join(said)}")
    if fault := schema_fault(schema, {}):
        raise UserError(f"{path} is no JSON schema: {fault}")
    taken = [key for key in schema["properties"] if key in TERM_KEYS or not key.isidentifier()]
    if taken:
        raise UserError(
            f"{path}: the setting '{taken[0]}' cannot be given; expected an identifier of Python "
            f"that is none of {', '.join(TERM_KEYS)}, which stand beside it in the options"
        )
    # The engine closes the mapping in which the settings stand, for its own keys stand there too.
    schema.pop("additionalProperties", None)
    return dict(schema)
