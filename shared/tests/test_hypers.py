"""Hypers: the engine's defaults, the architecture's, the user's, and their check."""

from types import SimpleNamespace

import pytest

from mt_shared.errors import ArchitectureError, OptionsError
from mt_shared.options import (
    complete_engine_hypers,
    engine_defaults,
    find_faults,
    resolve_hypers,
    usual_names,
)
from mt_shared.options.hypers import ENGINE_URN, engine_schema, engine_schemas

MODEL_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"cutoff": {"type": "number"}, "width": {"type": "integer", "minimum": 1}},
}


def _entry(training_schema=None, training=None):
    training_schema = training_schema or {"$ref": ENGINE_URN, "unevaluatedProperties": False}
    return SimpleNamespace(
        name="toy",
        default_hypers={"name": "toy", "model": {"cutoff": 5.0, "width": 8}, "training": training},
        schema={
            "type": "object",
            "properties": {"model": MODEL_SCHEMA, "training": training_schema},
        },
    )


def _entry_with(**more):
    return _entry(training={} | more)


def _error(entry, user, **more):
    with pytest.raises(OptionsError) as error:
        resolve_hypers(entry, user, source="options.yaml", **more)
    return str(error.value)


def test_user_over_architecture_over_engine():
    entry = _entry_with(batch_size=4, learning_rate=1e-2)
    hypers = resolve_hypers(entry, {"model": {"width": 3}, "training": {"learning_rate": 1e-4}})
    assert hypers.model == {"cutoff": 5.0, "width": 3}
    expected = engine_defaults() | {"batch_size": 4, "learning_rate": 1e-4}
    assert hypers.training == expected
    assert not hypers.unchecked


def test_a_default_that_the_schema_lacks_is_no_fault_of_the_user():
    entry = _entry_with()
    entry.default_hypers["model"]["depth"] = 3
    with pytest.raises(ArchitectureError, match=r"'toy' do not fit.*model\.depth: .*maintainers"):
        resolve_hypers(entry, {"model": {"width": 3}})


def test_a_value_of_the_user_is_their_fault_though_there_is_a_default():
    assert "width" in _error(_entry_with(), {"model": {"width": 0}})


def test_sections_may_be_left_out_or_empty():
    hypers = resolve_hypers(_entry_with(), {"name": "toy", "model": None})
    assert hypers.model == {"cutoff": 5.0, "width": 8}
    assert hypers.training == engine_defaults()


def test_defaults_stay_as_they_were():
    first = resolve_hypers(_entry_with(), {})
    first.training["scheduler"]["type"] = "changed"
    assert engine_defaults()["scheduler"]["type"] == "cosine"


def test_one_error_for_model_and_training():
    user = {"model": {"width": 0, "cutof": 1}, "training": {"batch_sze": 4, "num_epochs": 0}}
    error = _error(_entry_with(), user)
    assert error.startswith("options.yaml: 4 faults")
    assert "architecture.model.width: found 0, expected a whole number of at least 1" in error
    assert "architecture.model.cutof: unknown key, did you mean 'cutoff'?" in error
    assert "architecture.training.batch_sze: unknown key, did you mean 'batch_size'?" in error
    assert "architecture.training.num_epochs: found 0" in error


def test_without_a_schema_values_pass_unchecked():
    entry = SimpleNamespace(name="toy", default_hypers={"model": {"a": 1}}, schema=None)
    hypers = resolve_hypers(entry, {"model": {"a": "b"}, "training": {"num_epochs": 3}})
    assert (hypers.model, hypers.training) == ({"a": "b"}, {"num_epochs": 3})
    assert hypers.unchecked


