"""Checkpoints of a model whose parameters have got other names, and what is in a checkpoint."""

import copy
from typing import get_type_hints

import numpy as np
import pytest
import torch
from metatomic.torch import ModelMetadata

from mt_shared.contract import (
    BaseModelCheckpoint,
    DatasetInfo,
    EngineCheckpoint,
    EngineState,
    TargetInfo,
    read_checkpoint,
)
from mt_shared.data import Dataset, Structures, TargetLabels, offsets_from_counts
from mt_shared.errors import ArchitectureError, CheckpointError
from mt_shared.mlip import MLIPModel, MLIPTrainer
from mt_shared.model import rename_parameters
from mt_shared.options import engine_defaults

CUTOFF = 3.0
ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions",))
INFO = DatasetInfo("angstrom", (1, 8), {"energy": ENERGY})


class Old(MLIPModel):
    """Version 1 of a model: two layers and a charge of each type."""

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata()

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info, cutoff=CUTOFF)
        self.charges = torch.nn.Embedding(self.num_species, 4)
        self.mix = torch.nn.Linear(4, 4)
        self.out = torch.nn.Linear(4, 1)

    def energies(self, graph):
        stretch = self.cutoff - torch.linalg.vector_norm(graph.vectors, dim=1, keepdim=True)
        charges = self.charges(graph.species)
        x = charges.index_add(0, graph.centers, charges[graph.neighbors] * stretch**2)
        return self.out(torch.tanh(self.mix(x)))[:, 0]


class New(Old):
    """Version 2: the layers have other names, and come in another order."""

    __checkpoint_version__ = 2

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info)
        self.layers = torch.nn.ModuleDict({"out": self.out, "mix": self.mix})
        self.embedding = self.charges
        del self.mix, self.out, self.charges

    def energies(self, graph):
        stretch = self.cutoff - torch.linalg.vector_norm(graph.vectors, dim=1, keepdim=True)
        charges = self.embedding(graph.species)
        x = charges.index_add(0, graph.centers, charges[graph.neighbors] * stretch**2)
        return self.layers["out"](torch.tanh(self.layers["mix"](x)))[:, 0]

    @classmethod
    def checkpoint_upgrades(cls):
        return {1: lambda checkpoint: rename_parameters(checkpoint, NAMES)}


NAMES = {"mix": "layers.mix", "out": "layers.out", "charges.weight": "embedding.weight"}


class PlainTrainer(MLIPTrainer):
    __checkpoint_version__ = 1


def clusters():
    """Atoms at random, with labels at random."""
    generator = np.random.default_rng(0)
    counts = np.array([2, 3, 4, 3])
    structures = Structures(
        positions=generator.uniform(0, 3, (counts.sum(), 3)),
        types=generator.choice([1, 8], counts.sum()).astype(np.int32),
        cells=np.zeros((len(counts), 3, 3)),
        pbc=np.zeros((len(counts), 3), dtype=bool),
        offsets=offsets_from_counts(counts),
    )
    values = generator.normal(size=(len(counts), 1))
    gradients = {"positions": generator.normal(size=(counts.sum(), 3))}
    labels = {"energy": TargetLabels(values, gradients)}
    return [Dataset(structures, labels, np.arange(len(counts)), "random")]


def train(trainer, model, folder):
    folder.mkdir()
    device = [torch.device("cpu")]
    trainer.train(model, torch.float64, device, clusters(), clusters(), folder)
    trainer.save_checkpoint(model, folder / "model.ckpt")
    return read_checkpoint(folder / "model.ckpt")


def hypers(num_epochs):
    changed = {"batch_size": 2, "ema_decay": 0.9, "scheduler": {"type": "constant"}}
    wanted = engine_defaults() | changed | {"num_epochs": num_epochs}
    wanted["scheduler"] = engine_defaults()["scheduler"] | changed["scheduler"]
    return copy.deepcopy(wanted)


def go_on(model_class, checkpoint, folder):
    model = model_class.load_checkpoint(checkpoint, "restart").restart(INFO)
    return train(PlainTrainer.load_checkpoint(checkpoint, hypers(4), "restart"), model, folder)


