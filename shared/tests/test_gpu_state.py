"""The random numbers of a GPU in a checkpoint: those of the training's own, wherever it goes on."""

from types import SimpleNamespace

import pytest
import torch

from mt_shared.engine.state import Training


@pytest.fixture
def gpus(monkeypatch):
    """The state of each GPU of a machine, by its number; on this one there may be none."""
    states = {0: torch.zeros(4, dtype=torch.uint8), 1: torch.ones(4, dtype=torch.uint8)}

    def put(state, device):
        if (device.index or 0) not in states:
            raise RuntimeError("invalid device ordinal")
        states[device.index or 0] = state

    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[device.index or 0])
    monkeypatch.setattr(torch.cuda, "set_rng_state", put)
    return states


def training_on(device: str) -> Training:
    part = SimpleNamespace(state=dict, load_state=lambda state: None)
    store = SimpleNamespace(vectors=SimpleNamespace(device=torch.device(device)))
    return Training(
        model=None, train=store, val=store, loss=None, metrics=[], optimizer=part, trained=[],
        schedule=part, average=None, seed=0,
    )  # fmt: skip


def saved_on(device: str) -> dict:
    state = training_on(device).state()
    # as a checkpoint has them
    return {**state, "sums": None, "loss": None}


@pytest.mark.parametrize("there", ["cuda", "cuda:0", "cuda:1"])
def test_a_training_takes_its_random_numbers_to_any_gpu(gpus, there):
    state = saved_on("cuda:1")
    assert [each.tolist() for each in state["random_cuda"]] == [[1, 1, 1, 1]]
    gpus[0] = gpus[1] = torch.full((4,), 7, dtype=torch.uint8)
    training_on(there).load_state(state, None)
    assert gpus[torch.device(there).index or 0].tolist() == [1, 1, 1, 1]


def test_where_there_is_one_gpu_less_it_goes_on(gpus):
    state = saved_on("cuda:1")
    # as checkpoints were: of every device of the machine
    older = {**state, "random_cuda": [gpus[0], gpus[1]]}
    del gpus[1]
    for each in (state, older):
        training_on("cuda:0").load_state(each, None)


def test_a_cpu_has_none(gpus):
    assert saved_on("cpu")["random_cuda"] == []
    training_on("cpu").load_state(saved_on("cuda:1"), None)
    assert gpus[0].tolist() == [0, 0, 0, 0]
