"""Every hyper of an architecture, with type, default, bounds and meaning, for people to read.

Read off the schema and the defaults, those of the shared engine included. ``mt describe`` and the
pages of the documentation are made of it. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mt_shared.options.expectations import Schema, SchemaSet, bounds_of, kind_of
from mt_shared.options.hypers import (
    ENGINE_URN,
    HypersEntry,
    engine_schema,
    merge_hypers,
    uses_engine,
)
from mt_shared.options.load import deep_merge


class _Unset:
    """A hyper without a default: it is part of a value that the user writes as a whole."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()
_SECTIONS = ("model", "training")
_ANY_TARGET, _ANY_NAME = "TARGET", "NAME"


@dataclass(frozen=True)
class Hyper:
    """One hyper, or a section of hypers, which come after it in the table.

    ``path`` begins with ``model`` or ``training``; a key that the user chooses is in capitals
    (``TARGET``). ``kind`` and ``bounds`` are in words (``a number or null``, ``above 0``), bounds
    empty where there are none; ``default`` is UNSET below a value that is written as a whole.
    ``of_engine``: described by the shared engine; the default may be the architecture's own.
    """

    path: tuple[str, ...]
    kind: str
    bounds: str
    default: Any
    description: str
    is_section: bool
    of_engine: bool

    @property
    def name(self) -> str:
        """The path as it is written in ``-r architecture.NAME=VALUE``."""
        return ".".join(self.path)


def hyper_table(entry: HypersEntry) -> list[Hyper]:
    """The hypers of an architecture, in the order of its defaults, each below its section.

    One that the schema describes and refuses whatever its value is left out. Without a schema the
    defaults alone tell: then there are no bounds and no meanings.
    """
    schemas = SchemaSet(entry.schema or {}, {ENGINE_URN: engine_schema()})
    walk = _Walk(schemas, _engine_keys(entry))
    hypers = merge_hypers(entry, {})
    root = _whole(entry.schema or {}, schemas)
    table: list[Hyper] = []
    for section, defaults in zip(_SECTIONS, (hypers.model, hypers.training), strict=True):
        node = _whole(root.get("properties", {}).get(section, {}), schemas)
        table += walk.below(node, defaults, (section,))
    return table


def _engine_keys(entry: HypersEntry) -> set[str]:
    """The keys of ``training`` that the engine describes and the architecture does not."""
    if entry.schema is None or not uses_engine(entry.schema):
        return set()
    own = entry.schema["properties"]["training"].get("properties", {})
    return set(engine_schema()["properties"]) - set(own)


class _Walk:
    """One walk over schema and defaults side by side."""

    def __init__(self, schemas: SchemaSet, engine_keys: set[str]) -> None:
        self._schemas = schemas
        self._engine_keys = engine_keys
        self._written: dict[str, str] = {}
        """Of each reference that was followed the hyper in which that was."""

    def below(self, node: Schema, defaults: Any, path: tuple[str, ...]) -> Iterator[Hyper]:
        """The hypers below a mapping."""
        known = node.get("properties", {})
        given = defaults if isinstance(defaults, Mapping) else {}
        for key in (*given, *(key for key in known if key not in given)):
            # a key of the user's choice may have a default as well
            node_of_key = known.get(key, known.get(_ANY_TARGET, known.get(_ANY_NAME, {})))
            if not _is_refused(_whole(node_of_key, self._schemas)):
                yield from self._hyper(node_of_key, given.get(key, UNSET), (*path, key))

    def _hyper(self, node: Schema, default: Any, path: tuple[str, ...]) -> Iterator[Hyper]:
        """A hyper, and those below it unless the same were written elsewhere."""
        whole = _whole(node, self._schemas)
        hyper = self._row(whole, default, path)
        mappings = list(_mappings(whole, default, self._schemas))
        reference = node.get("$ref", hyper.name)
        first = self._written.setdefault(reference, hyper.name)
        if mappings and first != hyper.name:
            yield replace(hyper, description=f"{hyper.description} As {first}.".strip())
            return
        yield hyper
        for mapping in mappings:
            yield from self.below(mapping, default, path)

    def _row(self, node: Schema, default: Any, path: tuple[str, ...]) -> Hyper:
        return Hyper(
            path=path,
            kind=_kind(node, default, self._schemas),
            bounds="" if "title" in node else bounds_of(node),
            default=default,
            description=str(node.get("description", "")),
            is_section="properties" in node or (not node and isinstance(default, Mapping)),
            of_engine=path[0] == "training" and path[1] in self._engine_keys,
        )


def _kind(node: Schema, default: Any, schemas: SchemaSet) -> str:
    """The kind in words; without a schema that of the default."""
    if not node:
        return "a value" if default is UNSET else kind_of({"const": default}, schemas)
    return kind_of(node, schemas)


def _mappings(node: Schema, default: Any, schemas: SchemaSet) -> Iterator[Schema]:
    """What a hyper is where it is a mapping: with keys that are known, or of the user's choice."""
    if not node and isinstance(default, Mapping):
        yield {}
    alternatives = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    for branch in [node, *(_whole(each, schemas) for each in alternatives)]:
        if "properties" in branch:
            yield branch
        values = branch.get("additionalProperties")
        if isinstance(values, Mapping):
            yield from _of_any_key(branch, values, schemas)


def _of_any_key(branch: Schema, values: Schema, schemas: SchemaSet) -> Iterator[Schema]:
    """A mapping of names to mappings, as one with a key in capitals; single values need none."""
    if any(True for _ in _mappings(_whole(values, schemas), UNSET, schemas)):
        yield {"properties": {_ANY_TARGET if "targetNames" in branch else _ANY_NAME: values}}


def _whole(node: Schema, schemas: SchemaSet) -> dict[str, Any]:
    """A schema with what it refers to and what it consists of, its own words before theirs."""
    parts = [part for part in node.get("allOf", ()) if "if" not in part]
    if "$ref" in node:
        parts.append(schemas.resolve({"$ref": node["$ref"]}))
    whole: dict[str, Any] = {}
    for part in parts:
        whole = deep_merge(whole, _whole(part, schemas))
    own = {key: value for key, value in node.items() if key not in ("$ref", "allOf")}
    return dict(deep_merge(whole, own))


def _is_refused(node: Schema) -> bool:
    """Whether every value is refused: the key is known only for the sake of the error."""
    return any(rule["if"] == {} for rule in node.get("refused", ()))
