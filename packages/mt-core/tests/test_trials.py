"""What a dry run tries besides a step: checkpoints that come back, and a model that can be called.

Each fault is one of an architecture's author, who is told the method and the key.
"""

import sys
from abc import abstractmethod
from pathlib import Path

import numpy as np
import pytest
import torch
from metatomic.torch import load_atomistic_model

from mt_shared.contract import DatasetInfo, read_checkpoint, write_checkpoint
from mt_shared.data import Graph
from mt_shared.registry import find, load

DRY_RUN = "train options.yaml --dry-run"
SOUND = load("soap_bpnn")


@pytest.fixture
def broken(workspace, monkeypatch):
    """Put methods into the place of those of an architecture's model or trainer."""

    def put(part: str, **methods) -> None:
        sound = getattr(SOUND, f"{part}_class")
        cls = type("Broken", (sound,), {"__module__": sound.__module__, **methods})
        monkeypatch.setattr(sys.modules[find("soap_bpnn").module], f"__{part}__", cls)

    return put


def saves(**changes):
    """A method that saves something else than the model's own; None: not at all."""

    def get_checkpoint(self):
        found = {**SOUND.model_class.get_checkpoint(self), **changes}
        return {key: value for key, value in found.items() if value != "nothing"}

    return get_checkpoint


def test_what_is_sound_passes(broken, succeed):
    broken("model")
    assert "everything is fine" in succeed(DRY_RUN)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"dataset_info": "nothing"},
            "lacks 'dataset_info': get_checkpoint of 'soap_bpnn' (mt-soap-bpnn)",
        ),
        ({"type_groups": "nothing"}, "lacks 'type_groups': get_checkpoint of Broken has to give"),
        ({"model_version": "nothing"}, "the checkpoint lacks 'model_version'"),
        ({"x": [Path("data.xyz")]}, "'x.0' is a pathlib."),
    ],
)
def test_what_a_model_saves_is_read_again(broken, refuse, changes, said):
    broken("model", get_checkpoint=saves(**changes))
    assert said in refuse(DRY_RUN)


def forgets(cls, checkpoint, context):
    model = SOUND.model_class.load_checkpoint.__func__(cls, checkpoint, context)
    with torch.no_grad():
        next(model.heads.parameters()).add_(1)
    return model


def test_a_model_that_comes_back_otherwise_is_refused_by_the_parameter(broken, refuse):
    broken("model", load_checkpoint=classmethod(forgets))
    error = refuse(DRY_RUN)
    assert "load_checkpoint of Broken for 'restart' gives another model" in error
    assert "'heads.energy.hidden.linear.weight' has other values" in error


@pytest.mark.parametrize("context", ["restart", "export"])
def test_a_model_that_cannot_be_loaded_is_told_with_the_context(broken, refuse, context):
    def fails(cls, checkpoint, wanted):
        if wanted == context:
            raise KeyError("wieght")
        return SOUND.model_class.load_checkpoint.__func__(cls, checkpoint, wanted)

    broken("model", load_checkpoint=classmethod(fails))
    error = refuse(DRY_RUN)
    assert f"load_checkpoint of Broken for '{context}' failed: KeyError: 'wieght'" in error


@pytest.mark.parametrize("method", ["save_checkpoint", "load_checkpoint"])
def test_a_trainer_without_a_checkpoint_is_refused_by_the_method(broken, refuse, method):
    def fails(*arguments):
        raise NotImplementedError

    broken("trainer", **{method: fails})
    assert f"{method} of Broken" in refuse(DRY_RUN)


def test_a_trainer_that_writes_no_file_is_refused(broken, refuse):
    broken("trainer", save_checkpoint=lambda self, model, path: None)
    assert "save_checkpoint of Broken has written no file" in refuse(DRY_RUN)


def test_a_trainer_that_forgets_what_a_restart_reads_is_refused_by_the_key(broken, refuse):
    def without_hypers(self, model):
        found = SOUND.trainer_class._checkpoint(self, model)
        return {key: value for key, value in found.items() if key != "trainer_hypers"}

    broken("trainer", _checkpoint=without_hypers)
    assert "lacks 'trainer_hypers': save_checkpoint of Broken has to give" in refuse(DRY_RUN)


