"""Every hyper of an architecture, with type, default, bounds and meaning, for people to read.

Read off the schema and the defaults, those of the shared engine included. ``mt describe`` and the
pages of the documentation are made of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mt_shared.options.at_restart import RestartState, hyper_at_restart
from mt_shared.options.hypers import (
    HypersEntry,
    engine_schema,
    engine_schemas,
    merge_hypers,
    uses_engine,
)
from mt_shared.options.schemas import Schema, SchemaSet, bounds_of, kind_of


class _Unset:
    """A hyper without a default: it is part of a value that the user writes as a whole."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()
# How the table writes a key that the user chooses.
_ANY_TARGET, _ANY_NAME = "TARGET", "NAME"


@dataclass(frozen=True)
class Hyper:
    """One hyper, or a section of hypers, which come after it in the table.

    ``path`` begins with ``model`` or ``training``; a key that the user chooses is in capitals
    (``TARGET``). ``kind`` and ``bounds`` are in words (``a number or null``, ``above 0``), bounds
    empty where there are none; ``default`` is UNSET below a value that is written as a whole.
    ``of_engine``: described by the shared engine; the default may be the architecture's own.
    ``at_restart``: whether it may change when a training goes on, see ``at_restart.py``. ``unit``
    is ``length`` where the default is in angstrom, see ``lengths.py``; else empty.
    """

    path: tuple[str, ...]
    kind: str
    bounds: str
    default: Any
    description: str
    is_section: bool
    of_engine: bool
    at_restart: RestartState
    unit: str = ""

    @property
    def name(self) -> str:
        """The path as it is written in ``-r architecture.NAME=VALUE``."""
        return ".".join(self.path)


def hyper_table(entry: HypersEntry) -> list[Hyper]:
    """The hypers of an architecture, in the order of its defaults, each below its section.

    One that the schema describes and refuses whatever its value, or as another name of one, is left
    out. Without a schema the
    defaults alone tell: then there are no bounds and no meanings.
    """
    schema = entry.schema or {}
    engine_keys: set[str] = set()
    if uses_engine(schema):
        own = schema["properties"]["training"].get("properties", {})
        engine_keys = set(engine_schema()["properties"]) - set(own)
    schemas, hypers = SchemaSet(schema, engine_schemas()), merge_hypers(entry, {})
    walk = _Walk(schemas, engine_keys)
    described = schemas.known_keys(schema)
    table: list[Hyper] = []
    for name, defaults in (("model", hypers.model), ("training", hypers.training)):
        state = hyper_at_restart(entry, (name,))
        table += walk.below(schemas.whole(described.get(name)), defaults, (name,), state)
    if entry.schema is None:
        # no schema of its own says it, but the engine's may
        return [replace(each, at_restart=hyper_at_restart(entry, each.path)) for each in table]
    return table


class _Walk:
    """One walk over schema and defaults side by side."""

    def __init__(self, schemas: SchemaSet, engine_keys: set[str]) -> None:
        self._schemas = schemas
        self._engine_keys = engine_keys
        # Of each reference that was followed the hyper in which that was. A mapping that several
        # hypers share (a loss, say) is written out below the first and named by the others, which
        # also ends the walk through a schema that contains itself.
        self._written: dict[str, str] = {}

    def below(
        self, node: Schema, defaults: Any, path: tuple[str, ...], state: RestartState
    ) -> Iterator[Hyper]:
        """The hypers below a mapping, which has this state at a restart."""
        known = node.get("properties", {})
        given = defaults if isinstance(defaults, Mapping) else {}
        for key in (*given, *(key for key in known if key not in given)):
            # A key of the user's choice may have a default as well.
            node_of_key = known.get(key, known.get(_ANY_TARGET, known.get(_ANY_NAME, {})))
            whole = self._schemas.whole(node_of_key)
            # Refused whatever the value: the key is known only for the sake of the error.
            is_refused = any(rule["if"] == {} for rule in whole.get("refused", ()))
            if not is_refused and "sameAs" not in whole:
                yield from self._hyper(node_of_key, given.get(key, UNSET), (*path, key), state)

    def _hyper(
        self, node: Schema, default: Any, path: tuple[str, ...], above: RestartState
    ) -> Iterator[Hyper]:
        """A hyper, and those below it unless the same were written elsewhere."""
        whole = self._schemas.whole(node)
        # Without a schema the default tells the kind.
        described = whole or ({} if default is UNSET else {"const": default})
        hyper = Hyper(
            path=path,
            kind=kind_of(described, self._schemas),
            bounds="" if "title" in whole else bounds_of(whole),
            default=default,
            description=str(whole.get("description", "")),
            is_section="properties" in whole or (not whole and isinstance(default, Mapping)),
            of_engine=path[0] == "training" and path[1] in self._engine_keys,
            at_restart=whole.get("atRestart", above),
            unit=next((case["unit"] for case in self._schemas.cases(node) if "unit" in case), ""),
        )
        mappings = list(self._mappings(whole, default))
        first = self._written.setdefault(node.get("$ref", hyper.name), hyper.name)
        if mappings and first != hyper.name:
            yield replace(hyper, description=f"{hyper.description} As {first}.".strip())
            return
        yield hyper
        for mapping in mappings:
            yield from self.below(mapping, default, path, hyper.at_restart)

    def _mappings(self, node: Schema, default: Any) -> Iterator[Schema]:
        """What a hyper is where it is a mapping: with keys that are known, or of free choice."""
        if not node and isinstance(default, Mapping):
            yield {}
        alternatives = [*node.get("anyOf", ()), *node.get("oneOf", ())]
        for branch in [node, *map(self._schemas.whole, alternatives)]:
            if "properties" in branch:
                yield branch
            values = branch.get("additionalProperties")
            whole = self._schemas.whole(values)
            # Only names of mappings get a key in capitals: single values need no rows below.
            if whole and any(True for _ in self._mappings(whole, UNSET)):
                any_key = _ANY_TARGET if "targetNames" in branch else _ANY_NAME
                yield {"properties": {any_key: values}}
