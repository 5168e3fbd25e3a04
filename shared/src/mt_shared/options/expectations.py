"""What a JSON schema expects, in words; and the keys that it knows."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
    "array": "a list",
}
_KIND_OF_VALUE = {
    str: "text",
    bool: "true or false",
    type(None): "null",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}
# Our additions to JSON schema that say what the keys of a mapping, or the items of a list, are.
_NAMED = {"targetNames": "targets", "elementNames": "elements"}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}


class SchemaSet:
    """A schema with the ones it refers to by URN, so that ``$ref`` can be followed."""

    def __init__(self, root: Schema, referenced: Mapping[str, Schema]) -> None:
        self.root = root
        self.referenced = referenced

    def resolve(self, schema: Any) -> Any:
        """The schema itself, or what its ``$ref`` points to."""
        if isinstance(schema, Mapping) and "$ref" in schema:
            document, _, pointer = schema["$ref"].partition("#")
            return self.resolve(self._pointed(document, pointer.strip("/")))
        return schema

    def has(self, reference: str) -> bool:
        """Whether a ``$ref`` points to something."""
        document, _, pointer = reference.partition("#")
        known = not document or document in self.referenced
        return known and bool(self._pointed(document, pointer.strip("/")))

    def _pointed(self, document: str, pointer: str) -> Any:
        # A local pointer is looked up in each document: which one it was written in is not kept.
        documents = [self.referenced[document]] if document else self._documents()
        for found in documents:
            for part in pointer.split("/") if pointer else ():
                found = found.get(part, {})
            if found:
                return found
        return {}

    def _documents(self) -> list[Any]:
        return [self.root, *self.referenced.values()]

    def known_keys(self, schema: Any) -> dict[str, Any]:
        """The keys that a schema describes, its references included, with their schemas."""
        if not isinstance(schema, Mapping):
            return {}
        known: dict[str, Any] = {}
        if "$ref" in schema:
            known.update(self.known_keys(self.resolve(schema)))
        for part in schema.get("allOf", ()):
            known.update(self.known_keys(part))
        known.update(schema.get("properties", {}))
        return known


def expected(schema: Any, schemas: SchemaSet) -> str:
    """What a schema asks for: ``a whole number of at least 1``."""
    schema = schemas.resolve(schema)
    if not isinstance(schema, Mapping):
        return "a value"
    if "title" in schema:
        return str(schema["title"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return either([expected(branch, schemas) for branch in schema[union]])
    if "enum" in schema:
        return either([_quoted(value) for value in schema["enum"]])
    if "const" in schema:
        return _quoted(schema["const"])
    kinds = _types(schema)
    if not kinds:
        rules = [f"{key}: {value}" for key, value in schema.items() if key != "description"]
        return f"a value of the schema {{{', '.join(rules)}}}" if rules else "a value"
    return either([_within_bounds(kind, schema) for kind in kinds])


def kind_of(schema: Any, schemas: SchemaSet) -> str:
    """What kind of value a schema asks for, without its bounds: ``a whole number``."""
    schema = schemas.resolve(schema)
    if "title" in schema or "anyOf" in schema or "oneOf" in schema:
        return expected(schema, schemas)
    if "enum" in schema or "const" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return either([_kind_of_value(value) for value in values])
    kinds = [_kind_in_full(kind, schema, schemas) for kind in _types(schema)]
    return either(kinds) if kinds else "a value"


def bounds_of(schema: Schema) -> str:
    """The bounds or the choices of a value, in words: ``at least 1``; empty if there are none."""
    if "enum" in schema:
        return either([_quoted(value) for value in schema["enum"]])
    if "const" in schema:
        return f"only {_quoted(schema['const'])}"
    return " and ".join(text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema)


def _types(schema: Schema) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds


def _within_bounds(kind: str, schema: Schema) -> str:
    bounds = bounds_of(schema)
    if kind not in ("integer", "number") or not bounds:
        return _KINDS[kind]
    return f"{_KINDS[kind]} {'of ' if bounds.startswith('at ') else ''}{bounds}"


def _kind_in_full(kind: str, schema: Schema, schemas: SchemaSet) -> str:
    """With what a list or a mapping holds."""
    names = next((noun for key, noun in _NAMED.items() if key in schema), "")
    if kind == "array" and names:
        return f"a list of {names}"
    if kind == "array" and "items" in schema:
        return f"a list, each {expected(schema['items'], schemas)}"
    values = schema.get("additionalProperties")
    if kind == "object" and isinstance(values, Mapping):
        return f"a mapping of {names or 'names'} to {expected(values, schemas)}"
    return _KINDS[kind]


def _kind_of_value(value: Any) -> str:
    return _KIND_OF_VALUE[type(value)]


def _quoted(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def either(options: list[str]) -> str:
    """The options as a phrase: ``a, b or c``."""
    options = list(dict.fromkeys(options))
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"