def test_without_a_schema_a_name_that_nobody_reads_is_a_fault():
    entry = SimpleNamespace(name="toy", default_hypers={"model": {"cutoff": 1}}, schema=None)
    with pytest.raises(OptionsError, match=r"model\.cutof: unknown key, did you mean 'cutoff'"):
        resolve_hypers(entry, {"model": {"cutof": 2}})


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"model": {"b": {"cc": 3}}}, r"model\.b\.cc: unknown key, did you mean 'c'"),
        ({"training": {"finetune": {"methd": 3}}}, r"finetune\.methd: .* did you mean 'method'"),
        ({"training": {"finetune": {"config": {"rnk": 3}}}}, r"config\.rnk: .* 'rank'"),
        ({"training": {"own": {"a": {"x": 1}}}}, r"own\.a\.x: unknown key"),
    ],
)
def test_without_a_schema_the_names_within_a_mapping_are_those_of_its_default(user, expected):
    defaults = {"model": {"b": {"c": 2}}, "training": {"own": {"a": {"y": 1}}}}
    entry = SimpleNamespace(name="toy", default_hypers=defaults, schema=None)
    with pytest.raises(OptionsError, match=expected):
        resolve_hypers(entry, user)


def test_without_a_schema_a_mapping_that_is_empty_by_default_takes_any_names():
    training = {
        "atomic_baseline": {"energy": {"H": 1.0}},
        "finetune": {"warm": True},
        "loss": "mae",
    }
    defaults = {"model": {"radii": {}, "part": None}, "training": training}
    entry = SimpleNamespace(name="toy", default_hypers=defaults, schema=None)
    user = {
        "model": {"radii": {"H": 0.5}, "part": {"a": 1}},
        "training": {
            "atomic_baseline": {"energy": {"O": 2.0}},
            "finetune": {"warm": False, "read_from": "a.ckpt", "inherit_heads": {"a": "b"}},
            "loss": {"energy": {"weight": 2}},
        },
    }
    hypers = resolve_hypers(entry, user)
    assert hypers.model == user["model"]


def test_without_the_reference_there_are_no_engine_hypers():
    closed = {"type": "object", "additionalProperties": False, "properties": {"rank": {}}}
    entry = _entry(closed, training={"rank": 2})
    assert resolve_hypers(entry, {}).training == {"rank": 2}
    assert "batch_size: unknown key" in _error(entry, {"training": {"batch_size": 4}})


def test_an_architecture_adds_hypers_to_those_of_the_engine():
    schema = {
        "$ref": ENGINE_URN,
        "unevaluatedProperties": False,
        "properties": {
            "rotate": {"type": "boolean"},
            "finetune": {
                "$ref": f"{ENGINE_URN}#/$defs/finetune",
                "unevaluatedProperties": False,
                "properties": {"warm_start": {"type": "boolean"}},
            },
        },
    }
    entry = _entry(schema, training={"rotate": True, "finetune": {"warm_start": True}})
    training = {"rotate": False, "finetune": {"read_from": "a.ckpt"}}
    hypers = resolve_hypers(entry, {"training": training})
    assert hypers.training["finetune"]["read_from"] == "a.ckpt"
    assert hypers.training["finetune"]["warm_start"] is True
    assert hypers.training["rotate"] is False
    error = _error(entry, {"training": {"finetune": {"warm_strat": True}}})
    path = "architecture.training.finetune.warm_strat"
    assert f"{path}: unknown key, did you mean 'warm_start'?" in error


def test_finetune_is_closed_where_an_architecture_says_nothing_of_it():
    error = _error(_entry_with(), {"training": {"finetune": {"warm_start": True}}})
    assert "architecture.training.finetune.warm_start: unknown key, known here: compo" in error


