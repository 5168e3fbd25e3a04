"""Fine-tuning of a model of the shipped ethanol (GFN2-xTB) on 20 structures of another method.

The other data are in ``data/``: the last frames of the same ethanol, labelled by GFN1-xTB.
"""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

import mt_core
from mt_core.architectures import find_entry
from mt_core.evaluation.predictions import OutputRequest, predict
from mt_core.examples.copies import EXAMPLES
from mt_core.options import parse_eval
from mt_core.training import training
from mt_shared.contract import read_checkpoint
from mt_shared.data import read_dataset
from mt_shared.errors import ArchitectureError, CheckpointError, OptionsError
from mt_shared.options import read_yaml

GFN1 = Path(__file__).parent / "data" / "ethanol_gfn1.xyz"
METHODS = ["full", "heads", "lora"]
NUM_EPOCHS = 40
OTHER = "mtt::gfn1"

MODEL = {
    "soap": {"max_radial": 3, "max_angular": 3, "cutoff": {"radius": 4.0, "width": 0.5}},
    "bpnn": {"num_hidden_layers": 2, "num_neurons_per_layer": 16},
}
TRAINING = {"batch_size": 5, "learning_rate": 1e-2, "log_interval": 1000}


def cut(source, first, last, destination):
    """A file of some frames of another, of eleven lines each."""
    lines = source.read_text().splitlines(keepends=True)
    Path(destination).write_text("".join(lines[11 * first : 11 * last]))


def data_set(file, target="energy", **more):
    labels = {"key": "energy", "quantity": "energy", "unit": "eV", "forces": True} | more
    systems = {"read_from": str(file), "length_unit": "angstrom"}
    return {"systems": systems, "targets": {target: labels}}


def options(training_set, validation_set, **training):
    architecture = {"name": "soap_bpnn", "model": MODEL, "training": TRAINING | training}
    return {
        "seed": 0,
        "device": "cpu",
        "architecture": architecture,
        "training_set": training_set,
        "validation_set": validation_set,
    }


def fine_tuning(method="full", target="energy", num_epochs=NUM_EPOCHS, **finetune):
    """The options of a fine-tuning on twenty structures."""
    section = {"read_from": "old.ckpt", "method": method} | finetune
    sets = data_set("new.xyz", target), data_set("new_validation.xyz", target)
    return options(*sets, num_epochs=num_epochs, learning_rate=3e-3, finetune=section)


def force_error(model, target="energy"):
    """On twelve structures of the other method that no training has seen, in meV/A."""
    errors = mt_core.evaluate(model, data_set("unseen.xyz", target)).errors["unseen.xyz"]
    return errors["forces" if target == "energy" else f"{target} forces"].rmse


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A working folder with the model to start from, and one trained from scratch."""
    folder = tmp_path_factory.mktemp("finetuning")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cut(EXAMPLES / "ethanol" / "ethanol.xyz", 0, 100, "old.xyz")
        cut(GFN1, 0, 20, "new.xyz")
        cut(GFN1, 20, 28, "new_validation.xyz")
        cut(GFN1, 28, 40, "unseen.xyz")
        mt_core.train(options(data_set("old.xyz"), 0.2, num_epochs=50), "old.pt")
        sets = data_set("new.xyz"), data_set("new_validation.xyz")
        mt_core.train(options(*sets, num_epochs=NUM_EPOCHS), "scratch.pt")
    return folder


@pytest.fixture(scope="module")
def tuned_once(once):
    """The results of all methods, and of heads on a target of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(once)
        results = {each: mt_core.train(fine_tuning(each), f"{each}.pt") for each in METHODS}
        inherited = fine_tuning("heads", OTHER, inherit_heads={OTHER: "energy"})
        results["other"] = mt_core.train(inherited, "other.pt")
    return results


@pytest.fixture
def here(once, monkeypatch):
    """The working folder, not to be changed."""
    monkeypatch.chdir(once)


@pytest.fixture
def tuned(tuned_once, here):
    return tuned_once


@pytest.fixture
def copied(once, tmp_path, monkeypatch):
    """A copy of the working folder, to be changed."""
    folder = tmp_path / "copy"
    shutil.copytree(once, folder)
    monkeypatch.chdir(folder)
    return folder


def old_run():
    """The folder of the run that wrote ``old.ckpt``."""
    return min(Path("outputs").glob("*/*"), key=lambda run: (run.parent.name, run.name))


# ---- what it is good for


