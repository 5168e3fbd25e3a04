"""What a JSON schema expects, in words: of errors, and of the table of hypers."""

from collections.abc import Iterable, Mapping
from typing import Any

from mt_shared.options.schemas import Schema, SchemaSet

_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
    "array": "a list",
}
_JSON_TYPES = {
    str: "string",
    bool: "boolean",
    type(None): "null",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}


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
