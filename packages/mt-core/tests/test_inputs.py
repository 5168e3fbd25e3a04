"""Inputs (``extra_data``): from the options to training, ``mt eval`` and the exported model."""

import re
import shutil
from copy import deepcopy
from io import StringIO
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
import yaml
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator

import mt_core
from mt_core.cli import main
from mt_core.loading import check_inputs_of_evaluation, check_inputs_of_training
from mt_shared.contract import TargetInfo
from mt_shared.errors import DataError, OptionsError
from mt_shared.options import STANDARD_INPUTS, StandardInput

COULOMB = 1.602176634e-19
# of the energies in eV per atom that follow from a charge
SHIFT = 0.3

# An energy that depends on the total charge; it is scaled by the mean number of neighbors, which
# is known when the model is made.
MODEL = """\
import torch
from metatomic.torch import ModelMetadata

from mt_shared.data import Graph
from mt_shared.errors import DataError
from mt_shared.mlip import MLIPModel, MLIPTrainer


class ChargedModel(MLIPModel):
    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata(
        references={"architecture": ["unpublished"], "implementation": ["mt-toy-charged"]}
    )

    def __init__(self, hypers, dataset_info):
        if "charge" not in dataset_info.inputs:
            raise DataError("this model needs the input 'charge': give it in extra_data")
        super().__init__(hypers, dataset_info, cutoff=hypers["cutoff"])
        self.mean_num_neighbors = dataset_info.statistics.mean_num_neighbors(self.cutoff)
        self.readout = torch.nn.Linear(3, 1, bias=False)

    def energies(self, graph: Graph):
        distances = torch.linalg.vector_norm(graph.vectors, dim=1)
        fade = 0.5 + 0.5 * torch.cos(torch.pi / self.cutoff * distances)
        near = torch.zeros_like(graph.species, dtype=distances.dtype)
        near = near.index_add(0, graph.centers, fade) / self.mean_num_neighbors
        charge = graph.inputs["charge"][:, 0][graph.system]
        return self.readout(torch.stack([near, near**2, charge], dim=1)).squeeze(1)


class ChargedTrainer(MLIPTrainer):
    __checkpoint_version__ = 1

    def train(self, model, dtype, devices, train_datasets, val_datasets, checkpoint_dir):
        system = train_datasets[0][0].system
        print(f"samples: {system.known_data()}, {len(system.known_neighbor_lists())} lists")
        super().train(model, dtype, devices, train_datasets, val_datasets, checkpoint_dir)
"""
INIT = """\
from mt_toy_charged.model import ChargedModel as __model__
from mt_toy_charged.model import ChargedTrainer as __trainer__

__authors__ = __maintainers__ = [("A", "@a")]
"""
HYPERS = """\
name: toy_charged
model: {cutoff: 3.0}
training: {batch_size: 8, num_epochs: 20, learning_rate: 0.05, log_interval: 10}
"""
SCHEMA = """\
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "model": {"type": "object", "properties": {"cutoff": {"type": "number"}}},
    "training": {"$ref": "urn:mt-shared:engine:1"}
  }
}
"""
CAPABILITIES = """\
targets: {scalar: [system]}
quantities: [energy]
inputs: [charge]
gradients: [positions, strain]
multiple_targets: false
symmetries: {translation: exact, rotation: exact, inversion: exact, permutation: exact}
locality: local
long_range: false
finetuning: [full]
distributed: false
devices: [cpu]
dtypes: [float32, float64]
fit: gradient
"""
DATA = {
    "systems": {"read_from": "charged.xyz", "length_unit": "angstrom"},
    "targets": {"energy": {"unit": "eV", "forces": True}},
    "extra_data": {"charge": {"key": "Q", "unit": "e"}},
}


@pytest.fixture(scope="session")
def toy(tmp_path_factory, write_distribution):
    """A folder with an installed architecture that reads a charge."""
    site = tmp_path_factory.mktemp("site")
    entry_points = "[mt.architectures]\ntoy_charged = mt_toy_charged\n"
    write_distribution(site, "mt-toy-charged", entry_points)
    package = site / "mt_toy_charged"
    package.mkdir()
    contents = {
        "__init__.py": INIT,
        "model.py": MODEL,
        "default-hypers.yaml": HYPERS,
        "schema-hypers.json": SCHEMA,
        "capabilities.yaml": CAPABILITIES,
    }
    for name, content in contents.items():
        (package / name).write_text(content)
    return site


