"""The table of metatrain's keys in ``docs/options.md`` is true, and names every key."""

import json
import re
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest

from mt_core.options import parse_training
from mt_shared.errors import OptionsError
from mt_shared.options import load_yaml, read_yaml

ROOT = Path(__file__).parents[3]
SOAP_BPNN = ROOT / "packages" / "mt-soap-bpnn" / "src" / "mt_soap_bpnn"

BASE = {
    "architecture": {"name": "soap_bpnn"},
    "training_set": {"systems": {"read_from": "a.xyz"}, "targets": {"energy": {}, "mtt::x": {}}},
    "validation_set": 0.1,
}

# What metatrain 2026.4.1 knows: base_hypers.py, soap_bpnn/documentation.py, loss.py; and what PET,
# SPACE and DPA3 call what every architecture here has.
METATRAIN_KEYS = """
device base_precision seed print_stats wandb final_eval training_set validation_set test_set
architecture.name architecture.atomic_types architecture.model architecture.training
training_set.systems training_set.systems.read_from training_set.systems.reader
training_set.systems.length_unit training_set.targets training_set.extra_data training_set.indices
validation_set.indices test_set.indices
training_set.targets.energy training_set.targets.mtt::x.quantity
training_set.targets.energy.read_from training_set.targets.energy.reader
training_set.targets.energy.key training_set.targets.energy.unit
training_set.targets.energy.sample_kind training_set.targets.energy.per_atom
training_set.targets.mtt::x.type training_set.targets.mtt::x.type.cartesian.rank
training_set.targets.mtt::x.type.spherical.irreps
training_set.targets.mtt::x.type.spherical.irreps.num
training_set.targets.mtt::x.type.spherical.product
training_set.targets.mtt::x.num_subtargets training_set.targets.energy.description
training_set.targets.energy.forces training_set.targets.energy.stress
training_set.targets.energy.virial training_set.targets.energy.forces.read_from
training_set.targets.energy.forces.reader training_set.targets.energy.forces.key
architecture.model.soap.max_angular architecture.model.soap.max_radial
architecture.model.soap.cutoff.radius architecture.model.soap.cutoff.width
architecture.model.legacy architecture.model.bpnn.num_hidden_layers
architecture.model.bpnn.num_neurons_per_layer architecture.model.bpnn.layernorm
architecture.model.add_lambda_basis architecture.model.heads architecture.model.zbl
architecture.model.long_range.enable architecture.model.long_range.use_ewald
architecture.model.long_range.smearing architecture.model.long_range.kspace_resolution
architecture.model.long_range.interpolation_nodes
architecture.training.distributed architecture.training.distributed_port
architecture.training.batch_size architecture.training.num_epochs
architecture.training.warmup_fraction architecture.training.learning_rate
architecture.training.log_interval architecture.training.checkpoint_interval
architecture.training.atomic_baseline architecture.training.scale_targets
architecture.training.fixed_scaling_weights architecture.training.per_structure_targets
architecture.training.num_workers architecture.training.log_mae
architecture.training.log_separate_blocks architecture.training.best_model_metric
architecture.training.loss architecture.training.loss.energy
architecture.training.loss.energy.type architecture.training.loss.energy.weight
architecture.training.loss.energy.reduction architecture.training.loss.energy.forces
architecture.training.loss.energy.stress architecture.training.loss.energy.virial
architecture.training.loss.energy.gradients.positions
architecture.training.loss.energy.gradients.strain
architecture.training.max_atoms_per_batch architecture.training.min_atoms_per_batch
architecture.training.weight_decay architecture.training.grad_clip_norm
architecture.training.gradient_clipping architecture.training.fixed_composition_weights
""".split()


def _rows():
    text = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    table = text.split("## Every key of metatrain")[1].split("\n## ")[0]
    pattern = re.compile(r"^\| `(.+?)` \| `(.+?)` \| (\w+) \|(.*)\|$", re.MULTILINE)
    rows = pattern.findall(table)
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) == len(lines), "a row of the table does not have the form of the others"
    return rows


ROWS = _rows()


def _entry(name):
    assert name == "soap_bpnn"
    schema = json.loads((SOAP_BPNN / "schema-hypers.json").read_text(encoding="utf-8"))
    defaults = read_yaml(SOAP_BPNN / "default-hypers.yaml")
    return SimpleNamespace(name=name, default_hypers=defaults, schema=schema)