def test_of_a_trainer_without_a_dry_run_the_model_is_tried_alone(broken, succeed):
    broken("trainer", dry_run=lambda *arguments: None)
    assert "its part of a checkpoint is not tried" in succeed(DRY_RUN)


def test_an_exported_model_that_fails_when_it_is_called_is_refused(broken, refuse):
    def features(self, graph: Graph) -> torch.Tensor:
        if torch.jit.is_scripting():
            return graph.vectors[1000000].unsqueeze(0)
        return self.soap_features(graph.vectors, graph.centers, graph.neighbors, graph.species)

    broken("model", features=features)
    error = refuse(DRY_RUN)
    assert "the model is exported, and fails where an engine would call it" in error
    assert f"{__file__}, line" in error
    assert "    return graph.vectors[1000000].unsqueeze(0)\nRuntimeError: " in error
    assert "index 1000000" in error
    assert len(error.splitlines()) < 10


def test_a_class_that_lacks_methods_of_the_contract_is_refused_by_their_names(broken, refuse):
    @abstractmethod
    def missing(self, model, path):
        """As if nobody had written it."""

    broken("trainer", save_checkpoint=missing)
    assert "the class __trainer__ lacks the method save_checkpoint" in refuse(DRY_RUN)


# ---- before each training, and at its end


TRAIN = "train options.yaml -r architecture.training.num_epochs=1"


@pytest.fixture
def refused_at_once(refuse):
    """Run a training that must be refused before its first epoch."""

    def run():
        error = refuse(TRAIN)
        (log,) = Path("outputs").rglob("train.log")
        assert "epoch 1/" not in log.read_text()
        return error

    return run


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": [Path("data.xyz")]}, "'x.0' is a pathlib."),
        ({"x": np.float64(1.5)}, "'x' is a numpy.float64"),
        ({"x": {"y": torch.nn.Linear(1, 1)}}, "'x.y' is a torch.nn.modules.linear.Linear"),
        ({"x": torch.float32}, "'x' is a torch.dtype"),
        ({"dataset_info": "nothing"}, "lacks 'dataset_info': get_checkpoint of 'soap_bpnn'"),
    ],
)
def test_a_model_that_could_not_be_read_again_is_not_trained(
    broken, refused_at_once, changes, said
):
    broken("model", get_checkpoint=saves(**changes))
    assert said in refused_at_once()


def test_a_state_that_could_not_be_read_again_is_not_trained(broken, refused_at_once):
    broken("trainer", extra_state=lambda self: {"best": {"where": Path("x")}})
    assert "'trainer.extra.best.where' is a pathlib." in refused_at_once()


def writes_objects(self, model, path):
    # past write_checkpoint, which would name the place
    torch.save({**model.get_checkpoint(), "trainer": {"where": Path("x")}}, path)


def test_a_trainer_that_writes_objects_by_itself_is_told_so_at_once(broken, refused_at_once):
    broken("trainer", save_checkpoint=writes_objects)
    error = refused_at_once()
    assert "save_checkpoint of Broken has written objects (pathlib." in error
    assert "do not open" not in error


def test_a_trainer_that_writes_objects_at_its_end_has_trained_a_model_all_the_same(broken, refuse):
    def fails_before(self, model, path):
        assert self._training is not None
        writes_objects(self, model, path)

    broken("trainer", save_checkpoint=fails_before)
    error = refuse(TRAIN)
    assert "save_checkpoint of Broken has written objects (pathlib." in error
    assert "The model as the training left it is model.pt, without a checkpoint" in error
    load_atomistic_model("model.pt")
    assert not Path("model.ckpt").exists()


