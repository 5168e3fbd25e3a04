"""``mt export``, and what it refuses to read."""

import inspect
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import mt_core
from mt_shared.engine import Trainer
from mt_shared.registry import find, load


def energies(model):
    mt_core.evaluate(model, {"systems": "ethanol.xyz"}, output="energies.xyz")
    import ase.io

    return [image.get_potential_energy() for image in ase.io.read("energies.xyz", ":")]


def test_a_checkpoint_gives_the_model_that_training_exported(finished, succeed):
    assert "new/again.pt" in succeed("export model.ckpt -o new/again.pt")
    np.testing.assert_allclose(energies("new/again.pt"), energies("model.pt"), rtol=1e-6)


def test_the_default_name_is_that_of_the_checkpoint_in_this_folder(finished, succeed, run_folder):
    Path("model.pt").unlink()
    succeed("export", str(run_folder() / "latest.ckpt"))
    assert Path("latest.pt").is_file()


def test_a_model_that_lies_there_is_kept_and_said(finished, succeed):
    Path("model.pt").write_text("an older model")
    assert "model.pt was there before: it is now model.1.pt" in succeed("export model.ckpt")
    assert Path("model.1.pt").read_text() == "an older model"


def test_the_checkpoint_is_never_replaced_by_its_model(finished, refuse):
    before = Path("model.ckpt").read_bytes()
    assert "-o model.pt" in refuse("export model.ckpt -o model.ckpt")
    assert Path("model.ckpt").read_bytes() == before


def test_metadata_of_the_user_join_those_of_the_architecture(finished, succeed):
    Path("about.yaml").write_text(
        "name: my potential\nauthors: [Me]\nreferences: {model: [https://doi.org/1]}\n"
    )
    succeed("export model.ckpt -o about.pt -m about.yaml")
    metadata = mt_core.load_model("about.pt").metadata()
    assert metadata.name == "my potential"
    assert metadata.authors == ["Me"]
    assert "https://doi.org/1" in metadata.references["model"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("autors: [Me]\n", "did you mean 'authors'?"), ("- Me\n", "no mapping")],
)
def test_metadata_that_are_none_are_refused(finished, refuse, text, reason):
    Path("about.yaml").write_text(text)
    assert reason in refuse("export model.ckpt -o about.pt -m about.yaml")
    assert not Path("about.pt").exists()


def test_an_exported_model_is_no_checkpoint(finished, refuse):
    assert "use the .ckpt beside it" in refuse("export model.pt -o again.pt")


class Code:
    """What a pickle of this runs when it is read."""

    def __reduce__(self):
        return os.system, ("touch it_ran",)


def write_foreign(kind, path):
    if kind == "torch":
        torch.save({"format": "mt-checkpoint", "x": Code()}, path)
    elif kind == "old torch":
        torch.save(Code(), path, _use_new_zipfile_serialization=False)
    else:
        Path(path).write_bytes(pickle.dumps(Code()))


@pytest.mark.parametrize(
    "command",
    ["export bad.ckpt", "eval bad.ckpt eval.yaml", "train options.yaml --restart bad.ckpt"],
)
@pytest.mark.parametrize("kind", ["torch", "old torch", "pickle"])
def test_code_in_a_checkpoint_is_never_run(finished, refuse, command, kind):
    write_foreign(kind, "bad.ckpt")
    error = refuse(command)
    assert "bad.ckpt" in error
    assert not Path("it_ran").exists()
    if kind == "torch":
        assert "would run code (posix.system)" in error or "would run code (nt.system)" in error


def test_a_checkpoint_of_metatrain_is_named_as_such(finished, refuse, monkeypatch):
    names = ("metatrain", "metatrain.utils", "metatrain.utils.data")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    hypers = type("Hypers", (), {"__module__": names[-1]})
    sys.modules[names[-1]].Hypers = hypers
    torch.save({"architecture_name": "soap_bpnn", "data": hypers()}, "mtt.ckpt")
    assert "checkpoint of metatrain" in refuse("export mtt.ckpt")


@pytest.mark.parametrize("content", [{"a": 1}, [1, 2]])
def test_other_files_of_torch_are_named_as_such(finished, refuse, content):
    torch.save(content, "other.ckpt")
    assert "not a checkpoint of mt" in refuse("export other.ckpt")


def test_a_truncated_checkpoint_is_named_as_such(finished, refuse):
    whole = Path("model.ckpt").read_bytes()
    Path("model.ckpt").write_bytes(whole[: len(whole) // 2])
    error = refuse("export model.ckpt -o again.pt")
    assert "truncated" in error
    assert "previous.ckpt" in error


def test_bytes_that_changed_on_the_way_are_noticed(finished, refuse):
    damaged = bytearray(Path("model.ckpt").read_bytes())
    middle = damaged.find(b"data.pkl") + 200
    damaged[middle : middle + 400] = bytes(400)
    Path("model.ckpt").write_bytes(damaged)
    assert "model.ckpt" in refuse("export model.ckpt -o again.pt")


def test_a_checkpoint_of_a_newer_version_says_what_to_install(finished, refuse):
    checkpoint = torch.load("model.ckpt", weights_only=True)
    torch.save(checkpoint | {"model_version": 99, "distribution_version": "9.0"}, "new.ckpt")
    assert "pip install 'mt-soap-bpnn>=9.0'" in refuse("export new.ckpt")


def test_a_checkpoint_of_an_architecture_that_is_not_installed_says_what_to_install(
    finished, refuse
):
    checkpoint = torch.load("model.ckpt", weights_only=True)
    torch.save(checkpoint | {"architecture": "nowhere", "distribution": "mt-nowhere"}, "other.ckpt")
    assert "'nowhere' is not installed" in refuse("export other.ckpt")


@pytest.fixture
def unscriptable(monkeypatch):
    """As if the author of the architecture had written what TorchScript cannot compile.

    Gives the number of the line, and the line.
    """

    class Unscriptable(load("soap_bpnn").model_class):
        def features(self, graph):
            return (lambda: graph.vectors[:, 0])()

    monkeypatch.setattr(sys.modules[find("soap_bpnn").module], "__model__", Unscriptable)
    source, first = inspect.getsourcelines(Unscriptable.features)
    return first + 1, source[1].strip()


@pytest.mark.parametrize(
    "command",
    ["export model.ckpt -o new.pt", "train options.yaml --dry-run", "train options.yaml -o new.pt"],
)
def test_code_that_torchscript_refuses_is_shown_by_its_line(
    finished, unscriptable, refuse, monkeypatch, command
):
    monkeypatch.setattr(Trainer, "dry_run", lambda *arguments: None)
    # nothing is trained that could not be delivered
    monkeypatch.setattr(Trainer, "train", None)
    error = refuse(command)
    assert "the model cannot be exported" in error
    number, line = unscriptable
    assert f"{__file__}, line {number}:\n    {line}\n" in error
    assert "Lambda aren't supported" in error
    # of nothing else is there a checkpoint already
    assert ("from its checkpoint: mt export" in error) == command.startswith("export")
    assert len(error.splitlines()) < 10
    assert not Path("new.pt").exists()