@pytest.mark.parametrize(
    ("finetune", "path", "reason"),
    [
        ({"method": "lora"}, "method", "there is nothing to fine-tune: set finetune.read_from"),
        ({"inherit_heads": {"energy": "mtt::x"}}, "inherit_heads", "nothing to inherit from"),
        ({"composition": "keep"}, "composition", "nothing to keep"),
        (
            {"read_from": "a.ckpt", "method": "heads", "config": {"rank": 8}},
            "config.rank",
            "only the method 'lora' uses it",
        ),
        (
            {"read_from": "a.ckpt", "config": {"modules": ["heads"]}},
            "config.modules",
            "only the method 'heads' uses it",
        ),
        (
            {"read_from": "a.ckpt", "method": "heads", "config": {"head_modules": ["node_heads"]}},
            "config.head_modules",
            "name those of this model in 'modules'",
        ),
        (
            {"read_from": "a.ckpt", "method": "lora", "config": {"rank": 0}},
            "config.rank",
            "expected a whole number of at least 1",
        ),
        ({"read_from": "a.ckpt", "method": "lroa"}, "method", "did you mean 'lora'"),
    ],
)
def test_finetuning_is_obeyed_or_refused(finetune, path, reason):
    error = _error(_entry_with(), {"training": {"finetune": finetune}})
    assert f"architecture.training.finetune.{path}: " in error
    assert reason in error
    assert "1 fault" in error


def test_resolved_hypers_of_a_finetuning_pass_again():
    finetune = {"read_from": "a.ckpt", "method": "heads", "config": {"modules": ["heads"]}}
    once = resolve_hypers(_entry_with(), {"training": {"finetune": finetune}}).training
    assert resolve_hypers(_entry_with(), {"training": once}).training == once


# ---- what the shared trainer makes of them


def test_the_trainer_completes_the_hypers_of_a_package_without_a_schema():
    given = {"batch_size": 4, "scheduler": {"type": "constant"}, "own": {"deep": [1]}}
    hypers = complete_engine_hypers(given)
    assert hypers["scheduler"] == engine_defaults()["scheduler"] | {"type": "constant"}
    assert hypers == engine_defaults() | given | {"scheduler": hypers["scheduler"]}


def test_elements_of_the_baseline_become_integers():
    given = {"atomic_baseline": {"energy": {"1": -1, "C": 2.5}, "mtt::x": 3}}
    baseline = complete_engine_hypers(given)["atomic_baseline"]
    assert baseline == {"energy": {1: -1.0, 6: 2.5}, "mtt::x": 3.0}


def test_complete_hypers_stay_as_they_are():
    user = {"training": {"atomic_baseline": {"energy": {"H": -1}}, "learning_rate": 1e-4}}
    once = complete_engine_hypers(resolve_hypers(_entry_with(), user).training)
    assert complete_engine_hypers(once) == once


def test_the_trainer_names_every_fault_in_the_hypers_of_the_engine():
    with pytest.raises(OptionsError) as error:
        complete_engine_hypers({"batch_size": 0, "loss": "mes", "finetune": 3, "own": None})
    message = str(error.value)
    assert "3 faults" in message
    assert "architecture.training.batch_size: found 0, expected a whole number" in message
    assert "architecture.training.loss: found 'mes'" in message
    assert "architecture.training.finetune: found 3, expected a mapping" in message