def test_what_is_tried_before_a_training_changes_no_number(workspace, succeed, monkeypatch):
    from mt_core.training import run

    succeed(TRAIN)
    monkeypatch.setattr(run, "try_saving", lambda model, trainer: None)
    succeed(*TRAIN.split(), "-o", "untried.pt")
    states = [read_checkpoint(name)["state"] for name in ("model.ckpt", "untried.ckpt")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# ---- what else a delivery does is in a dry run too


def test_an_exported_model_that_fails_for_two_structures_is_refused(broken, refuse):
    def features(self, graph: Graph) -> torch.Tensor:
        if torch.jit.is_scripting():
            assert len(graph.num_atoms) == 1, "one structure at a time"
        return self.soap_features(graph.vectors, graph.centers, graph.neighbors, graph.species)

    broken("model", features=features)
    assert "one structure at a time" in refuse(DRY_RUN)


def test_an_exported_model_that_predicts_nan_is_refused(broken, refuse):
    def features(self, graph: Graph) -> torch.Tensor:
        found = self.soap_features(graph.vectors, graph.centers, graph.neighbors, graph.species)
        return found * torch.nan if torch.jit.is_scripting() else found

    broken("model", features=features)
    assert "predicts energy that are not finite for the training set" in refuse(DRY_RUN)


def test_an_exported_model_that_gives_no_such_output_is_refused(broken, refuse):
    def supported_outputs(self):
        found = SOUND.model_class.supported_outputs(self)
        return {name: each for name, each in found.items() if name != "energy"}

    broken("model", supported_outputs=supported_outputs)
    assert "the model does not predict 'energy'" in refuse(DRY_RUN)


def test_a_file_that_nothing_can_load_is_refused(broken, refuse):
    class Word(torch.nn.Module):
        """TorchScript takes an attribute of such a name, writes it, and cannot read it again."""

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values

    def make(self, hypers, dataset_info):
        SOUND.model_class.__init__(self, hypers, dataset_info)
        self.words = torch.nn.ModuleDict({"ä": Word()})

    def features(self, graph: Graph) -> torch.Tensor:
        found = self.soap_features(graph.vectors, graph.centers, graph.neighbors, graph.species)
        for _, word in self.words.items():
            found = word(found)
        return found

    broken("model", __init__=make, features=features)
    error = refuse(DRY_RUN)
    assert "the model is exported, and nothing can load it" in error


# ---- a model that was changed without a version


def larger(self, hypers, dataset_info):
    """As if the author had added a layer since."""
    SOUND.model_class.__init__(self, hypers, dataset_info)
    self.more = torch.nn.Linear(2, 2)


def loads_barely(cls, checkpoint, context):
    """As authors of metatrain load a state."""
    model = cls(checkpoint["model_hypers"], DatasetInfo.from_dict(checkpoint["dataset_info"]))
    model.load_state_dict(checkpoint["state"])
    return model


@pytest.mark.parametrize(
    "command",
    [
        "export model.ckpt -o other.pt",
        "eval model.ckpt eval.yaml",
        "train options.yaml --restart auto -r architecture.training.num_epochs=9",
        "train options.yaml -r architecture.training.finetune.read_from=model.ckpt",
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_a_structure_that_has_changed_is_told_with_both_versions(
    broken, finished, refuse, command, bare
):
    checkpoint = read_checkpoint("model.ckpt") | {"distribution_version": "0.0.9"}
    for path in [Path("model.ckpt"), *Path("outputs").rglob("model.ckpt")]:
        write_checkpoint(checkpoint, path)
    methods = {"load_checkpoint": classmethod(loads_barely)} if bare else {}
    broken("model", __init__=larger, **methods)
    error = refuse(command)
    assert "It was written by mt-soap-bpnn 0.0.9, and this is mt-soap-bpnn" in error
    assert "pip install 'mt-soap-bpnn==0.0.9' reads it" in error
    assert "changed without a new __checkpoint_version__" in error
    assert "more.weight" in error
    assert len(error) < 1200


def test_an_upgrade_that_loses_what_is_read_is_named(broken, finished, refuse):
    def upgrade_checkpoint(cls, checkpoint):
        return {key: value for key, value in checkpoint.items() if key != "dataset_info"}

    broken("model", upgrade_checkpoint=classmethod(upgrade_checkpoint))
    error = refuse("train options.yaml -r architecture.training.finetune.read_from=model.ckpt")
    assert "lacks 'dataset_info': upgrade_checkpoint of soap_bpnn has to give that" in error


def test_an_upgrade_that_fails_is_told_as_its_author_s(broken, finished, refuse):
    def upgrade_checkpoint(cls, checkpoint):
        raise KeyError("old_name")

    broken("model", upgrade_checkpoint=classmethod(upgrade_checkpoint))
    error = refuse("export model.ckpt -o other.pt")
    assert "upgrade_checkpoint of Broken failed: KeyError: 'old_name'" in error
    assert "this is mt-soap-bpnn" in error