def assert_equal(state, expected):
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(state[name], tensor), name


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A checkpoint of version 1, with averaged weights and a best state."""
    torch.manual_seed(0)
    model = Old({}, INFO)
    return train(PlainTrainer(hypers(2)), model, tmp_path_factory.mktemp("old") / "run")


def test_a_training_goes_on_under_new_names_and_in_another_order_to_the_last_bit(old, tmp_path):
    before = copy.deepcopy(old)
    upgraded = New.upgrade_checkpoint(copy.copy(old))
    assert old["state"].keys() == before["state"].keys(), "the old checkpoint was changed"
    assert list(upgraded["trainer"]["trained"]) != [
        name for name, _ in New({}, INFO).named_parameters()
    ]
    expected = go_on(Old, old, tmp_path / "old")
    found = go_on(New, upgraded, tmp_path / "new")
    again = rename_parameters(expected, NAMES)
    assert_equal(found["state"], again["state"])
    assert_equal(found["best_state"], again["best_state"])
    assert_equal(found["trainer"]["average"], again["trainer"]["average"])
    assert torch.equal(found["trainer"]["optimizer"]["mean"], again["trainer"]["optimizer"]["mean"])


def test_a_name_that_was_forgotten_stops_the_restart_and_says_how_to_rename(old, tmp_path):
    forgotten = rename_parameters(old, NAMES)
    forgotten["trainer"] = old["trainer"]
    with pytest.raises(CheckpointError, match=r"mt_shared\.model\.rename_parameters"):
        go_on(New, forgotten, tmp_path / "new")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"mixx": "layers"}, "'mixx', which .* does not have"),
        ({"mi": "layers"}, "'mi', which"),
        ({"mix.wieght": "a"}, r"did you mean 'mix\.weight'"),
        ({"mix": "out"}, "is there already"),
    ],
)
def test_a_name_that_is_not_there_or_taken_is_an_error(old, names, said):
    with pytest.raises(ArchitectureError, match=said):
        rename_parameters(old, names)


def test_the_longest_beginning_counts_and_names_may_change_places(old):
    found = rename_parameters(old, {"mix": "a", "mix.bias": "b", "out": "mix"})["state"]
    parameters = [name for name in found if not name.startswith("baselines")]
    assert parameters == ["charges.weight", "a.weight", "b", "mix.weight", "mix.bias"]


def test_a_layer_with_a_low_rank_update_is_renamed_by_its_weight():
    name = "mix.parametrizations.weight.original"
    state = {name: torch.zeros(1), "mix.bias": torch.zeros(1)}
    found = rename_parameters({"state": state, "best_state": None}, {"mix.weight": "a.weight"})
    assert list(found["state"]) == ["a.parametrizations.weight.original", "mix.bias"]


# ---- keys


def check_types(values, described):
    """Fail unless there are these keys, with values of the kinds that the class says."""
    hints = get_type_hints(described)
    assert values.keys() >= hints.keys(), hints.keys() - values.keys()
    for key, hint in hints.items():
        kinds = [getattr(each, "__origin__", each) for each in getattr(hint, "__args__", ())]
        origin = getattr(hint, "__origin__", None)
        expected = (origin,) if origin in (dict, list) else tuple(kinds) or (hint,)
        assert isinstance(values[key], expected), (key, expected)


def test_a_checkpoint_has_the_keys_that_are_described_and_no_others(old):
    check_types(old, EngineCheckpoint)
    described = EngineCheckpoint.__required_keys__ | BaseModelCheckpoint.__required_keys__
    assert old.keys() == described
    check_types(old["trainer"], EngineState)
    of_model = Old({}, INFO).get_checkpoint()
    check_types(of_model, BaseModelCheckpoint)
    assert of_model.keys() == BaseModelCheckpoint.__required_keys__


@pytest.mark.parametrize("key", ["type_groups", "state"])
def test_a_key_that_an_upgrade_has_dropped_is_named_with_its_writer(old, key):
    less = {name: value for name, value in old.items() if name != key}
    with pytest.raises(CheckpointError, match=f"lacks '{key}': get_checkpoint of Old has to"):
        Old.load_checkpoint(less, "export")