def test_what_is_given_to_be_completed_stays_as_it_was():
    given = {"atomic_baseline": {"energy": {"H": -1}}}
    complete_engine_hypers(given)["scheduler"]["type"] = "changed"
    assert given == {"atomic_baseline": {"energy": {"H": -1}}}
    assert engine_defaults()["scheduler"]["type"] == "cosine"


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"loss": {"enrgy": "mse"}}, "loss.enrgy: 'enrgy' is not a target of the data sets"),
        ({"atomic_baseline": {"e": 1.0}}, "'e' is not a target of the data sets (known: energy)"),
        ({"fixed_scaling_weights": {"energi": 1.0}}, "(did you mean 'energy'?)"),
        ({"per_structure_targets": ["energi"]}, "per_structure_targets.0: 'energi' is not a"),
    ],
)
def test_hypers_name_targets_of_the_data(training, message):
    assert message in _error(_entry_with(), {"training": training}, target_names=["energy"])


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"learning_rate": 0}, "learning_rate: found 0, expected a number above 0"),
        ({"warmup_fraction": 1}, "warmup_fraction: found 1, expected a number of at least 0 and"),
        ({"ema_decay": 1.0}, "ema_decay: found 1.0, expected a number above 0 and below 1 or null"),
        ({"log_interval": 0}, "log_interval: found 0"),
        ({"num_workers": -1}, "num_workers: -1 is refused: batches are prepared once"),
        ({"distributed_port": 1}, "distributed_port: 1 is refused"),
        ({"scheduler": {"factor": 0.3}}, "scheduler.factor: 0.3 is refused: only the schedule"),
        ({"scheduler": {"type": "plateu"}}, "did you mean 'plateau'?"),
        ({"optimizer": "sgd"}, "optimizer: found 'sgd', expected 'adamw' or 'adam'"),
        ({"atomic_baseline": {"energy": {"Xx": 1.0}}}, "energy.Xx: found 'Xx', expected an atomic"),
        ({"atomic_baseline": {"energy": {"6": 1.0, "C": 1.0}}}, "the element is named twice"),
        ({"loss": "mes"}, "loss: found 'mes', expected a loss"),
        ({"loss": {"energy": {"type": "mae", "delta": 1.0}}}, "only the type 'huber' has it"),
        ({"loss": {"energy": {"stress": "mae", "virial": "mae"}}}, "are the same term"),
        ({"loss": {"energy": {"gradients": {"position": "mae"}}}}, "did you mean 'positions'?"),
    ],
)
def test_faulty_values_are_refused(training, message):
    error = _error(_entry_with(), {"training": training})
    assert error.startswith("options.yaml: 1 fault ")
    assert message in error


@pytest.mark.parametrize(
    "training",
    [
        {"scheduler": {"type": "plateau", "factor": 0.3, "patience": 5}},
        {"scheduler": {"type": "plateau", "min_learning_rate": 1e-6}},
        {"loss": {"energy": {"type": "huber", "delta": 0.1, "forces": {"weight": 10}}}},
        {"loss": {"energy": {"gradients": {"strain": {"type": "huber", "delta": 0.1}}}}},
        {"num_workers": 0, "distributed": None, "max_atoms_per_batch": 200},
        {"ema_decay": 0.999, "gradient_clip_norm": 1, "early_stopping_patience": 5},
    ],
)
def test_right_values_pass(training):
    resolve_hypers(_entry_with(), {"training": training}, target_names=["energy"])


def test_engine_defaults_and_schema_name_the_same_hypers():
    schema = engine_schema()
    # but for other names of the same ones
    names = {name for name, each in schema["properties"].items() if "sameAs" not in each}
    assert set(engine_defaults()) == names
    assert find_faults(engine_defaults(), schema, engine_schemas()) == []


@pytest.mark.parametrize("schema", [None, {"properties": {"training": {"$ref": ENGINE_URN}}}])
def test_another_name_becomes_the_usual_one_where_the_engine_may_train(schema):
    entry = SimpleNamespace(name="toy", default_hypers={}, schema=schema)
    section = {"training": {"grad_clip_norm": 2.0, "fixed_composition_weights": {"energy": 1.0}}}
    found, renamed = usual_names(entry, section)
    assert found["training"] == {"gradient_clip_norm": 2.0, "atomic_baseline": {"energy": 1.0}}
    assert renamed["training", "grad_clip_norm"] == ("training", "gradient_clip_norm")


def test_a_hyper_of_an_architecture_is_no_other_name_of_the_engine_s():
    section = {"training": {"gradient_clipping": True}}
    own = {"properties": {"gradient_clipping": {"type": "boolean"}}}
    for entry in (
        SimpleNamespace(name="toy", default_hypers={}, schema={"properties": {"training": own}}),
        SimpleNamespace(name="toy", default_hypers=section, schema=None),
    ):
        assert usual_names(entry, section) == (section, {})


def test_every_engine_hyper_is_described():
    properties = engine_schema()["properties"]
    resolved = properties | {"finetune": engine_schema()["$defs"]["finetune"]}
    assert [key for key, value in resolved.items() if not value.get("description")] == []


def test_the_engine_schema_is_a_json_schema():
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(engine_schema())