def assert_better(method, other, factor):
    """Forces of a fine-tuned model against those of another; docs/finetuning.md has the numbers."""
    error = force_error(f"{method}.pt", OTHER if method == "other" else "energy")
    expected = force_error(f"{other}.pt")
    print(f"{method}: {error:.0f} meV/A, {other}: {expected:.0f} meV/A")
    assert error < factor * expected


@pytest.mark.parametrize("method", [*METHODS, "other"])
def test_it_beats_training_from_scratch_at_equal_steps(tuned, method):
    assert_better(method, "scratch", 0.7)


@pytest.mark.parametrize("method", [*METHODS, "other"])
def test_it_keeps_what_the_starting_model_knew_of_forces(tuned, method):
    assert_better(method, "old", 1.1)


@pytest.mark.parametrize("method", METHODS)
def test_energies_are_those_of_the_new_method(tuned, method):
    energy = {}
    for model in (f"{method}.pt", "old.pt"):
        errors = mt_core.evaluate(model, data_set("unseen.xyz")).errors["unseen.xyz"]
        energy[model] = errors["energy"].rmse
    assert energy["old.pt"] > 1000
    assert energy[f"{method}.pt"] < 20


# ---- what stays as it is


@pytest.mark.parametrize("method", ["heads", "lora", "other"])
def test_what_is_frozen_keeps_its_bits(tuned, method):
    start = read_checkpoint("old.ckpt")["best_state"]
    end = {
        name.replace("parametrizations.weight.original", "weight"): tensor
        for name, tensor in read_checkpoint(f"{method}.ckpt")["best_state"].items()
    }
    head = f"heads.{OTHER if method == 'other' else 'energy'}."
    same = {name for name in start if torch.equal(start[name], end[name])}
    network = {name for name in start if name.startswith("soap_features.")}
    assert network
    assert network <= same
    assert not any(name.startswith(head) for name in same)


def predictions(model, target):
    """Energies and forces of the old structures."""
    (spec,) = parse_eval(data_set("old.xyz"), "test")
    requests = [OutputRequest(target, unit="", per_atom=False, gradients=True)]
    loaded = mt_core.load_model(model)
    data = read_dataset(spec)
    return predict(loaded, data, requests, "angstrom", torch.device("cpu"))[target]


def test_with_heads_a_new_target_leaves_the_old_one_exactly_as_it_was(tuned):
    before, after = (predictions(model, "energy") for model in ("old.pt", "other.pt"))
    np.testing.assert_array_equal(after.values, before.values)
    np.testing.assert_array_equal(after.gradients["positions"], before.gradients["positions"])
    other = predictions("other.pt", OTHER).gradients["positions"]
    assert not np.array_equal(other, before.gradients["positions"])


def test_a_new_element_leaves_predictions_for_the_old_ones_as_they_were(copied):
    new = Path("new.xyz")
    new.write_text(new.read_text().replace("\nO ", "\nN ", 1))
    wanted = fine_tuning(num_epochs=1, composition="keep")
    wanted["architecture"]["training"]["learning_rate"] = 1e-12
    mt_core.train(wanted, "more.pt")
    assert mt_core.load_model("more.pt").capabilities().atomic_types == [1, 6, 7, 8]
    before, after = (predictions(model, "energy") for model in ("old.pt", "more.pt"))
    np.testing.assert_allclose(after.values, before.values, rtol=0, atol=1e-4)
    forces_before, forces_after = (-each.gradients["positions"] for each in (before, after))
    np.testing.assert_allclose(forces_after, forces_before, rtol=0, atol=1e-4)


# ---- the forgetting check


def rows(table):
    """The numbers of a table of errors, by quantity."""
    found = (line.split() for line in table.splitlines())
    return {words[0]: [float(word) for word in words[2:]] for words in found if len(words) == 4
            and words[0] != "RMSE"}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_errors_on_the_old_validation_set_before_and_after_are_told(tuned, method):
    table = tuned[method].old_errors
    assert f"Forgetting check on the validation set of {old_run()} (20 structures)" in table
    log = (tuned[method].folder / "train.log").read_text()
    assert table in log
    before, after = rows(table)["forces"]
    validation = (old_run() / "indices" / "validation.txt").read_text().split()
    old = data_set("old.xyz") | {"indices": [int(frame) for frame in validation]}
    for model, told in (("old.pt", before), (f"{method}.pt", after)):
        found = mt_core.evaluate(model, old).errors["old.xyz"]["forces"].rmse
        assert told == pytest.approx(found, rel=1e-3)
    assert after > before


def test_a_target_of_its_own_forgets_nothing(tuned):
    for before, after in rows(tuned["other"].old_errors).values():
        assert before == after


