"""``mt describe``: what is said of an architecture, and the options that it prints."""

from datetime import date

import pytest

from mt_core.architectures import describing, installed, lifecycle
from mt_core.architectures.lifecycle import LifeCycle
from mt_core.options import parse_training
from mt_shared.errors import ArchitectureError
from mt_shared.options import load_yaml, resolve_hypers
from mt_shared.registry import ArchitectureEntry, find

DATA = {
    "training_set": {
        "systems": {"read_from": "a.xyz", "length_unit": "angstrom"},
        "targets": {"energy": {"unit": "eV"}},
    },
    "validation_set": 0.1,
}


@pytest.fixture
def shown(monkeypatch):
    """Describe an architecture of these facts."""

    def describe(**facts) -> str:
        entry = ArchitectureEntry("toy", "mt-toy", "1.2.3", "mt_toy", **facts)
        monkeypatch.setattr(describing, "look_up_entry", lambda name: entry)
        return describing.describe("toy")

    return describe


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "__init__.py").write_text("class __model__:\n    pass\n")
    return tmp_path


def test_an_architecture_is_described_with_all_that_is_known():
    lines = describing.describe("soap_bpnn").splitlines()
    said = [" ".join(line.split()) for line in lines]
    for line in (
        "architecture soap_bpnn (stable since 0.1.0)",
        "maintainers The mt developers <mt-developers@example.org> (@mt-developers)",
        "of the architecture BPNN: https://doi.org/10.1103/PhysRevLett.98.146401",
        "targets scalar: system, atom",
        "several targets yes",
        "gradients forces, stress",
        "rotation exact",
        "locality an atom sees its neighbors within the cutoff",
        "fine-tuning full, heads, lora",
        "training by gradient descent over epochs",
        "devices cuda, cpu",
        "dtypes float32, float64",
    ):
        assert line in said
    assert any("SOAP descriptors" in line for line in said)
    assert max(map(len, lines)) <= 100


def test_every_hyper_has_default_meaning_type_and_bounds():
    lines = describing.describe("soap_bpnn").splitlines()
    at = lines.index("  model.soap.max_radial: 7")
    assert lines[at + 1].split("Takes") == [
        "      Largest index of the radial functions. ",
        " a whole number, at least 0.",
    ]
    assert "  training.scheduler.type: cosine" in lines, "those of the engine belong to it"
    assert "  training.loss.TARGET.weight" in lines


def test_what_a_restart_may_change_is_said():
    text = " ".join(describing.describe("soap_bpnn").split())
    assert "Takes a whole number, at least 1. Free at a restart. training.learning_rate" in text
    assert "above 0. At a restart with --allow-changes. training.warmup_fraction" in text
    assert "exponent: 4 How fast the weight falls beyond. Takes a number, at least 2. model" in text


def test_a_broken_package_is_described_with_its_error(shown):
    said = shown(error="its schema is gone", summary="a toy")
    assert "BROKEN        its schema is gone" in said
    assert "a toy" in said
    assert "third-party" in said


def test_a_stranger_that_says_little_is_described(shown, folder):
    said = shown(folder=folder, default_hypers={"model": {"size": 3}, "training": {}})
    assert "it has no capabilities.yaml" in said
    assert "unchecked: it has no schema-hypers.json" in said
    assert "  model.size: 3\n      Takes a whole number." in said
    assert "references: not written out" in said


def test_a_deprecated_architecture_is_described_with_the_three_facts(shown, folder, monkeypatch):
    old = LifeCycle("deprecated", "2.0.0", "it is slow", "new", date(2029, 1, 1), date(2030, 1, 31))
    monkeypatch.setattr(lifecycle, "first_party", lambda: {"toy": old})
    said = shown(folder=folder)
    for fact in ("deprecated since 2.0.0", "it is slow", "use new instead", "2030-01-31"):
        assert fact in said


