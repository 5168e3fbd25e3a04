"""``mt eval`` without labels: everything comes as the model was trained on it."""

import json
from pathlib import Path
from types import SimpleNamespace

import ase.io
import metatensor.torch
import numpy as np
import pytest
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput
from metatomic.torch.o3 import SymmetrizedModel
from metatomic.torch.weighted_sum import WeightedSum

import mt_core
from mt_core.evaluation.models import trained_targets
from mt_core.evaluation.predictions import targets_of
from mt_shared.contract import TargetInfo
from mt_shared.options import dump_yaml, read_yaml

SYSTEMS = {"read_from": "ethanol.xyz", "length_unit": "angstrom"}
TARGETS = {
    "mtt::U0": {"key": "energy", "quantity": "energy", "unit": "eV", "forces": True},
    "mtt::charge": {"key": "q", "sample_kind": "atom", "num_subtargets": 2},
    "mtt::dipole": {"key": "dipole", "num_subtargets": 3},
}


def add_charges(frames):
    for frame in frames:
        frame[1] = frame[1].replace("forces:R:3", "forces:R:3:q:R:2")
        frame[2:] = [f"{line} 0.{number} -0.{number}" for number, line in enumerate(frame[2:])]


def train(targets, *flags):
    options = read_yaml("options.yaml")
    options["training_set"] = {"systems": SYSTEMS, "targets": targets}
    options["architecture"]["training"]["num_epochs"] = 1
    mt_core.train(options, overrides=flags)


@pytest.fixture
def several(workspace, frames, write_xyz):
    """A model of energies of another name, numbers of each atom, and numbers of structures."""
    add_charges(frames)
    write_xyz(frames)
    train(TARGETS)


@pytest.mark.parametrize("model", ["model.pt", "model.ckpt"])
def test_all_targets_come_as_with_labels(several, model):
    mt_core.evaluate(model, {"systems": SYSTEMS, "targets": TARGETS}, output="with.xyz")
    mt_core.evaluate(model, {"systems": SYSTEMS}, output="without.xyz")
    assert Path("with.xyz").read_text() == Path("without.xyz").read_text()
    atoms = ase.io.read("without.xyz")
    assert atoms.arrays["mtt_charge"].shape == (9, 2)
    assert atoms.info["mtt_dipole"].shape == (3,)
    assert np.abs(atoms.arrays["mtt_U0_forces"]).max() > 0


def test_metatensor_files_hold_atoms_and_gradients(several):
    mt_core.evaluate("model.pt", {"systems": SYSTEMS}, output="out.mts")
    charges = metatensor.torch.load("out_mtt_charge.mts").block()
    assert charges.samples.names == ["system", "atom"]
    assert tuple(charges.values.shape) == (40 * 9, 2)
    assert metatensor.torch.load("out_mtt_U0.mts").block().gradients_list() == ["positions"]


def test_metadata_of_the_user_leave_what_the_model_was_trained_on(several, succeed):
    Path("about.yaml").write_text(dump_yaml({"name": "mine", "extra": {"basis": "def2-TZVP"}}))
    succeed("export model.ckpt -o mine.pt -m about.yaml")
    model = mt_core.load_model("mine.pt")
    assert model.metadata().extra["basis"] == "def2-TZVP"
    assert targets_of(model)["mtt::charge"].per_atom


def test_energies_of_atoms_come_by_atom(workspace, frames, write_xyz):
    add_charges(frames)
    write_xyz(frames)
    train({"energy": {"key": "q", "sample_kind": "atom", "num_subtargets": 2, "unit": "eV"}})
    mt_core.evaluate("model.pt", {"systems": SYSTEMS}, output="out.xyz")
    # ASE takes whatever is called energy for a result
    assert ase.io.read("out.xyz").calc.results["energy"].shape == (9, 2)


def test_a_target_that_was_removed_is_not_predicted(several, succeed):
    finetune = {"read_from": "model.ckpt", "remove_targets": ["mtt::dipole"]}
    options = read_yaml("options.yaml")
    options["architecture"] = {
        "name": "soap_bpnn",
        "training": {"num_epochs": 1, "finetune": finetune},
    }
    few = {name: each for name, each in TARGETS.items() if name != "mtt::dipole"}
    options["training_set"] = {"systems": SYSTEMS, "targets": few}
    mt_core.train(options, output="fine.pt")
    assert set(targets_of(mt_core.load_model("fine.pt"))) == set(few)


def test_metatomic_s_wrappers_pass_it_on(several):
    model = mt_core.load_model("model.pt")
    for wrapped in (
        SymmetrizedModel.wrap(model, max_angular_momentum_target=0),
        WeightedSum.wrap(model, "mtt::twice", {"mtt::U0": 2.0}),
    ):
        assert targets_of(wrapped)["mtt::charge"].per_atom
        # a model that comes from a file is asked too
        assert len(wrapped.requested_neighbor_lists()) == 1


def test_of_a_model_of_another_program_its_capabilities_say_what_there_is(finished):
    of_atoms = {"sample_kind": "atom", "description": "of a program"}
    outputs = {
        "energy": ModelOutput(unit="eV", **of_atoms),
        "energy/pbe": ModelOutput(unit="eV", **of_atoms),
        "other::charge": ModelOutput(unit="e", **of_atoms),
        "other::gap": ModelOutput(unit="eV", sample_kind="system"),
        "mtt::aux::x": ModelOutput(**of_atoms),
        "feature": ModelOutput(**of_atoms),
    }
    model = mt_core.load_model("model.pt")
    capabilities = ModelCapabilities(
        outputs=outputs,
        atomic_types=[1, 6, 8],
        interaction_range=3.0,
        length_unit="angstrom",
        supported_devices=["cpu"],
        dtype="float32",
    )
    foreign = AtomisticModel(model.module, ModelMetadata(), capabilities)
    found = {name: (each.per_atom, each.is_energy) for name, each in targets_of(foreign).items()}
    assert found == {
        "energy": (False, True),
        "energy/pbe": (False, True),
        "other::charge": (True, False),
        "other::gap": (False, False),
    }


def test_what_a_later_version_writes_of_a_target_is_left_aside():
    targets = {"energy": TargetInfo("energy", "eV").to_dict() | {"novelty": 1}}
    metadata = ModelMetadata(extra={"mt::targets": json.dumps(targets)})
    model = SimpleNamespace(metadata=lambda: metadata)
    assert trained_targets(model) == {"energy": TargetInfo("energy", "eV")}
