"""What was trained is delivered before anything is tried on it, in pieces that fit into memory."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from metatomic.torch import load_atomistic_model

import mt_core
from mt_core.console import reason
from mt_core.evaluation import predictions
from mt_core.evaluation.models import largest_batch_of
from mt_core.training import run
from mt_shared.contract import read_checkpoint
from mt_shared.errors import OptionsError

TRAIN = "train options.yaml -o models/mine.pt -r architecture.training.num_epochs=1"
MODEL, CHECKPOINT = Path("models/mine.pt"), Path("models/mine.ckpt")
ATOMS = 9  # of ethanol


def assert_delivered():
    load_atomistic_model(str(MODEL))
    read_checkpoint(CHECKPOINT)


def instead_of_the_table(monkeypatch, act):
    """Do something before the final table is made, when all has to be there already."""
    make_table = run.error_table

    def table(*arguments):
        assert_delivered()
        act()
        return make_table(*arguments)

    monkeypatch.setattr(run, "error_table", table)


def raising(error):
    def act():
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("CUDA error: an illegal memory access\nmore\nlines"), "an illegal memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "the memory ran out"),
    ],
)
def test_an_error_in_the_final_evaluation_loses_nothing(
    workspace, refuse, monkeypatch, run_folder, error, said
):
    instead_of_the_table(monkeypatch, raising(error))
    message = refuse(TRAIN)
    assert "the training is done, its model is models/mine.pt, and its checkpoint" in message
    assert said in message
    assert "mt eval models/mine.pt" in message
    assert len(message.splitlines()) == 1
    assert "Traceback" in (run_folder() / "final_evaluation.txt").read_text()
    assert_delivered()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "the memory ran out"),
        (OSError(28, "No space left on device"), "no space is left on the device"),
        (ValueError("shapes (64,3,1) and\n(64,1)"), "ValueError: shapes (64,3,1) and (64,1)"),
        (OptionsError("the model predicts no such thing"), "the model predicts no such thing"),
        (KeyError("energy"), "KeyError: 'energy'"),
    ],
)
def test_every_reason_is_one_line(error, said):
    assert reason(error).startswith(said)
    assert "\n" not in reason(error)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_the_final_evaluation_ends_it_with_its_status(
    workspace, mt, monkeypatch, number, status
):
    instead_of_the_table(monkeypatch, lambda: os.kill(os.getpid(), number))
    outcome = mt(TRAIN)
    assert outcome.status == status
    assert outcome.err == (
        f"{number.name}: the training is saved in models/mine.ckpt; its model is models/mine.pt, "
        "and only its errors are not known yet: mt eval models/mine.pt eval.yaml\n"
    )
    assert "RMSE    unit" not in outcome.out
    assert_delivered()


def test_a_signal_while_the_model_is_exported_waits_until_it_is_delivered(
    workspace, mt, monkeypatch
):
    from mt_core.training import delivery

    save_model = delivery.save_model

    def save(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return save_model(*arguments)

    monkeypatch.setattr(delivery, "save_model", save)
    assert mt(TRAIN).status == 143
    assert_delivered()
    assert not list(Path().rglob("*.partial*"))


def test_what_was_trained_outlives_a_kill_in_the_final_evaluation(workspace):
    code = (
        "import os, signal, sys\n"
        "from mt_core.cli import main\n"
        "from mt_core.training import run\n"
        "run.error_table = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"main({TRAIN.split()})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert_delivered()


def test_a_failed_check_of_old_data_loses_nothing_either(finished, refuse, monkeypatch):
    Path("model.ckpt").rename("old.ckpt")
    monkeypatch.setattr(run.OldValidation, "table", lambda *_: raising(ValueError("of old data"))())
    message = refuse(*TRAIN.split(), "-r", "architecture.training.finetune.read_from=old.ckpt")
    assert "the training is done, its model is models/mine.pt" in message
    assert_delivered()


@pytest.mark.parametrize("dry", ["", " --dry-run"])
@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("options.yaml/model.pt", "'{here}/options.yaml' is a file"),
        ("a/../options.yaml/b/model.pt", "options.yaml' is a file"),
        ("model.ckpt", "write -o model.pt"),
        ("folder.pt", "is a folder"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_the_training(
    workspace, refuse, output, said, dry
):
    Path("folder.pt").mkdir()
    Path("a").mkdir()
    assert said.format(here=workspace) in refuse(f"train options.yaml -o {output}{dry}")
    assert not Path("outputs").exists()


# ---- so many structures at a time as a batch of the training may hold


@pytest.fixture
def sizes(monkeypatch):
    """Structures and atoms of each call of an exported model."""
    predict, found = predictions.predict, []

    def watched(model, data, *others):
        found.append((len(data), data.structures.num_atoms))
        return predict(model, data, *others)

    monkeypatch.setattr(predictions, "predict", watched)
    return found


@pytest.mark.parametrize(
    ("options", "at_a_time"),
    [
        (["architecture.training.batch_size=5"], 5),
        (["architecture.training.max_atoms_per_batch=20"], 2),
    ],
)
def test_the_final_table_and_mt_eval_take_as_many_as_a_batch_held(
    workspace, succeed, sizes, options, at_a_time
):
    flags = [word for option in options for word in ("-r", option)]
    succeed(*TRAIN.split(), *flags)
    assert max(sizes)[0] == at_a_time
    for model in (MODEL, CHECKPOINT):
        sizes.clear()
        assert mt_core.evaluate(model, "eval.yaml").num_structures == 40
        assert max(sizes)[0] == at_a_time
    # who names a number gets it
    sizes.clear()
    mt_core.evaluate(MODEL, "eval.yaml", batch_size=30)
    assert [number for number, _ in sizes] == [30, 10]


def test_large_structures_are_taken_in_smaller_numbers(finished, sizes):
    import ase.io

    images = ase.io.read("ethanol.xyz", ":8")
    for image in images[::2]:
        far = image.copy()
        far.positions += 50.0
        image.extend(far)
        image.calc = None
    ase.io.write("mixed.xyz", images, format="extxyz")
    mt_core.evaluate("model.pt", {"systems": {"read_from": "mixed.xyz"}})
    assert largest_batch_of(load_atomistic_model("model.pt")) == 8 * ATOMS
    assert sum(number for number, _ in sizes) == 8
    assert max(atoms for _, atoms in sizes) <= 8 * ATOMS


@pytest.fixture
def little_memory(monkeypatch):
    """A machine whose memory is enough for three structures, in the words of one library."""
    predict, calls = predictions.predict, []

    def in_little_memory(model, data, *others):
        calls.append(len(data))
        if len(data) > 3:
            try:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            except RuntimeError as error:
                raise RuntimeError("failed to run the model") from error
        return predict(model, data, *others)

    monkeypatch.setattr(predictions, "predict", in_little_memory)
    return calls


def test_where_memory_ends_smaller_pieces_are_taken(finished, succeed, little_memory):
    whole = mt_core.evaluate("model.pt", "eval.yaml", batch_size=1).errors["ethanol.xyz"]
    little_memory.clear()
    shown = succeed("eval model.pt eval.yaml")
    assert "The memory ran out for 8 structures at a time" in shown
    # it is not tried again and again
    assert [size for size in little_memory if size > 3] == [8, 4]
    found = mt_core.evaluate("model.pt", "eval.yaml", batch_size=40).errors["ethanol.xyz"]
    for label, error in whole.items():
        assert found[label].number == error.number
        assert found[label].rmse == pytest.approx(error.rmse, rel=1e-4)


def test_one_structure_that_does_not_fit_is_told(finished, refuse, monkeypatch):
    monkeypatch.setattr(predictions, "predict", lambda *_: raising(MemoryError())())
    assert "the memory ran out" in refuse("eval model.pt eval.yaml")


def test_of_another_program_s_model_nothing_is_known(finished, sizes):
    from mt_core.evaluation import model_from_checkpoint

    exported = model_from_checkpoint(read_checkpoint("model.ckpt"), "export").export()
    exported.save("foreign.pt")
    images = "".join(Path("ethanol.xyz").read_text() for _ in range(2))
    Path("many.xyz").write_text(images)
    mt_core.evaluate("foreign.pt", {"systems": {"read_from": "many.xyz"}})
    assert [number for number, _ in sizes] == [64, 16]