def say_why(capsys, **finetune):
    result = mt_core.train(fine_tuning(num_epochs=1, **finetune), "again.pt")
    assert result.old_errors == ""
    said = re.search(r"No forgetting check: (.*)", capsys.readouterr().out)
    assert said is not None
    assert "run mt eval with" in said[1]
    return said[1]


def test_without_the_folder_of_the_run_it_says_so(copied, capsys):
    shutil.copy("old.ckpt", "alone.ckpt")
    shutil.rmtree("outputs")
    assert "'alone.ckpt' is not in the folder of its run" in say_why(capsys, read_from="alone.ckpt")


def test_with_other_data_in_the_old_files_it_says_so(copied, capsys):
    Path("old.xyz").write_text(Path("old.xyz").read_text().replace("1.0", "1.1"))
    assert "the files of the run" in (said := say_why(capsys))
    assert "have changed" in said


def test_without_the_old_files_it_says_so(copied, capsys):
    Path("old.xyz").unlink()
    assert "old.xyz" in say_why(capsys)


def test_a_run_that_was_copied_elsewhere_says_so(copied, capsys):
    """To a folder near the root, where no folder can be that in which the run was started."""
    with TemporaryDirectory() as near_the_root:
        shutil.copytree(old_run(), near_the_root, dirs_exist_ok=True)
        assert "old.xyz" in say_why(capsys, read_from=f"{near_the_root}/model.ckpt")


def test_a_run_that_has_lost_its_seed_says_so(copied, capsys):
    file = old_run() / "options_restart.yaml"
    file.write_text(file.read_text().replace("seed: 0", "seed: null"))
    assert "has lost its seed" in say_why(capsys)


def test_the_run_is_found_from_another_folder(copied, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name in ("new.xyz", "new_validation.xyz"):
        shutil.copy(copied / name, name)
    wanted = fine_tuning(num_epochs=1, read_from=str(copied / "old.ckpt"))
    assert "20 structures" in mt_core.train(wanted, "model.pt").old_errors


def test_without_the_final_evaluation_there_is_no_check(copied):
    wanted = fine_tuning(num_epochs=1) | {"final_eval": False}
    assert mt_core.train(wanted, "model.pt").old_errors == ""


# ---- what is refused, before any data are read


def refusal(error, wanted):
    """The error, where the data sets could not even be read."""
    Path("unread.xyz").write_text("no structures", encoding="utf-8")
    for part in ("training_set", "validation_set"):
        wanted[part]["systems"]["read_from"] = "unread.xyz"
    with pytest.raises(error) as found:
        mt_core.train(wanted)
    return str(found.value)


def changed(checkpoint, **values):
    torch.save(checkpoint | values, "changed.ckpt")
    return "changed.ckpt"


def test_no_file(here):
    assert "there is no checkpoint 'no.ckpt'" in refusal(
        OptionsError, fine_tuning(read_from="no.ckpt")
    )


def test_a_folder(here):
    error = refusal(CheckpointError, fine_tuning(read_from="outputs"))
    assert "'outputs' is a folder: name a file in it; expected a checkpoint" in error


def test_an_exported_model(here):
    error = refusal(CheckpointError, fine_tuning(read_from="old.pt"))
    assert "'old.pt' is an exported model, not a checkpoint" in error


def test_a_file_that_is_no_checkpoint(here):
    error = refusal(CheckpointError, fine_tuning(read_from="old.xyz"))
    assert "'old.xyz' is a file of structures; expected a checkpoint" in error


def test_another_architecture(copied):
    read_from = changed(read_checkpoint("old.ckpt"), architecture="pet")
    error = refusal(CheckpointError, fine_tuning(read_from=read_from))
    assert "'pet'" in error
    assert "'soap_bpnn'" in error


@pytest.mark.parametrize("part", ["model", "trainer"])
def test_a_newer_version(copied, part):
    read_from = changed(read_checkpoint("old.ckpt"), **{f"{part}_version": 99})
    error = refusal(CheckpointError, fine_tuning(read_from=read_from))
    assert f"{part} version 99" in error
    assert "pip install" in error


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        ("systems", {"length_unit": "nm"}, ["lengths in 'angstrom', the options in 'nm'"]),
        ("systems", {"length_unit": None}, ["lengths in 'angstrom', the options in ''"]),
        ("energy", {"unit": "kcal/mol"}, ["'energy' has the unit 'eV'", "'kcal/mol'"]),
    ],
)
def test_other_units(here, section, values, words):
    wanted = fine_tuning()
    for part in ("training_set", "validation_set"):
        sections = {"systems": wanted[part]["systems"], "energy": wanted[part]["targets"]["energy"]}
        sections[section].update(values)
    error = refusal(CheckpointError, wanted)
    assert all(word in error for word in [*words, "'old.ckpt'", "convert the data"])


