"""The keyword ``atRestart``: what may change when a training goes on from a checkpoint."""

from types import SimpleNamespace

import pytest

from mt_shared.options import engine_defaults, hyper_at_restart, schema_fault, state_at_restart
from mt_shared.options.hypers import ENGINE_URN, engine_schemas

SCHEMA = {
    "properties": {
        "silent": {"type": "number"},
        "epochs": {"type": "integer", "atRestart": "free"},
        "section": {
            "atRestart": "on_request",
            "properties": {
                "inherits": {"type": "number"},
                "differs": {"type": "number", "atRestart": "fixed"},
                "deep": {"properties": {"inherits": {}}},
            },
        },
        "sets": {
            "atRestart": "on_request",
            "anyOf": [
                {"type": "string"},
                {"$ref": "#/$defs/set"},
                {"type": "array", "items": {"$ref": "#/$defs/set"}},
                {"if": {"required": ["indices"]}, "then": {"$ref": "#/$defs/chosen"}},
            ],
        },
        "own": {"$ref": "#/$defs/path", "atRestart": "on_request"},
    },
    "$defs": {
        "path": {"type": "string", "atRestart": "free"},
        "chosen": {"properties": {"indices": {"atRestart": "free"}}},
        "set": {
            "properties": {
                "read_from": {"$ref": "#/$defs/path"},
                "targets": {"additionalProperties": {"$ref": "#/$defs/set"}},
            }
        },
    },
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("silent",), "fixed"),
        (("unknown", "key"), "fixed"),
        (("epochs",), "free"),
        (("section", "inherits"), "on_request"),
        (("section", "differs"), "fixed"),
        (("section", "deep", "inherits"), "on_request"),
        (("section", "unknown"), "on_request"),
        (("sets",), "on_request"),
        (("sets", "read_from"), "free"),
        (("sets", 0, "read_from"), "free"),
        (("sets", 0, "targets", "a.b", "read_from"), "free"),
        (("sets", "targets", "energy", "key"), "on_request"),
        (("sets", "indices"), "free"),
        (("own",), "on_request"),
    ],
)
def test_the_nearest_word_of_the_schema_counts(path, expected):
    assert schema_fault(SCHEMA, {}) is None
    assert state_at_restart(path, SCHEMA) == expected


def _entry(schema):
    return SimpleNamespace(name="toy", default_hypers={}, schema=schema)


def test_without_a_schema_the_model_and_its_start_are_fixed_and_the_user_decides_of_the_rest():
    entry = _entry(None)
    assert hyper_at_restart(entry, ("model", "width")) == "fixed"
    assert hyper_at_restart(entry, ("training", "finetune", "method")) == "fixed"
    assert hyper_at_restart(entry, ("training", "rate")) == "on_request"


def test_without_a_schema_the_engine_says_what_may_change_of_its_own():
    entry = _entry(None)
    for path, expected in {
        ("atomic_baseline", "energy", "H"): "fixed",
        ("scale_targets",): "fixed",
        ("num_epochs",): "free",
        ("learning_rate",): "on_request",
        ("scheduler", "type"): "on_request",
    }.items():
        assert hyper_at_restart(entry, ("training", *path)) == expected


def test_hypers_that_an_architecture_adds_to_the_engines_are_fixed_unless_it_says_so():
    own = {"rotate": {"type": "boolean"}, "beta": {"type": "number", "atRestart": "on_request"}}
    training = {"$ref": ENGINE_URN, "unevaluatedProperties": False, "properties": own}
    entry = _entry({"properties": {"training": training}})
    assert hyper_at_restart(entry, ("training", "rotate")) == "fixed"
    assert hyper_at_restart(entry, ("training", "beta")) == "on_request"
    assert hyper_at_restart(entry, ("training", "batch_size")) == "on_request"


def test_what_the_engine_lets_change():
    """All else changes the course of a training, and needs --allow-changes."""
    referring = {"$ref": ENGINE_URN}
    states = {
        name: state_at_restart((name,), referring, engine_schemas()) for name in engine_defaults()
    }
    free = {name for name, state in states.items() if state == "free"}
    fixed = {name for name, state in states.items() if state == "fixed"}
    # how long, and what is said of it
    assert free == {
        "num_epochs",
        "log_interval",
        "log_mae",
        "checkpoint_interval",
        "num_workers",
        "on_divergence",
    }
    # what is in the model by the time of the first step
    assert fixed == {"atomic_baseline", "scale_targets", "fixed_scaling_weights", "finetune"}


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"properties": {"a": {"atRestart": "sometimes"}}}, "properties/a/atRestart: 'sometimes'"),
        ({"$defs": {"a": {"anyOf": [{"atRestart": True}]}}}, "$defs/a/anyOf/0/atRestart: True"),
        ({"properties": {"a": {"refused": [{"if": {}}]}}}, "'reason' is a required property"),
        ({"properties": {"a": {"refused": [{"if": {"type": "x"}, "reason": ""}]}}}, "if/type: 'x'"),
        ({"properties": {"p": {"$ref": "#/properties/p"}}}, "'#/properties/p', which leads back"),
        (
            {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}},
            "which leads back to itself",
        ),
    ],
)
def test_our_keywords_are_part_of_the_check_of_a_schema(schema, fault):
    assert fault in str(schema_fault(schema, {}))


def test_a_mapping_may_contain_others_of_its_kind():
    tree = {"properties": {"branch": {"$ref": "#/$defs/tree"}}}
    assert schema_fault({"$defs": {"tree": tree}, "properties": {"a": tree}}, {}) is None


def test_a_hyper_may_have_the_name_of_a_keyword():
    assert schema_fault({"properties": {"atRestart": {"type": "number"}}}, {}) is None
