"""Checkpoint files: whole or not at all, tensors and plain values only."""

import errno
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from mt_shared.contract import read_checkpoint, upgrade_by_version, write_checkpoint
from mt_shared.engine import write_rotating
from mt_shared.errors import ArchitectureError, CheckpointError

CHECKPOINT = {
    "format": "mt-checkpoint",
    "architecture": "soap_bpnn",
    "distribution": "mt-soap-bpnn",
    "distribution_version": "0.1.0",
    "model_hypers": {"cutoff": 5.0},
    "dataset_info": {"length_unit": "angstrom", "atomic_types": [1, 8], "targets": {}},
    "state": {"weight": torch.arange(6.0).reshape(2, 3)},
    "numbers": [1, 2.5, None, True, "text"],
}


class Malicious:
    """What a pickle can hold: reading it would call a function."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        function, *arguments = self.call
        return function, tuple(arguments)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    write_checkpoint(CHECKPOINT, tmp_path / "model.ckpt")
    found = read_checkpoint(tmp_path / "model.ckpt")
    assert torch.equal(found["state"]["weight"], CHECKPOINT["state"]["weight"])
    assert found["numbers"] == CHECKPOINT["numbers"]


def test_nothing_but_the_checkpoint_is_left_behind(tmp_path):
    write_checkpoint(CHECKPOINT, tmp_path / "model.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.float64, "'trainer.kind' is a torch.dtype"),
        (Path("data.xyz"), "'trainer.kind' is a pathlib."),
        (np.float64(1.0), "'trainer.kind' is a numpy.float64"),
        ([0.0, {"a": (1, np.zeros(2))}], "'trainer.kind.1.a.1' is a numpy.ndarray"),
        ({1: {2: {3}}}, "'trainer.kind.1.2' is a builtins.set"),
        (torch.nn.Parameter(torch.zeros(1)), "'trainer.kind' is a torch.nn.parameter.Parameter"),
        ({np.int64(3): 1.0}, "'trainer.kind.3' is a numpy.int64"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, value, said):
    path = tmp_path / "model.ckpt"
    write_checkpoint(CHECKPOINT, path)
    with pytest.raises(ArchitectureError, match=re.escape(said)):
        write_checkpoint(CHECKPOINT | {"trainer": {"kind": value}}, path)
    assert read_checkpoint(path).keys() == CHECKPOINT.keys()


def test_every_plain_value_is_written_and_read(tmp_path):
    state = torch.nn.Linear(1, 1).state_dict()
    values = {"history": [{"loss": 0.5}], "random": (1, None, True), "state": state, 3: "text"}
    write_checkpoint(CHECKPOINT | values, tmp_path / "model.ckpt")
    found = read_checkpoint(tmp_path / "model.ckpt")
    assert found["history"] == values["history"]
    assert found["random"] == values["random"]
    assert torch.equal(found["state"]["weight"], state["weight"])


@pytest.mark.parametrize("key", ["model_hypers", "dataset_info"])
def test_a_checkpoint_that_lacks_a_key_names_it_and_who_should_give_it(tmp_path, key):
    less = {name: value for name, value in CHECKPOINT.items() if name != key}
    write_checkpoint(less, tmp_path / "model.ckpt")
    said = f"lacks '{key}': get_checkpoint of 'soap_bpnn' (mt-soap-bpnn) has to give that"
    with pytest.raises(CheckpointError, match=re.escape(said)):
        read_checkpoint(tmp_path / "model.ckpt")


class Foreign:
    """An object of a class that torch does not know."""


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("hidden", ["a call", "a process", "an object"])
def test_an_archive_with_code_is_refused_and_not_run(tmp_path, protocol, hidden):
    victim = tmp_path / "was-run"
    evil = {
        "a call": Malicious(Path.touch, victim),
        "a process": Malicious(subprocess.call, ["touch", str(victim)]),
        "an object": Foreign(),
    }
    content = CHECKPOINT | {"x": evil[hidden]}
    torch.save(content, tmp_path / "evil.ckpt", pickle_protocol=protocol)
    with pytest.raises(CheckpointError, match="refused: reading it would run code"):
        read_checkpoint(tmp_path / "evil.ckpt")
    assert not victim.exists()


def test_a_bare_pickle_with_code_is_refused_as_such(tmp_path):
    victim = tmp_path / "was-run"
    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps({"x": Malicious(Path.touch, victim)}))
    with pytest.raises(CheckpointError, match="refused: reading it would run code"):
        read_checkpoint(tmp_path / "evil.ckpt")
    assert not victim.exists()


def test_a_checkpoint_of_metatrain_is_named_as_such(tmp_path, monkeypatch):
    # what such a file holds besides tensors: objects of metatrain's own classes, by their names
    names = ("metatrain", "metatrain.utils", "metatrain.utils.data")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    info = type("DatasetInfo", (), {"__module__": names[-1]})
    sys.modules[names[-1]].DatasetInfo = info
    torch.save({"architecture_name": "soap_bpnn", "dataset_info": info()}, tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match="checkpoint of metatrain"):
        read_checkpoint(tmp_path / "model.ckpt")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_is_named_as_such(tmp_path, share):
    path = tmp_path / "model.ckpt"
    write_checkpoint(CHECKPOINT, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"empty|truncated"):
        read_checkpoint(path)


def test_bytes_that_were_overwritten_are_found(tmp_path):
    path = tmp_path / "model.ckpt"
    write_checkpoint(CHECKPOINT, path)
    content = bytearray(path.read_bytes())
    place = content.find(b"format")
    content[place - 20 : place + 20] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)


def test_an_exported_model_is_no_checkpoint(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(tmp_path / "model.pt"))
    with pytest.raises(CheckpointError, match="exported model"):
        read_checkpoint(tmp_path / "model.pt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint '.*missing.ckpt'"):
        read_checkpoint(tmp_path / "missing.ckpt")


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "model.ckpt"
    write_checkpoint(CHECKPOINT, path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="the disk is full"):
        write_checkpoint(CHECKPOINT | {"more": 1}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.ckpt"]


def test_the_checkpoint_before_stays_until_the_new_one_is_whole(tmp_path):
    for number in range(3):
        write_rotating(CHECKPOINT | {"number": number}, tmp_path)
    assert read_checkpoint(tmp_path / "latest.ckpt")["number"] == 2
    assert read_checkpoint(tmp_path / "previous.ckpt")["number"] == 1


def upgrade_1(checkpoint):
    """As if version 1 had called the weights ``w``."""
    checkpoint["state"] = {"weight": checkpoint["state"].pop("w")}
    return checkpoint


def upgrade_2(checkpoint):
    """As if version 2 had not known the cutoff."""
    checkpoint["hypers"] = {"cutoff": 5.0}
    return checkpoint


UPGRADES = {1: upgrade_1, 2: upgrade_2}


@pytest.mark.parametrize(
    "old",
    [
        {"model_version": 1, "state": {"w": 7}},
        {"model_version": 2, "state": {"weight": 7}},
        {"model_version": 3, "state": {"weight": 7}, "hypers": {"cutoff": 5.0}},
    ],
)
def test_a_checkpoint_of_each_version_comes_to_the_newest(old):
    new = upgrade_by_version(old, "model_version", 3, UPGRADES)
    assert new == {"model_version": 3, "state": {"weight": 7}, "hypers": {"cutoff": 5.0}}


def test_a_checkpoint_of_a_newer_version_says_what_to_install():
    newer = {"model_version": 4, "distribution": "mt-x", "distribution_version": "2.1.0"}
    with pytest.raises(CheckpointError, match=r"pip install 'mt-x>=2\.1\.0'"):
        upgrade_by_version(newer, "model_version", 3, UPGRADES)


def test_a_checkpoint_without_a_version_is_told_which_key_it_lacks():
    with pytest.raises(CheckpointError, match=r"lacks .trainer_version.*__checkpoint_version__"):
        upgrade_by_version({}, "trainer_version", 3, UPGRADES)


def test_a_mark_alone_makes_no_checkpoint(tmp_path):
    torch.save({"format": "mt-checkpoint"}, tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match="it lacks architecture"):
        read_checkpoint(tmp_path / "model.ckpt")


def test_other_pickles_are_named_for_what_they_are(tmp_path):
    """Without code, and yet no checkpoint of ours; of metatrain, whatever the form."""
    path = tmp_path / "model.ckpt"
    torch.save({"a": 1}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="not a checkpoint at all"):
        read_checkpoint(path)
    torch.save({"a": 1}, path, pickle_protocol=4)
    with pytest.raises(CheckpointError, match="a pickle that mt does not read"):
        read_checkpoint(path)
    path.write_bytes(b"cmetatrain.utils.data.dataset\nDatasetInfo\n.")
    with pytest.raises(CheckpointError, match="a checkpoint of metatrain"):
        read_checkpoint(path)


def test_a_failed_rotation_leaves_the_latest_in_its_place(tmp_path, monkeypatch):
    write_rotating(CHECKPOINT, tmp_path)
    rename = os.replace

    def fail(source, destination):
        if str(destination).endswith("latest.ckpt") and "partial" in str(source):
            raise OSError(5, "Input/output error")
        rename(source, destination)

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(CheckpointError, match="untouched"):
        write_rotating(CHECKPOINT | {"x": 2}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["latest.ckpt"]
    assert read_checkpoint(tmp_path / "latest.ckpt").keys() == CHECKPOINT.keys()