@pytest.fixture(scope="session")
def charged_frames(ethanol_frames):
    """Structures whose energy depends on a charge of -1, 0 or 1, in e and in C."""
    frames = []
    for number, frame in enumerate(ethanol_frames):
        atoms = ase.io.read(StringIO("\n".join(frame) + "\n"), format="extxyz")
        charge = number % 3 - 1
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        atoms.info |= {"energy": energy + SHIFT * len(atoms) * charge, "Q": float(charge)}
        atoms.info["coulombs"] = charge * COULOMB
        atoms.arrays["forces"] = forces
        frames.append(atoms)
    return frames


def data(**extra_data):
    """The data set with other inputs."""
    return {**deepcopy(DATA), "extra_data": extra_data}


def options(**more):
    return {
        "seed": 0,
        "architecture": {"name": "toy_charged"},
        "training_set": DATA,
        "validation_set": 0.2,
        "test_set": 0.2,
        **more,
    }


@pytest.fixture(scope="session")
def trained_once(toy, charged_frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp("charged")
    ase.io.write(folder / "charged.xyz", charged_frames, format="extxyz")
    (folder / "options.yaml").write_text(yaml.safe_dump(options()))
    (folder / "eval.yaml").write_text(yaml.safe_dump(DATA))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(toy))
        assert main(["train", "options.yaml"]) == 0
    return folder


@pytest.fixture
def trained(toy, trained_once, tmp_path, monkeypatch, on_path):
    """A copy of a working folder in which a model that reads a charge has been trained."""
    folder = tmp_path / "work"
    shutil.copytree(trained_once, folder)
    monkeypatch.chdir(folder)
    on_path(toy)
    return folder


def write(name, content):
    Path(name).write_text(yaml.safe_dump(content))


# ---- a model that reads a charge


def test_the_charge_is_learnt(trained, run_folder):
    log = (run_folder() / "train.log").read_text()
    errors = dict(re.findall(r"^energy +meV/atom +(\S+) +(\S+) ", log, re.MULTILINE))
    # without it, an error as large as the shift of the energies would be left
    assert float(errors["test"]) < 1e3 * SHIFT / 2


def test_mt_eval_gives_the_errors_of_the_training(trained, run_folder):
    log = (run_folder() / "train.log").read_text()
    for split in ("training", "validation", "test"):
        frames = [int(each) for each in (run_folder() / f"indices/{split}.txt").read_text().split()]
        errors = mt_core.evaluate("model.pt", DATA | {"indices": frames}).errors["charged.xyz"]
        for label, unit in (("energy", "meV/atom"), ("forces", "meV/A")):
            assert re.search(rf"^{label} +{unit} +{split} +{errors[label].rmse:.4g} ", log, re.M)


def test_a_simulation_in_ase_has_the_energies_of_mt_eval(trained, charged_frames):
    """ASE gives the model the charge of ``atoms.info``; another charge is another energy."""
    mt_core.evaluate("model.pt", DATA, output="out.xyz")
    calculator = MetatomicCalculator("model.pt")
    for atoms, predicted in zip(charged_frames[:3], ase.io.read("out.xyz", ":3"), strict=True):
        atoms = atoms.copy()
        atoms.info["charge"] = atoms.info["Q"]
        atoms.calc = calculator
        assert atoms.get_potential_energy() == pytest.approx(predicted.get_potential_energy())
        np.testing.assert_allclose(atoms.get_forces(), predicted.get_forces(), atol=1e-5)
        before = atoms.get_potential_energy()
        atoms.info["charge"] += 1
        assert abs(atoms.get_potential_energy() - before) > SHIFT


def test_what_a_simulation_in_ase_has_to_give_is_said(trained, run_folder):
    """A model that reads nothing has no such line: the last run of this folder asks a charge."""
    log = (run_folder() / "train.log").read_text()
    assert re.search(r'in ASE: .*\n +# the model reads atoms\.info\["charge"\]: set', log)


