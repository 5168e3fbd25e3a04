"""The table of hypers: what stands in it of schema and defaults."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from mt_shared.options import UNSET, engine_defaults, hyper_table
from mt_shared.options.hypers import engine_schema

ENGINE = {"$ref": "urn:mt-shared:engine:1", "unevaluatedProperties": False}


@dataclass
class Entry:
    """What the table needs of an architecture."""

    name: str = "toy"
    default_hypers: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] | None = None


def with_model(properties: dict[str, Any], defaults: dict[str, Any], **more: Any) -> Entry:
    model = {"type": "object", "additionalProperties": False, "properties": properties}
    schema = {"properties": {"model": model, "training": {}}, **more}
    return Entry(default_hypers={"model": defaults, "training": {}}, schema=schema)


def only(entry: Entry):
    """The one hyper of an architecture."""
    (hyper,) = hyper_table(entry)
    return hyper


@pytest.mark.parametrize(
    ("schema", "default", "kind", "bounds"),
    [
        ({"type": "integer", "minimum": 1}, 3, "a whole number", "at least 1"),
        (
            {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
            None,
            "a number or null",
            "above 0 and at most 1",
        ),
        ({"enum": ["mlp", "linear"]}, "mlp", "text", "'mlp' or 'linear'"),
        ({"const": 1.4}, 1.4, "a number", "only 1.4"),
        ({"type": "boolean"}, True, "true or false", ""),
        ({"title": "a path", "type": "string"}, "", "a path", ""),
        (
            {"anyOf": [{"type": "number", "minimum": 0}, {"const": "auto"}]},
            "auto",
            "a number of at least 0 or 'auto'",
            "",
        ),
        (
            {"oneOf": [{"type": "integer"}, {"type": "null"}]},
            None,
            "a whole number or null",
            "",
        ),
        (
            {"type": "array", "items": {"type": "integer", "minimum": 1}},
            [1],
            "a list, each a whole number of at least 1",
            "",
        ),
        ({"type": "array", "targetNames": True}, [], "a list of targets", ""),
        (
            {"type": "object", "targetNames": True, "additionalProperties": {"type": "number"}},
            {},
            "a mapping of targets to a number",
            "",
        ),
    ],
)
def test_kind_and_bounds_are_in_words(schema, default, kind, bounds):
    hyper = only(with_model({"size": {"description": "How large.", **schema}}, {"size": default}))
    assert (hyper.kind, hyper.bounds) == (kind, bounds)
    assert (hyper.name, hyper.default) == ("model.size", default)
    assert hyper.description == "How large."
    assert not hyper.is_section


def test_a_section_comes_before_what_is_in_it():
    inner = {"type": "object", "description": "A part.", "properties": {"a": {"type": "integer"}}}
    section, hyper = hyper_table(with_model({"part": inner}, {"part": {"a": 1}}))
    assert section.is_section
    assert section.path == ("model", "part")
    assert hyper.path == ("model", "part", "a")
    assert hyper.default == 1


def test_a_hyper_without_a_default_is_in_the_table():
    inner = {"type": ["object", "null"], "properties": {"a": {"type": "integer"}}}
    section, hyper = hyper_table(with_model({"part": inner}, {"part": None}))
    assert section.default is None
    assert hyper.default is UNSET


def test_keys_of_the_users_choice_are_in_capitals():
    values = {"type": "object", "properties": {"weight": {"type": "number"}}}
    part = {"type": "object", "targetNames": True, "additionalProperties": values}
    table = hyper_table(with_model({"part": part}, {"part": {}}))
    assert [hyper.name for hyper in table] == [
        "model.part",
        "model.part.TARGET",
        "model.part.TARGET.weight",
    ]


def test_the_same_mapping_is_written_out_once():
    term = {"type": "object", "properties": {"weight": {"type": "number"}}}
    reference = {"$ref": "#/$defs/term"}
    entry = with_model({"a": reference, "b": reference}, {}, **{"$defs": {"term": term}})
    table = hyper_table(entry)
    assert [hyper.name for hyper in table] == ["model.a", "model.a.weight", "model.b"]
    assert table[-1].description == "As model.a."


def test_a_schema_that_contains_itself_ends():
    tree = {"type": "object", "properties": {"branch": {"$ref": "#/$defs/tree"}}}
    entry = with_model({"root": {"$ref": "#/$defs/tree"}}, {}, **{"$defs": {"tree": tree}})
    assert [hyper.name for hyper in hyper_table(entry)] == ["model.root", "model.root.branch"]


def test_what_is_refused_whatever_its_value_is_left_out():
    refused = {"refused": [{"if": {}, "reason": "it is another program's"}]}
    assert not hyper_table(with_model({"odd": refused}, {}))


def test_the_engines_hypers_are_in_it_with_the_architectures_defaults():
    schema = {"properties": {"model": {}, "training": ENGINE}}
    entry = Entry(default_hypers={"model": {}, "training": {"batch_size": 4}}, schema=schema)
    table = {hyper.name: hyper for hyper in hyper_table(entry)}
    size = table["training.batch_size"]
    assert size.of_engine
    assert size.default == 4
    assert size.description == engine_schema()["properties"]["batch_size"]["description"]
    factor = engine_defaults()["scheduler"]["factor"]
    assert table["training.scheduler.factor"].default == factor


def test_keys_that_an_architecture_adds_to_the_engines_are_its_own():
    own = {"mixing": {"type": "number", "description": "Of two losses."}}
    finetune = {
        "$ref": "urn:mt-shared:engine:1#/$defs/finetune",
        "properties": {"keep": {"type": "boolean"}},
    }
    training = {**ENGINE, "properties": {**own, "finetune": finetune}}
    defaults = {"model": {}, "training": {"mixing": 0.5, "finetune": {"keep": True}}}
    schema = {"properties": {"training": training}}
    table = {each.name: each for each in hyper_table(Entry("toy", defaults, schema))}
    assert not table["training.mixing"].of_engine
    assert table["training.finetune.keep"].kind == "true or false"
    assert table["training.finetune.method"].bounds == "'full', 'heads' or 'lora'"


def test_what_may_change_at_a_restart_is_in_it():
    own = {
        "warm": {"type": "boolean"},
        "noise": {"atRestart": "on_request", "properties": {"width": {"type": "number"}}},
    }
    entry = Entry(schema={"properties": {"training": {**ENGINE, "properties": own}}})
    states = {hyper.name: hyper.at_restart for hyper in hyper_table(entry)}
    assert states["training.warm"] == "fixed"
    assert states["training.noise.width"] == "on_request"
    assert states["training.num_epochs"] == "free"
    assert states["training.scheduler.type"] == "on_request"
    bare = Entry(default_hypers={"model": {"size": 3}, "training": {"rate": 0.1}})
    assert [hyper.at_restart for hyper in hyper_table(bare)] == ["fixed", "on_request"]
    of_engine = Entry(default_hypers={"model": {}, "training": {"num_epochs": 3}})
    assert [hyper.at_restart for hyper in hyper_table(of_engine)] == ["free"]


def test_without_a_schema_the_defaults_tell():
    entry = Entry(default_hypers={"model": {"part": {"size": 3}}, "training": {"rate": 0.1}})
    rows = [(hyper.name, hyper.kind, hyper.is_section) for hyper in hyper_table(entry)]
    assert rows == [
        ("model.part", "a mapping", True),
        ("model.part.size", "a whole number", False),
        ("training.rate", "a number", False),
    ]


def test_every_hyper_of_the_engine_has_a_kind_and_a_meaning():
    schema = {"properties": {"model": {}, "training": ENGINE}}
    table = hyper_table(Entry(default_hypers={"model": {}, "training": {}}, schema=schema))
    assert table
    assert not [hyper.name for hyper in table if not hyper.description or hyper.kind == "a value"]


def test_a_default_of_a_key_of_the_users_choice_is_described():
    values = {"type": "object", "properties": {"weight": {"type": "number"}}}
    part = {"type": "object", "targetNames": True, "additionalProperties": values}
    table = hyper_table(with_model({"part": part}, {"part": {"energy": {"weight": 2}}}))
    weights = {hyper.name: hyper for hyper in table if hyper.path[-1] == "weight"}
    assert weights["model.part.energy.weight"].default == 2
    assert weights["model.part.energy.weight"].kind == "a number"
