"""What a JSON schema expects, in words; and the keys that it knows."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_KINDS = {
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
    "array": "a list",
}
_BOUNDS = {
    "minimum": "of at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "of at most {}",
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
            return _either([expected(branch, schemas) for branch in schema[union]])
    if "enum" in schema:
        return _either([_quoted(value) for value in schema["enum"]])
    if "const" in schema:
        return _quoted(schema["const"])
    kinds = schema.get("type")
    if kinds is None:
        rules = [f"{key}: {value}" for key, value in schema.items() if key != "description"]
        return f"a value of the schema {{{', '.join(rules)}}}" if rules else "a value"
    return _either([_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _kind(kind: str, schema: Schema) -> str:
    if kind not in ("integer", "number"):
        return _KINDS[kind]
    noun = "a whole number" if kind == "integer" else "a number"
    bounds = [text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema]
    return " ".join([noun, " and ".join(bounds)]) if bounds else noun


def _quoted(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _either(options: list[str]) -> str:
    options = list(dict.fromkeys(options))
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"
