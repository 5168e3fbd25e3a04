"""JSON schemas: what they refer to, and what they expect, in words.

The library ``referencing`` follows each ``$ref``. The words are those of errors and of the table of
hypers. The keywords that we add to JSON schema are described in ``schema_check.py``; what they may
hold is checked here, in the schemas of architectures.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from mt_shared.options.options_file import deep_merge

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

Schema = Mapping[str, Any]

_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
    "array": "a list",
}
_JSON_TYPES = dict(zip((int, float, str, bool, type(None), dict, list), _WORDS, strict=True))
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}
# What a schema itself has to fit: JSON schema, and beside it our keywords. The anchor makes the
# definition of JSON schema come back to this one for every schema within a schema.
_META_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:mt-shared:schema:1",
    "$dynamicAnchor": "meta",
    "allOf": [{"$ref": "https://json-schema.org/draft/2020-12/schema"}],
    "properties": {
        "atRestart": {"enum": ["free", "on_request", "fixed"]},
        "elementNames": {"const": True},
        "sameAs": {"type": "string"},
        "targetNames": {"const": True},
        "unit": {"enum": ["length"]},
        "refused": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["if", "reason"],
                "additionalProperties": False,
                "properties": {"if": {"$dynamicRef": "#meta"}, "reason": {"type": "string"}},
            },
        },
    },
}


class SchemaSet:
    """A schema with the ones it refers to by URN."""

    def __init__(self, root: Schema, referenced: Mapping[str, Schema]) -> None:
        # Imported here: the command line's quick commands do without jsonschema.
        from referencing import Registry
        from referencing.jsonschema import DRAFT202012

        self.root = _document(root)
        self.registry: Registry[Any] = Registry().with_resources(
            (urn, DRAFT202012.create_resource(_document(schema, urn)))
            for urn, schema in referenced.items()
        )
        self._resolver = self.registry.resolver_with_root(DRAFT202012.create_resource(self.root))

    def lookup(self, reference: str) -> Any:
        """What a ``$ref`` points to."""
        return self._resolver.lookup(reference).contents

    def resolve(self, schema: Any) -> Any:
        """The schema itself, or what its ``$ref`` points to in the end."""
        if isinstance(schema, Mapping) and "$ref" in schema:
            return self.resolve(self.lookup(schema["$ref"]))
        return schema

    def whole(self, schema: Any) -> dict[str, Any]:
        """A schema with what it refers to and what it consists of, its own words before theirs."""
        if not isinstance(schema, Mapping):
            return {}
        if "$ref" not in schema and "allOf" not in schema:
            return dict(schema)
        # A part with "if" holds for some values only, so it does not say what the schema is.
        parts = [part for part in schema.get("allOf", ()) if "if" not in part]
        if "$ref" in schema:
            parts.append(self.lookup(schema["$ref"]))
        whole: dict[str, Any] = {}
        for part in parts:
            whole = deep_merge(whole, self.whole(part))
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        return dict(deep_merge(whole, own))

    def known_keys(self, schema: Any) -> dict[str, Any]:
        """The keys that a schema describes, its references included, with their schemas."""
        return dict(self.whole(schema).get("properties", {}))

    def along(self, path: Iterable[str | int]) -> Iterator[dict[str, Any]]:
        """What describes a value, and what is on the way to one below it: one more than the path.

        What no schema describes is an empty one.
        """
        node = self.whole(self.root)
        yield node
        for part in path:
            node = self.below(node, part)
            yield node

    def below(self, schema: Any, part: str | int) -> dict[str, Any]:
        """What describes a key of a mapping or an item of a list; nothing does: an empty one."""
        found = (_child(case, part) for case in self.cases(schema))
        return self.whole(next((child for child in found if child is not None), {}))

    def choices(self, schema: Any) -> list[str]:
        """The words that a schema admits, in any of its branches."""
        return [
            item
            for case in self.cases(schema)
            for item in case.get("enum", ())
            if isinstance(item, str)
        ]

    def cases(self, schema: Any) -> Iterator[dict[str, Any]]:
        """A schema as a whole, and after it each that holds for some of its values only."""
        whole = self.whole(schema)
        yield whole
        parts = [*whole.get("anyOf", ()), *whole.get("oneOf", ())]
        parts += [whole[key] for key in ("then", "else") if key in whole]
        for part in parts:
            yield from self.cases(part)


def _child(schema: Schema, part: str | int) -> Any:
    """The schema of a key of a mapping or of an item of a list; None: this schema knows none."""
    known = schema.get("properties", {})
    if part in known:
        return known[part]
    others = schema.get("items" if isinstance(part, int) else "additionalProperties")
    return others if isinstance(others, Mapping) else None


def schema_fault(schema: Schema, referenced: Mapping[str, Schema]) -> str | None:
    """What is wrong with a schema itself: not JSON schema, or a reference to nothing or itself."""
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    error = best_match(_meta_validator().iter_errors(schema))
    if error is not None:
        place = "/".join(str(part) for part in error.absolute_path)
        return f"{place}: {error.message}" if place else error.message
    schemas = SchemaSet(schema, referenced)
    references = dict.fromkeys(_references(schemas.root))
    for reference in references:
        try:
            schemas.lookup(reference)
        except Unresolvable:
            return f"it refers to '{reference}', which is not there"
    for reference in references:
        if _leads_back(reference, schemas):
            return f"it refers to '{reference}', which leads back to itself and describes no value"
    return None


@cache
def _meta_validator() -> "Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(_META_SCHEMA)


def _document(schema: Schema, urn: str = "") -> dict[str, Any]:
    """A schema as it goes into the registry: its parts mean the same wherever they are read.

    A reference like ``#/$defs/term`` gets the URN of the schema it was written in. The errors of
    jsonschema quote parts of schemas without their document, and :meth:`SchemaSet.whole` merges
    parts of several documents.
    """

    def absolute(value: Any) -> Any:
        if isinstance(value, list):
            return [absolute(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        copy = {key: absolute(item) for key, item in value.items()}
        if isinstance(copy.get("$ref"), str) and copy["$ref"].startswith("#"):
            copy["$ref"] = urn + copy["$ref"]
        return copy

    # At "$schema", jsonschema would go back to its own validator, without our keywords and types.
    return {key: absolute(value) for key, value in schema.items() if key != "$schema"}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _leads_back(reference: str, schemas: SchemaSet) -> bool:
    """Whether what a reference points to is described by itself.

    To contain itself in a key or an item is fine: there the value gets smaller, and ends.
    """
    seen: set[str] = set()
    todo = [reference]
    while todo:
        found = set(_references_in_place(schemas.lookup(todo.pop())))
        if reference in found:
            return True
        todo += found - seen
        seen |= found
    return False


def _references_in_place(schema: Any) -> Iterator[str]:
    """The references of a schema that are about the same value as it is itself."""
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema:
        yield schema["$ref"]
    parts = [part for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())]
    parts += [schema[key] for key in ("if", "then", "else", "not") if key in schema]
    parts += [rule["if"] for rule in schema.get("refused", ())]
    parts += schema.get("dependentSchemas", {}).values()
    for part in parts:
        yield from _references_in_place(part)


def expected(schema: Any, schemas: SchemaSet) -> str:
    """What a schema asks for: ``a whole number of at least 1``."""
    schema = schemas.resolve(schema)
    if not isinstance(schema, Mapping):
        return "a value"
    if "title" in schema:
        return str(schema["title"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return _either(expected(branch, schemas) for branch in schema[union])
    if "enum" in schema:
        return _either(map(_quoted, schema["enum"]))
    if "const" in schema:
        return _quoted(schema["const"])
    types = _types(schema)
    if not types:
        # Nothing that has words: such as "pattern" alone. Shown as it is, it still helps.
        rules = [f"{key}: {value}" for key, value in schema.items() if key != "description"]
        return f"a value of the schema {{{', '.join(rules)}}}" if rules else "a value"
    bounds = bounds_of(schema)
    # "a number above 0", but "a number of at least 0"; bounds hold for numbers alone.
    bounds = f" of {bounds}" if bounds.startswith("at ") else f" {bounds}" if bounds else ""
    return _either(
        _WORDS[each] + (bounds if each in ("integer", "number") else "") for each in types
    )


def kind_of(schema: Any, schemas: SchemaSet) -> str:
    """What kind of value a schema asks for, without its bounds: ``a whole number``."""
    schema = schemas.resolve(schema)
    if "title" in schema or "anyOf" in schema or "oneOf" in schema:
        return expected(schema, schemas)
    if "enum" in schema or "const" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return _either(_WORDS[_JSON_TYPES[type(value)]] for value in values)
    types = _types(schema)
    return _either(_kind(each, schema, schemas) for each in types) if types else "a value"


def _kind(type_: str, schema: Schema, schemas: SchemaSet) -> str:
    """One of a schema's types in words, with what a list or a mapping holds."""
    names = "targets" if "targetNames" in schema else "elements" if "elementNames" in schema else ""
    if type_ == "array" and names:
        return f"a list of {names}"
    if type_ == "array" and "items" in schema:
        return f"a list, each {expected(schema['items'], schemas)}"
    values = schema.get("additionalProperties")
    if type_ == "object" and isinstance(values, Mapping):
        return f"a mapping of {names or 'names'} to {expected(values, schemas)}"
    return _WORDS[type_]


def bounds_of(schema: Schema) -> str:
    """The bounds or the choices of a value, in words: ``at least 1``; empty if there are none."""
    if "enum" in schema:
        return _either(map(_quoted, schema["enum"]))
    if "const" in schema:
        return f"only {_quoted(schema['const'])}"
    return " and ".join(text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema)


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def _quoted(value: Any) -> str:
    """A value as YAML has it, text in quotes."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _either(choices: Iterable[str]) -> str:
    """The choices as a phrase: ``a, b or c``."""
    first, *others = dict.fromkeys(choices)
    return f"{', '.join([first, *others[:-1]])} or {others[-1]}" if others else first
