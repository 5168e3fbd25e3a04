"""JSON schemas that refer to one another: the library ``referencing`` follows each ``$ref``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mt_shared.options.trees import deep_merge

Schema = Mapping[str, Any]


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


def schema_fault(schema: Schema, referenced: Mapping[str, Schema]) -> str | None:
    """What is wrong with a schema itself: not JSON schema, or a reference to nothing."""
    from jsonschema import Draft202012Validator, SchemaError
    from referencing.exceptions import Unresolvable

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "/".join(str(part) for part in error.absolute_path)
        return f"{place}: {error.message}" if place else error.message
    schemas = SchemaSet(schema, referenced)
    for reference in _references(schemas.root):
        try:
            schemas.lookup(reference)
        except Unresolvable:
            return f"it refers to '{reference}', which is not there"
    return None


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