def test_other_hypers_of_the_model(here):
    wanted = fine_tuning()
    wanted["architecture"]["model"] = {"soap": {"max_radial": 4, "max_angular": 3}}
    error = refusal(OptionsError, wanted)
    assert "architecture.model.soap.max_radial: 3 -> 4" in error
    assert "max_angular" not in error


@pytest.mark.parametrize(
    ("inherit", "reason"),
    [
        ({OTHER: "enrgy"}, "no target 'enrgy' (did you mean 'energy'?)"),
        ({"mtt::x": "energy"}, "'mtt::x' is not a target of the data sets"),
    ],
)
def test_heads_that_cannot_be_inherited(here, inherit, reason):
    wanted = fine_tuning("heads", OTHER, inherit_heads=inherit)
    assert reason in refusal(OptionsError, wanted)


def test_heads_of_another_unit(here):
    wanted = fine_tuning("heads", OTHER, inherit_heads={OTHER: "energy"})
    for part in ("training_set", "validation_set"):
        wanted[part]["targets"][OTHER]["unit"] = "Hartree"
    assert "unit 'Hartree' and 'eV'" in refusal(OptionsError, wanted)


def test_a_method_that_the_architecture_does_not_name(here, monkeypatch):
    entry = find_entry("soap_bpnn")
    able = replace(entry, capabilities=entry.capabilities | {"finetuning": ["full"]})
    monkeypatch.setattr(training, "find_entry", lambda name: able)
    error = refusal(ArchitectureError, fine_tuning("lora"))
    assert "fine-tuning by the method 'lora'" in error
    assert "it has the methods full" in error


def test_a_pattern_that_matches_nothing_names_the_parts(here):
    wanted = fine_tuning("heads", config={"modules": ["node_heads"]})
    with pytest.raises(OptionsError, match=r"'node_heads' matches nothing.*heads\.energy"):
        mt_core.train(wanted)


# ---- restart


def test_hypers_of_the_model_need_not_be_named(copied):
    runs = []
    for num_epochs, restart in ((1, None), (2, "auto"), (3, "model.ckpt")):
        wanted = fine_tuning(num_epochs=num_epochs)
        wanted["architecture"]["model"] = {}
        runs.append(mt_core.train(wanted, restart=restart))
        options = read_yaml(runs[-1].folder / "options_restart.yaml")
        assert options["architecture"]["model"]["soap"]["max_radial"] == 3
    assert (runs[-1].folder / "train.csv").read_text().count("\n") == 4
    wanted["architecture"]["model"] = {"soap": {"max_radial": 4}}
    with pytest.raises(OptionsError, match=r"max_radial: 3 -> 4"):
        mt_core.train(wanted, restart="auto")


def test_a_restart_cannot_change_the_method(copied):
    result = mt_core.train(fine_tuning("heads", num_epochs=1), "a.pt")
    latest = result.folder / "latest.ckpt"
    with pytest.raises(OptionsError, match=r"finetune\.method: 'heads' -> 'lora'"):
        mt_core.train(fine_tuning("lora", num_epochs=2), "a.pt", restart=latest, allow_changes=True)


@pytest.mark.parametrize("method", METHODS)
def test_a_restart_does_without_the_checkpoint_it_began_with(copied, method):
    result = mt_core.train(fine_tuning(method, num_epochs=1), "a.pt")
    Path("old.ckpt").unlink()
    again = mt_core.train(fine_tuning(method, num_epochs=2), "a.pt", restart=result.checkpoint)
    assert (again.folder / "train.csv").read_text().count("\n") == 3
    said = (again.folder / "train.log").read_text()
    assert "No forgetting check: 'old.ckpt' is not there any more" in said
    assert again.old_errors == ""


def test_a_restart_with_a_new_element_is_refused(copied):
    result = mt_core.train(fine_tuning(num_epochs=1), "a.pt")
    new = Path("new.xyz")
    new.write_text(new.read_text().replace("\nO ", "\nN ", 1))
    with pytest.raises(CheckpointError, match=r"new atomic types \[7\]"):
        mt_core.train(
            fine_tuning(num_epochs=2), "a.pt", restart=result.checkpoint, allow_changes=True
        )


def test_a_dry_run_says_what_would_train_and_be_checked(here, capsys):
    assert mt_core.train(fine_tuning("lora"), dry_run=True) is None
    said = capsys.readouterr().out
    assert re.search(r"by the method 'lora': \d+ parameters train, \d+ are frozen", said)
    assert "Forgetting check at the end" in said