def test_one_that_is_not_installed_is_an_error_with_the_remedy(refuse, monkeypatch):
    monkeypatch.setattr(installed, "first_party", lambda: {"far_off": LifeCycle("stable")})
    assert "pip install mt-far-off" in refuse("describe far_off")
    assert "did you mean 'soap_bpnn'?" in refuse("describe soap_bpn")


def test_a_list_of_choices_may_end_with_dots(shown, folder):
    schema = {"properties": {"model": {"properties": {"of": {"title": "forces, stress, ..."}}}}}
    said = shown(folder=folder, default_hypers={"model": {"of": "forces"}}, schema=schema)
    assert said.endswith("Takes forces, stress, ...")


# ---- --defaults


def test_that_hypers_of_the_shared_trainer_may_be_missing_is_said():
    hypers = {"model": {"size": 3}, "training": {"rate": 0.1}}
    entry = ArchitectureEntry("toy", "mt-toy", "1.2.3", "mt_toy", default_hypers=hypers)
    said = describing.default_options(entry)
    assert "# Those of the shared trainer, if it is the one that trains it, are missing" in said
    assert load_yaml(said, "printed")["architecture"] == {"name": "toy", **hypers}


def test_the_printed_options_are_those_that_mt_train_takes(succeed):
    options = load_yaml(succeed("describe soap_bpnn --defaults"), "printed")
    assert set(options) == {"architecture"}
    entry = find("soap_bpnn")
    defaults = resolve_hypers(entry, {})
    assert resolve_hypers(entry, options["architecture"]) == defaults
    plan = parse_training(options | DATA, "printed", find)
    assert plan.architecture.model == defaults.model
    assert plan.architecture.training == defaults.training


def test_the_printed_options_are_complete(succeed):
    section = load_yaml(succeed("describe soap_bpnn --defaults"), "printed")["architecture"]
    defaults = resolve_hypers(find("soap_bpnn"), {})
    assert section == {
        "name": "soap_bpnn",
        "model": defaults.model,
        "training": defaults.training,
    }


def test_the_printed_options_are_commented_and_no_wider_than_a_page(succeed):
    lines = succeed("describe soap_bpnn --defaults").splitlines()
    assert max(map(len, lines)) <= 100
    at = lines.index("      max_radial: 7")
    comment = "      # Largest index of the radial functions. Takes a whole number, at least 0."
    assert lines[at - 1] == comment


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"a": {}, "b": [], "c": None, "d": "yes", "e": 1e-5, "f": "x: #y", "g": [1, [2]]},
        {"weights": {"energy": {"w": 1.0, "v": [{"x": 1, "y": "no"}]}, "empty": {}}},
    ],
)
def test_values_of_any_kind_survive(model):
    hypers = {"model": model, "training": {}}
    entry = ArchitectureEntry("toy", "mt-toy", "1.2.3", "mt_toy", default_hypers=hypers)
    printed = load_yaml(describing.default_options(entry), "printed")
    assert printed == {"architecture": {"name": "toy", **hypers}}


def test_a_default_for_a_key_of_the_users_choice_is_printed_once():
    term = {"type": "object", "properties": {"weight": {"type": "number"}}}
    loss = {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": term}]}
    schema = {"properties": {"training": {"properties": {"loss": loss}}}}
    hypers = {"model": {}, "training": {"loss": {"energy": {"weight": 2.0}}}}
    entry = ArchitectureEntry(
        "toy", "mt-toy", "1.2.3", "mt_toy", default_hypers=hypers, schema=schema
    )
    printed = load_yaml(describing.default_options(entry), "printed")
    assert printed["architecture"]["training"] == hypers["training"]


def test_defaults_of_a_broken_package_are_refused(monkeypatch):
    broken = ArchitectureEntry("toy", "mt-toy", "1", "mt_toy", error="its schema is gone")
    monkeypatch.setattr("mt_shared.registry.entries.installed", lambda: {"toy": broken})
    with pytest.raises(ArchitectureError, match="its schema is gone"):
        describing.describe("toy", defaults=True)
