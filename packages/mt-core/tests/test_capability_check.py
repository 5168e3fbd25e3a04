"""What an architecture does not name is refused before any data are read."""

from dataclasses import replace

import pytest
import yaml

from mt_core.architectures import capability_check, check_capabilities
from mt_core.options import parse_training
from mt_core.training import training
from mt_shared.errors import ArchitectureError
from mt_shared.options import find_faults
from mt_shared.registry.entries import ArchitectureEntry, capabilities_schema

ABLE = {
    "targets": {"scalar": ["system", "atom"]},
    "inputs": [],
    "intensive": False,
    "gradients": ["positions", "strain"],
    "multiple_targets": True,
    "symmetries": dict.fromkeys(["translation", "rotation", "inversion", "permutation"], "exact"),
    "locality": "local",
    "long_range": False,
    "finetuning": ["full"],
    "distributed": True,
    "devices": ["cuda", "cpu"],
    "dtypes": ["float32", "float64"],
    "fit": "gradient",
}
ENERGY = {"energy": {"unit": "eV"}}
TWO_ENERGIES = {"energy": {"unit": "eV"}, "energy/pbe": {"unit": "eV"}}
CHARGES = {"mtt::charges": {"quantity": "charge", "unit": "e", "sample_kind": "atom"}}
CHARGE = {"charge": {"key": "total_charge", "unit": "e"}}
DIPOLE = {"mtt::dipole": {"unit": "D", "type": {"cartesian": {"rank": 1}}}}


def entry(**capabilities) -> ArchitectureEntry:
    able = {**ABLE, **capabilities}
    assert not find_faults(able, capabilities_schema())
    return ArchitectureEntry("toy", "mt-toy", "1.2.3", "mt_toy", capabilities=able)


def options(targets, training_hypers=None, extra_data=None, **more):
    data = {
        "systems": {"read_from": "gone.xyz", "length_unit": "angstrom"},
        "targets": targets,
        "extra_data": extra_data or {},
    }
    architecture = {"name": "toy", "training": training_hypers or {}}
    section = {"training_set": data, "validation_set": 0.1, "architecture": architecture}
    return parse_training({**section, **more}, "options")


def refusal(able: ArchitectureEntry, asked) -> str:
    with pytest.raises(ArchitectureError) as caught:
        check_capabilities(able, asked)
    return str(caught.value)


@pytest.fixture(autouse=True)
def others(monkeypatch):
    """The other installed architectures, at first none."""
    found: dict[str, ArchitectureEntry] = {}
    monkeypatch.setattr(capability_check, "installed", lambda: found)
    return found


@pytest.mark.parametrize(
    ("lacking", "asked", "expected"),
    [
        ({"targets": {"scalar": ["system"]}}, options(CHARGES), "'mtt::charges' is a scalar of"),
        ({}, options(DIPOLE), "'mtt::dipole' is a cartesian of a structure"),
        ({}, options({"mtt::gap": {"extensive": False}}), "'mtt::gap' is a mean over atoms"),
        (
            {"gradients": ["strain"]},
            options({"energy": {"unit": "eV", "forces": True}}),
            "'energy' comes with forces",
        ),
        (
            {"gradients": ["positions"]},
            options({"energy": {"unit": "eV", "virial": True}}),
            "'energy' comes with virial",
        ),
        (
            {"multiple_targets": False},
            options(TWO_ENERGIES),
            "several targets (energy, energy/pbe)",
        ),
        (
            {"quantities": ["energy"]},
            options(ENERGY | CHARGES),
            "'mtt::charges' has the quantity 'charge', and it is for energy alone",
        ),
        (
            {"quantities": ["energy", "charge"]},
            options({"mtt::gap": {"unit": "eV"}}),
            "'mtt::gap' has no quantity, and it is for energy, charge alone",
        ),
        (
            {},
            options(ENERGY, extra_data=CHARGE),
            "reading the input 'charge' (extra_data): nothing would, since the inputs",
        ),
        (
            {"inputs": ["mass"]},
            options(ENERGY, extra_data=CHARGE),
            "the inputs that it reads are: mass",
        ),
        ({"devices": ["cpu"]}, options(ENERGY, device="cuda:1"), "device is 'cuda:1', and it runs"),
        ({"devices": ["cpu"]}, options(ENERGY, device="gpu"), "device is 'gpu'"),
        ({"devices": ["cuda"]}, options(ENERGY, device="cpu"), "runs on cuda"),
        (
            {"dtypes": ["float64"]},
            options(ENERGY, base_precision=32),
            "base_precision is 32, and it runs in float64",
        ),
        (
            {"finetuning": ["full", "heads"]},
            options(ENERGY, {"finetune": {"read_from": "a.ckpt", "method": "lora"}}),
            "by the method 'lora' (architecture.training.finetune.method): it has the methods full",
        ),
        (
            {"finetuning": []},
            options(ENERGY, {"finetune": {"read_from": "a.ckpt"}}),
            "by the method 'full' (architecture.training.finetune.method): it has no method",
        ),
    ],
)
def test_what_is_not_named_is_refused(lacking, asked, expected):
    said = refusal(entry(**lacking), asked)
    assert expected in said
    assert "no installed architecture can" in said
    assert "mt describe toy" in said


@pytest.mark.parametrize(
    ("able", "asked"),
    [
        ({"quantities": ["energy"]}, options(TWO_ENERGIES)),
        ({"quantities": ["charge"]}, options(CHARGES)),
        ({"devices": ["cpu"], "dtypes": ["float64"]}, options(ENERGY)),
        ({"devices": ["cuda"]}, options(ENERGY, device="gpu")),
        ({"gradients": []}, options(ENERGY)),
        ({"inputs": ["mass", "charge"]}, options(ENERGY, extra_data=CHARGE)),
        ({"inputs": ["charge"]}, options(ENERGY)),
        ({"finetuning": []}, options(ENERGY, {"finetune": {"read_from": None, "method": "lora"}})),
    ],
)
def test_what_is_named_or_not_asked_for_passes(able, asked):
    check_capabilities(entry(**able), asked)


def test_all_that_is_lacking_is_said_at_once():
    said = refusal(
        entry(devices=["cpu"], dtypes=["float64"], multiple_targets=False),
        options(TWO_ENERGIES, device="cuda", base_precision=32),
    )
    for part in ("several targets", "device is 'cuda'", "base_precision is 32"):
        assert part in said


def test_the_installed_architectures_that_could_do_it_are_named(others):
    others["weak"] = entry(devices=["cpu"])
    others["strong"] = entry()
    others["silent"] = replace(entry(), capabilities=None)
    others["gone"] = replace(entry(), capabilities=None, error="its schema is gone")
    said = refusal(entry(devices=["cpu"]), options(ENERGY, device="cuda"))
    assert "(installed and able: strong; " in said


def test_without_capabilities_nothing_is_refused():
    silent = ArchitectureEntry("toy", "mt-toy", "1.2.3", "mt_toy")
    check_capabilities(silent, options(TWO_ENERGIES | DIPOLE, device="cuda"))


def test_mt_train_refuses_before_it_reads_data(workspace, refuse, monkeypatch):
    found = training.find_entry("soap_bpnn")
    weak = replace(found, capabilities=found.capabilities | {"dtypes": ["float64"]})
    monkeypatch.setattr(training, "find_entry", lambda name: weak)
    (workspace / "ethanol.xyz").unlink()
    said = yaml.safe_load((workspace / "options.yaml").read_text()) | {"base_precision": 32}
    (workspace / "options.yaml").write_text(yaml.safe_dump(said))
    assert "base_precision is 32" in refuse("train options.yaml")
