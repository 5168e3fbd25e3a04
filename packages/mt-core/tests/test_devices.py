"""Which device a training gets, on machines that this one is not."""

import pytest
import torch

from mt_core.loading import choose_device
from mt_shared.errors import OptionsError


class OfBoth:
    """A model that runs on both kinds."""

    __supported_devices__ = ("cuda", "cpu")


@pytest.fixture
def gpus(monkeypatch):
    """Make this a machine with so many."""

    def put(number):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)

    return put


@pytest.mark.parametrize("wish", ["cuda:1", "gpu:1", "cuda:7"])
def test_a_gpu_that_is_not_there_is_refused_by_its_number(gpus, wish):
    gpus(1)
    with pytest.raises(OptionsError, match=rf"device is '{wish}'.*cuda:0 alone.*device: cuda"):
        choose_device(wish, OfBoth)


@pytest.mark.parametrize("wish", ["cuda", "gpu", "cuda:0", "cuda:1", "gpu:1"])
def test_one_that_is_there_is_taken(gpus, wish):
    gpus(2)
    assert str(choose_device(wish, OfBoth)) == wish.replace("gpu", "cuda")


def test_without_any_a_cpu_is_taken_unless_one_is_named(gpus):
    gpus(0)
    assert choose_device(None, OfBoth).type == "cpu"
    with pytest.raises(OptionsError, match="torch sees none"):
        choose_device("cuda:1", OfBoth)


def test_a_restart_on_a_machine_without_that_gpu_is_told_before_data_are_read(
    finished, refuse, gpus, run_folder
):
    gpus(1)
    options = run_folder() / "options_restart.yaml"
    options.write_text(options.read_text().replace("device: null", "device: cuda:1"))
    error = refuse("train", "options.yaml", "--restart", "auto", "-r", "device=cuda:1")
    assert "device is 'cuda:1', but this machine has cuda:0 alone" in error
    assert "--allow-changes" in error
