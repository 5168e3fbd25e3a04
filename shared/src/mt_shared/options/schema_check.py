"""Options against a JSON schema, with messages for people.

Additions to JSON schema (draft 2020-12):

- ``"refused": [{"if": SCHEMA, "reason": TEXT}]``: values that match SCHEMA are known but refused,
  and the error says why. Other faults of the same value are then not shown.
- ``"targetNames": true``: the keys of a mapping, or the items of a list, are names of targets.
- ``"elementNames": true``: they are elements, as atomic numbers or symbols, each at most once.
- ``"title"`` is how an error names what was expected (``a path``); without it the schema is read.

Types are strict: ``1.0`` is no integer, ``true`` no number, and numbers are finite.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from mt_shared.errors import did_you_mean, nearest
from mt_shared.options.elements import atomic_number
from mt_shared.options.expectations import Schema, SchemaSet, expected
from mt_shared.options.faults import Fault, KeyPath, raise_faults, shown

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

_YAML_1_1_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def check(
    value: Any,
    schema: Schema,
    source: str,
    referenced: Mapping[str, Schema] | None = None,
    *,
    where: Mapping[KeyPath, str] | None = None,
) -> None:
    """Raise one error that lists every fault of ``value``.

    :param source: the file the value comes from, named in the error
    :param referenced: the schemas that ``schema`` refers to by URN
    :param where: see :func:`mt_shared.options.faults.raise_faults`
    :raises OptionsError: the value has a fault
    """
    raise_faults(find_faults(value, schema, referenced), source, where)


def find_faults(
    value: Any,
    schema: Schema,
    referenced: Mapping[str, Schema] | None = None,
    *,
    at: KeyPath = (),
    target_names: Collection[str] | None = None,
) -> list[Fault]:
    """Every fault of ``value``, their paths beginning with ``at``.

    :param target_names: what ``targetNames`` allows; None allows any name
    """
    schemas = SchemaSet(schema, referenced or {})
    faults: list[Fault] = []
    for error in _validator(schemas, target_names).iter_errors(value):
        faults.extend(_faults(error, schemas))
    refused = [fault.path for fault in faults if isinstance(fault, _Refusal)]
    return [
        Fault(at + fault.path, fault.message)
        for fault in faults
        if isinstance(fault, _Refusal) or not any(_within(fault.path, path) for path in refused)
    ]


def schema_fault(schema: Schema, referenced: Mapping[str, Schema]) -> str | None:
    """What is wrong with a schema itself: not JSON schema, or a reference to nothing."""
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "/".join(str(part) for part in error.absolute_path)
        return f"{place}: {error.message}" if place else error.message
    schemas = SchemaSet(schema, referenced)
    lost = [each for each in _references(schema) if not schemas.has(each)]
    return f"it refers to '{lost[0]}', which is not there" if lost else None


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


class _Refusal(Fault):
    """A value that is known and refused: its reason is all that needs saying of it."""


def _within(path: KeyPath, outer: KeyPath) -> bool:
    return path[: len(outer)] == outer


def _validator(schemas: SchemaSet, target_names: Collection[str] | None) -> "Validator":
    # Imported here: the command line's quick commands do without jsonschema.
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    strict_types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    )
    strict = validators.extend(
        Draft202012Validator, _keywords(target_names), type_checker=strict_types
    )
    resources = [
        (urn, DRAFT202012.create_resource(_undated(schema)))
        for urn, schema in schemas.referenced.items()
    ]
    return strict(_undated(schemas.root), registry=Registry().with_resources(resources))


def _keywords(target_names: Collection[str] | None) -> dict[str, Callable[..., Any]]:
    """Our additions, in the form that jsonschema takes them."""
    from jsonschema import ValidationError

    def refused(validator: Any, rules: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        for rule in rules:
            if validator.evolve(schema=rule["if"]).is_valid(value):
                yield ValidationError(rule["reason"])

    def targets(validator: Any, on: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        for at, name in _names(value):
            if target_names is not None and name not in target_names:
                known = f" (known: {', '.join(target_names)})"
                hint = did_you_mean(str(name), target_names) or known
                yield ValidationError(f"'{name}' is not a target of the data sets{hint}", path=[at])

    def elements(validator: Any, on: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        seen: set[int | None] = set()
        for at, name in _names(value):
            number = atomic_number(name)
            if number is None:
                fault = f"found {shown(name)}, expected an atomic number or a chemical symbol"
                yield ValidationError(fault, path=[at])
            elif number in seen:
                yield ValidationError("the element is named twice", path=[at])
            seen.add(number)

    return {"refused": refused, "targetNames": targets, "elementNames": elements}


def _undated(schema: Schema) -> dict[str, Any]:
    """The schema without ``$schema``, at which jsonschema would go back to its own rules."""
    return {key: value for key, value in schema.items() if key != "$schema"}


def _names(value: Any) -> Iterator[tuple[str | int, Any]]:
    """The names in a mapping or a list, each with its key or index."""
    if isinstance(value, dict):
        yield from ((name, name) for name in value)
    elif isinstance(value, list):
        yield from enumerate(value)


def _is_integer(checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: Any, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _faults(error: "ValidationError", schemas: SchemaSet) -> Iterator[Fault]:
    path = tuple(error.absolute_path)
    if error.validator == "refused":
        yield _Refusal(path, f"{shown(error.instance)} is refused: {error.message}")
    elif error.validator in ("targetNames", "elementNames"):
        yield Fault(path, error.message)
    elif error.validator in ("additionalProperties", "unevaluatedProperties"):
        yield from _unknown_keys(error, path, schemas)
    elif error.validator == "required":
        yield from _missing_keys(error, path, schemas)
    elif error.validator in ("anyOf", "oneOf"):
        yield from _no_branch(error, path, schemas)
    elif error.validator in ("minProperties", "minItems"):
        yield Fault(path, f"found {shown(error.instance)}, expected at least one entry")
    elif error.validator == "uniqueItems":
        yield Fault(path, "the list holds an entry twice")
    else:
        yield Fault(path, _mismatch(error.instance, error.schema, schemas))


def _mismatch(value: Any, schema: Any, schemas: SchemaSet) -> str:
    wanted = expected(schema, schemas)
    hint = ""
    if isinstance(value, str):
        if isinstance(schema, Mapping) and "enum" in schema:
            hint = did_you_mean(value, [item for item in schema["enum"] if isinstance(item, str)])
        if value.lower() in _YAML_1_1_BOOLEANS and "true or false" in wanted:
            meant = _YAML_1_1_BOOLEANS[value.lower()]
            hint = f" (write {meant}: yes, no, on and off are text in YAML 1.2)"
    return f"found {shown(value)}, expected {wanted}{hint}"


def _unknown_keys(error: "ValidationError", path: KeyPath, schemas: SchemaSet) -> Iterator[Fault]:
    known = schemas.known_keys(error.schema)
    for key in cast("dict[str, Any]", error.instance):
        if key in known:
            continue
        match = nearest(key, known)
        hint = f"did you mean '{match}'?" if match else f"known here: {', '.join(sorted(known))}"
        yield Fault((*path, key), f"unknown key, {hint}")


def _missing_keys(error: "ValidationError", path: KeyPath, schemas: SchemaSet) -> Iterator[Fault]:
    # jsonschema reports each missing key by itself, but names it only in its message.
    known = schemas.known_keys(error.schema)
    for key in cast("list[str]", error.validator_value):
        if key not in cast("dict[str, Any]", error.instance):
            yield Fault((*path, key), f"is missing, expected {expected(known.get(key), schemas)}")


def _no_branch(error: "ValidationError", path: KeyPath, schemas: SchemaSet) -> Iterator[Fault]:
    """Faults within the branch that the value is meant for, if its kind tells."""
    branches: dict[str | int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    meant = [
        inner
        for inner in branches.values()
        if not any(_is_of_another_kind(fault, path) for fault in inner)
    ]
    if not meant:
        yield Fault(path, _mismatch(error.instance, error.schema, schemas))
        return
    for inner_error in min(meant, key=len):
        yield from _faults(inner_error, schemas)


def _is_of_another_kind(error: "ValidationError", path: KeyPath) -> bool:
    at_the_value = tuple(error.absolute_path) == path
    return at_the_value and error.validator in ("type", "const", "enum")
