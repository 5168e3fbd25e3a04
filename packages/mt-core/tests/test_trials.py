"""What a dry run tries besides a step: checkpoints that come back, and a model that can be called.

Each fault is one of an architecture's author, who is told the method and the key.
"""

import sys
from abc import abstractmethod
from pathlib import Path

import pytest
import torch

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
