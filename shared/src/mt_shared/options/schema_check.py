"""Options against a JSON schema, with messages for people.

Additions to JSON schema (draft 2020-12):

- ``"refused": [{"if": SCHEMA, "reason": TEXT}]``: values that match SCHEMA are known but refused,
  and the error says why. Other faults of the same value are then not shown.
- ``"targetNames": true``: the keys of a mapping, or the items of a list, are names of targets.
- ``"elementNames": true``: they are elements, as atomic numbers or symbols, each at most once.
- ``"sameAs": NAME``: another name of the key NAME beside it; ``usual_names`` turns it into that.
- ``"title"`` is how an error names what was expected (``a path``); without it the schema is read.
- ``"atRestart"`` and ``"unit"`` change nothing of the check; ``at_restart.py`` and ``lengths.py``
  describe them.

Types are strict: ``1.0`` is no integer, ``true`` no number, and numbers are finite.

jsonschema finds the errors. What is done here is to turn each into what a user can act on: the
path of the key, what was found, what was expected, and the name that was probably meant.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from mt_shared.errors import did_you_mean, nearest, plain_number
from mt_shared.options.elements import atomic_number
from mt_shared.options.faults import Fault, KeyPath, raise_faults, shown
from mt_shared.options.schemas import Schema, SchemaSet, expected

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

# What users of YAML 1.1 write for booleans, which is text in YAML 1.2.
_YAML_1_1_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def check(
    value: Any, schema: Schema, source: str, referenced: Mapping[str, Schema] | None = None
) -> None:
    """Raise one error that lists every fault of ``value``; ``source`` is the file it is from.

    :param referenced: the schemas that ``schema`` refers to by URN
    """
    raise_faults(find_faults(value, schema, referenced), source)


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
    errors = _validator(schemas, target_names).iter_errors(value)
    faults = [fault for error in errors for fault in _faults(error, schemas)]
    # A refused value usually breaks another rule too (it is not in the "enum", say). The reason
    # of the refusal is the better message, and the others would contradict it.
    refused = [fault.path for fault in faults if isinstance(fault, _Refusal)]
    return [
        Fault(at + fault.path, fault.message)
        for fault in faults
        if isinstance(fault, _Refusal)
        or not any(fault.path[: len(path)] == path for path in refused)
    ]


class _Refusal(Fault):
    """A value that is known and refused: its reason is all that needs saying of it."""


def _validator(schemas: SchemaSet, target_names: Collection[str] | None) -> "Validator":
    """jsonschema's validator with our keywords and strict types.

    A keyword gets the validator, what the schema says under it, the value and the schema. The path
    of an error leads on from the value to the key or the item that is wrong.
    """
    # Imported here: the command line's quick commands do without jsonschema.
    from jsonschema import Draft202012Validator, ValidationError, validators

    # JSON schema counts 1.0 as an integer, and Python counts True as 1 and has nan and inf. A
    # user who writes any of these for a number has made a mistake.
    strict_types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and math.isfinite(value)
            ),
        }
    )

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

    def same_as(validator: Any, name: str, value: Any, schema: Any) -> Iterator[ValidationError]:
        # alone it has become that name by now
        yield ValidationError(f"it is another name of '{name}', which is there too: keep one")

    keywords = {
        "refused": refused,
        "sameAs": same_as,
        "targetNames": targets,
        "elementNames": elements,
    }
    strict = validators.extend(Draft202012Validator, keywords, type_checker=strict_types)
    return strict(schemas.root, registry=schemas.registry)


def _names(value: Any) -> Iterator[tuple[str | int, Any]]:
    """The names in a mapping or a list, each with its key or index."""
    # Values of another kind have no names: that they are wrong is the fault of "type".
    if isinstance(value, dict):
        yield from ((name, name) for name in value)
    elif isinstance(value, list):
        yield from enumerate(value)


def _faults(error: "ValidationError", schemas: SchemaSet) -> Iterator[Fault]:
    path = tuple(error.absolute_path)
    if error.validator == "refused":
        yield _Refusal(path, f"{shown(error.instance)} is refused: {error.message}")
    elif error.validator in ("sameAs", "targetNames", "elementNames"):
        yield Fault(path, error.message)
    elif error.validator in ("additionalProperties", "unevaluatedProperties"):
        # jsonschema names the keys only in its message, and there all of them at once.
        known = schemas.known_keys(error.schema)
        for key in cast("dict[str, Any]", error.instance):
            if key not in known:
                match, names = nearest(key, known), ", ".join(sorted(known))
                hint = f"did you mean '{match}'?" if match else f"known here: {names}"
                yield Fault((*path, key), f"unknown key, {hint}")
    elif error.validator == "required":
        # jsonschema reports each missing key by itself, but names it only in its message: we list
        # all of them each time, and `raise_faults` shows each once.
        known = schemas.known_keys(error.schema)
        for key in cast("list[str]", error.validator_value):
            if key not in cast("dict[str, Any]", error.instance):
                asked = expected(known.get(key), schemas)
                yield Fault((*path, key), f"is missing, expected {asked}")
    elif error.validator in ("anyOf", "oneOf"):
        yield from _no_branch(error, path, schemas)
    elif error.validator in ("minProperties", "minItems"):
        yield Fault(path, f"found {shown(error.instance)}, expected at least one entry")
    elif error.validator == "uniqueItems":
        yield Fault(path, "the list holds an entry twice")
    else:
        yield Fault(path, _mismatch(error.instance, error.schema, schemas))


def _mismatch(value: Any, schema: Any, schemas: SchemaSet) -> str:
    asked = expected(schema, schemas)
    hint = ""
    if isinstance(value, str):
        hint = did_you_mean(value, schemas.choices(schema))
        plain = plain_number(value)
        if plain is not None and "number" in asked:
            hint = f" (write {plain}, without quotes)"
        if value.lower() in _YAML_1_1_BOOLEANS and "true or false" in asked:
            meant = _YAML_1_1_BOOLEANS[value.lower()]
            hint = f" (write {meant}: yes, no, on and off are text in YAML 1.2)"
    return f"found {shown(value)}, expected {asked}{hint}"


def _no_branch(error: "ValidationError", path: KeyPath, schemas: SchemaSet) -> Iterator[Fault]:
    """The faults within the branch of ``anyOf`` that was meant, if the kind of the value tells."""
    branches: dict[str | int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    # A branch that knows the value and refuses it was meant.
    refusals = [
        inner
        for inner in error.context or ()
        if inner.validator == "refused" and tuple(inner.absolute_path) == path
    ]
    if refusals:
        for refusal in refusals:
            yield from _faults(refusal, schemas)
        return
    # A loss is a name or a mapping. {"wieght": 1} is no name at all, a fault at the value itself,
    # while to the branch of the mapping the kind is right and the fault lies below, in a key: that
    # branch was meant, and 'wieght' is the message. Where every branch is of another kind, or
    # lacks the name, nothing was meant, and all that can be said is what there is to choose from.
    meant = [
        inner
        for inner in branches.values()
        if not any(
            tuple(fault.absolute_path) == path and fault.validator in ("type", "const", "enum")
            for fault in inner
        )
    ]
    if not meant:
        yield Fault(path, _mismatch(error.instance, error.schema, schemas))
        return
    # Of several mappings the nearest: the one with the fewest faults.
    for fault in min(meant, key=len):
        yield from _faults(fault, schemas)