def _parse(options):
    return parse_training(options, "options.yaml", _entry)


def _with(key, value):
    options = deepcopy(BASE)
    *above, last = key.removesuffix(".irreps.num").split(".")
    if key.endswith(".irreps.num"):
        *above, last = [*above, last, "irreps"]
    inner = options
    for part in above:
        if not isinstance(inner.get(part), dict):
            inner[part] = {}
        inner = inner[part]
    inner[last] = value
    if "product" in key:
        inner["irreps"] = [{"o3_lambda": 1, "o3_sigma": 1}]
    return options


def _without(resolved, key):
    resolved = deepcopy(resolved)
    *above, last = key.split(".")
    inner = resolved
    for part in above:
        inner = inner.get(part, {}) if isinstance(inner, dict) else {}
    if isinstance(inner, dict):
        inner.pop(last, None)
    # A mapping of losses replaces the word for all: only what is in it counts.
    if ".loss." in key:
        resolved["architecture"]["training"].pop("loss")
    return resolved


def _at(resolved, key):
    for part in key.split("."):
        if not isinstance(resolved, dict) or part not in resolved:
            return None
        resolved = resolved[part]
    return resolved


@pytest.mark.parametrize(
    ("key", "example", "outcome", "remark"), ROWS, ids=[f"{row[0]}={row[1]}" for row in ROWS]
)
def test_row_of_the_table(key, example, outcome, remark):
    value = load_yaml(example, "example")
    options = _with(key, value)
    if outcome == "refused":
        with pytest.raises(OptionsError) as error:
            _parse(options)
        named = key.removesuffix(".num").removesuffix("mtt::x").rstrip(".")
        assert named in str(error.value), "the error does not name the key"
        assert "1 fault in the options" in str(error.value), "the error is about something else too"
        assert remark.strip(), "a refusal needs its reason in the table"
        return
    resolved = _parse(options).complete
    base = _parse(BASE).complete
    if outcome == "accepted":
        assert _without(resolved, key) == _without(base, key)
    else:
        assert outcome == "obeyed"
        found = _at(resolved, key)
        assert resolved != base or found == value, "the example changes nothing"
        if found is not None and not isinstance(found, dict | list):
            assert found == value


def test_refusals_give_the_reason_of_the_table():
    reasons = {
        ("wandb", "{project: x}"): "train.csv",
        ("base_precision", "16"): "too coarse",
        ("architecture.training.num_workers", "4"): "batches are prepared once",
        ("architecture.model.long_range.enable", "true"): "issue 3",
        ("architecture.name", "experimental.flashmd"): "never part of its name",
    }
    for (key, example), reason in reasons.items():
        with pytest.raises(OptionsError, match=reason):
            _parse(_with(key, load_yaml(example, "example")))


@pytest.mark.parametrize("key", METATRAIN_KEYS)
def test_every_key_of_metatrain_is_in_the_table(key):
    assert key in {row[0] for row in ROWS}


@pytest.mark.parametrize("section", ["model", "training"])
def test_every_hyper_of_soap_bpnn_is_in_the_docs(section):
    text = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    for key in getattr(_parse(BASE).architecture, section):
        assert f".{key}" in text or f"`{key}" in text, f"{key} is not described"


def test_options_restart_of_metatrain_runs():
    target = {
        "quantity": "energy",
        "read_from": "a.xyz",
        "reader": None,
        "key": "U0",
        "unit": "eV",
        "sample_kind": "system",
        "type": "scalar",
        "num_subtargets": 1,
        "description": "",
        "forces": {"read_from": "a.xyz", "reader": None, "key": "forces"},
        "stress": False,
        "virial": False,
    }
    systems = {"read_from": "a.xyz", "reader": None, "length_unit": ""}
    options = _with("training_set", [{"systems": systems, "targets": {"energy": target}}])
    training = {
        "loss": {
            "energy": {
                "type": "mse",
                "weight": 1.0,
                "reduction": "mean",
                "gradients": {"positions": {"type": "mse", "weight": 1.0, "reduction": "mean"}},
            }
        }
    }
    options["architecture"]["training"] = training
    parsed = _parse(options)
    assert parsed.architecture.training["loss"] == training["loss"]
    assert parsed.training_set[0].targets[0].gradients[0].required