def test_another_unit_of_the_charge_is_converted(trained):
    whole = mt_core.evaluate("model.pt", DATA).errors["charged.xyz"]["energy"].rmse
    in_coulombs = data(charge={"key": "coulombs", "unit": "C"})
    found = mt_core.evaluate("model.pt", in_coulombs).errors["charged.xyz"]["energy"].rmse
    assert found == pytest.approx(whole, rel=1e-4)


def test_a_charge_without_a_unit_is_taken_as_the_model_has_it(trained, succeed):
    write("eval.yaml", data(charge={"key": "Q"}))
    assert "taken as the model has it: charge in e" in succeed("eval model.pt eval.yaml")


def test_a_unit_of_another_quantity_is_refused(trained, refuse):
    write("eval.yaml", data(charge={"key": "Q", "unit": "eV"}))
    assert "eV" in refuse("eval model.pt eval.yaml")


def test_the_samples_of_a_trainer_have_neighbor_lists_and_inputs(trained, succeed):
    shown = succeed("train options.yaml -r architecture.training.num_epochs=1")
    assert "samples: ['charge'], 1 lists" in shown


def test_statistics_of_the_training_set_are_those_of_the_checkpoint(trained, succeed):
    """The model asks for them when it is made, and again when it comes from its checkpoint."""
    succeed("export model.ckpt -o again.pt")
    errors = [
        mt_core.evaluate(each, DATA).errors["charged.xyz"] for each in ("again.pt", "model.pt")
    ]
    assert errors[0]["energy"].rmse == errors[1]["energy"].rmse
    checkpoint = torch.load("model.ckpt", weights_only=True)
    known = checkpoint["dataset_info"]["statistics"]
    assert (known["num_structures"], known["num_atoms"]) == (24, 24 * 9)
    assert list(known["mean_num_neighbors"]) == ["3.0"]
    assert checkpoint["dataset_info"]["inputs"]["charge"]["unit"] == "e"


def test_a_restart_and_a_fine_tuning_go_on_with_the_inputs(trained, succeed):
    succeed("train options.yaml --restart auto -r architecture.training.num_epochs=21")
    tuned = "architecture.training.finetune.read_from=model.ckpt -r"
    shown = succeed(f"train options.yaml -o tuned.pt -r {tuned} architecture.training.num_epochs=1")
    assert "Forgetting check" in shown


# ---- options that do not fit the model


def test_an_evaluation_without_what_the_model_reads_says_what_to_write(trained, refuse):
    write("eval.yaml", {"systems": DATA["systems"]})
    said = refuse("eval model.pt eval.yaml")
    assert "it reads 'charge' of each structure, and the options do not give it" in said
    assert "write extra_data: {charge: {key: its name in the file}}" in said


def test_an_evaluation_with_what_nothing_reads_is_refused(finished, refuse):
    write("eval.yaml", {"systems": "ethanol.xyz", "extra_data": {"charge": {"key": "energy"}}})
    said = refuse("eval model.pt eval.yaml")
    assert "nothing reads 'charge', since it reads nothing of the kind" in said


def test_an_input_of_the_other_kind_is_refused(trained, refuse):
    write("eval.yaml", data(charge={"key": "Q", "sample_kind": "atom"}))
    assert "write sample_kind: system" in refuse("eval model.pt eval.yaml")


def test_every_file_is_checked_before_the_first_one_is_evaluated(trained, refuse):
    write("eval.yaml", [DATA, data(charge={"key": "Q", "unit": "eV"})])
    refuse("eval model.pt eval.yaml -o out.xyz")
    assert not Path("out.xyz").exists()


@pytest.mark.parametrize("command", ["eval model.pt eval.yaml", "train options.yaml"])
def test_an_input_in_another_place_of_the_file_is_said(trained, refuse, command):
    dataset = data(charge={"key": "forces", "unit": "e"})
    write("eval.yaml", dataset)
    write("options.yaml", options(training_set=dataset))
    said = refuse(command)
    assert "'forces' of input 'charge' is of each atom there, and of the structure in" in said
    assert "write sample_kind: atom" in said


def test_a_model_that_fails_is_told_in_a_few_lines(trained, refuse, monkeypatch):
    # as a name of its own could be wrong, of which nobody knows what it stands for
    vector = {"cartesian": {"rank": 1}}
    monkeypatch.setitem(STANDARD_INPUTS, "charge", StandardInput(("system",), "e", vector))
    text = Path("charged.xyz").read_text()
    Path("charged.xyz").write_text(re.sub(r" Q=\S+", ' Q="1 2 3"', text))
    write("eval.yaml", data(charge={"key": "Q", "type": vector}))
    said = refuse("eval model.pt eval.yaml")
    assert "the model fails on frames 0 to 39 (the first is 0) of charged.xyz" in said
    assert "RuntimeError: " in said
    assert len(said.splitlines()) < 10


def test_a_structure_without_the_input_is_named(trained, refuse):
    text = Path("charged.xyz").read_text()
    Path("charged.xyz").write_text(text.replace(" Q=0.0", "", 1))
    for command in ("eval model.pt eval.yaml", "train options.yaml"):
        assert "charged.xyz, frame 1 (the first is 0): 'Q' of input 'charge'" in refuse(command)


def test_an_architecture_that_reads_no_inputs_refuses_before_data_are_read(trained, refuse):
    Path("charged.xyz").unlink()
    said = refuse("train options.yaml -r architecture.name=soap_bpnn")
    assert "reading the input 'charge' (extra_data): nothing would" in said
    assert "the inputs that it reads are: none (installed and able: toy_charged; " in said


def test_mt_describe_names_the_inputs(trained, succeed):
    assert re.search(r"^  inputs +charge$", succeed("describe toy_charged"), re.MULTILINE)
    assert re.search(r"^  inputs +none$", succeed("describe soap_bpnn"), re.MULTILINE)


def test_fine_tuning_without_the_inputs_of_the_model_is_refused_before_data_are_read(
    trained, refuse
):
    bare = {name: DATA[name] for name in ("systems", "targets")}
    write("bare.yaml", options(training_set=bare))
    Path("charged.xyz").write_text("no structures", encoding="utf-8")
    finetune = "architecture.training.finetune.read_from=model.ckpt"
    said = refuse("train", "bare.yaml", "-r", finetune)
    assert "it was made to read charge, and the options give no inputs (extra_data)" in said


class Reading(torch.nn.Module):
    """A model that reads the same whatever it is made for."""

    def requested_inputs(self):
        return {"charge": ModelOutput(unit="e", sample_kind="system")}


def test_the_word_of_the_model_counts_where_no_file_states_what_it_reads():
    check_inputs_of_training(Reading(), {"charge": TargetInfo(unit="e")})
    check_inputs_of_training(Reading(), {"charge": TargetInfo()})
    check_inputs_of_training(torch.nn.Identity(), {})
    with pytest.raises(OptionsError, match="it reads 'charge' of each structure"):
        check_inputs_of_training(Reading(), {})
    with pytest.raises(OptionsError, match="nothing reads 'charge', since it reads nothing"):
        check_inputs_of_training(torch.nn.Identity(), {"charge": TargetInfo()})
    with pytest.raises(OptionsError, match="it reads 'charge' in e, and the options have it in C"):
        check_inputs_of_training(Reading(), {"charge": TargetInfo(unit="C")})


def test_all_that_does_not_fit_is_said_at_once():
    with pytest.raises(OptionsError, match=r"it reads 'charge'.*; nothing reads 'mass'"):
        check_inputs_of_evaluation(Reading().requested_inputs(), {"mass": TargetInfo()})


def test_a_model_without_a_unit_takes_none():
    """Nothing could be converted, and the numbers would be taken as they are."""
    requested = {"charge": ModelOutput(sample_kind="system")}
    check_inputs_of_evaluation(requested, {"charge": TargetInfo()})
    with pytest.raises(OptionsError, match=r"have it in C, .*: leave the unit out"):
        check_inputs_of_evaluation(requested, {"charge": TargetInfo(unit="C")})
    for unit in ("foo", "eV"):
        with pytest.raises(DataError, match=f"the unit '{unit}' of charge cannot be used"):
            check_inputs_of_evaluation(requested, {"charge": TargetInfo(unit=unit)})


def test_an_exported_model_converts_what_can_be_converted():
    check_inputs_of_evaluation(Reading().requested_inputs(), {"charge": TargetInfo(unit="C")})
    with pytest.raises(DataError, match="eV"):
        check_inputs_of_evaluation(Reading().requested_inputs(), {"charge": TargetInfo(unit="eV")})
