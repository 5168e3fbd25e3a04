"""The option ``threads``, and what ``mt`` sets before torch is loaded."""

import os
import subprocess
import sys

import pytest
import torch
from metatomic.torch import AtomisticModel

from mt_core import evaluate
from mt_core.options import parse_training
from mt_shared import threads
from mt_shared.contract import read_checkpoint
from mt_shared.engine import threads as trying
from mt_shared.errors import OptionsError

OPTIONS = {
    "architecture": {"name": "toy"},
    "training_set": "a.xyz",
    "validation_set": 0.1,
}
TRAIN = "train options.yaml -r final_eval=false"
AGAIN = f"{TRAIN} --restart auto -r architecture.training.num_epochs=3"


@pytest.fixture
def two_cpus(monkeypatch):
    """An environment that asks for no threads, on a machine on which two are best."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for module in (threads, trying):
        monkeypatch.setattr(module, "allowed_threads", lambda: 2)
    monkeypatch.setattr(trying, "best_number", lambda seconds: 2)


def now():
    """The threads of torch, and what the environment says of those of all libraries."""
    variables = (*threads._NUMBERS, *threads._OTHERS)
    return torch.get_num_threads(), {name: os.environ.get(name) for name in variables}


def threads_of(run):
    return read_checkpoint(run / "model.ckpt")["trainer"]["threads"]


@pytest.mark.parametrize(("written", "expected"), [({}, None), ({"threads": "auto"}, None)])
def test_by_default_the_number_is_found_out(written, expected):
    options = parse_training(OPTIONS | written, "options.yaml")
    assert options.threads is expected
    assert options.complete["threads"] == "auto"


def test_the_options_may_give_a_number():
    assert parse_training(OPTIONS | {"threads": 3}, "options.yaml").threads == 3


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "many", True, None, "2", 100_000])
def test_what_is_no_number_of_threads_is_refused(wrong):
    with pytest.raises(OptionsError, match=r"threads: found .*, expected a whole number"):
        parse_training(OPTIONS | {"threads": wrong}, "options.yaml")


def test_the_number_is_said_and_kept_for_restarts(workspace, succeed, newest_run, two_cpus):
    before = now()
    shown = succeed(TRAIN)
    assert "Training on cpu in float32, up to 2 threads" in shown
    assert "Training with 2 of 2 threads: a step takes " in shown
    assert threads_of(newest_run()) == 2
    shown = succeed(AGAIN)
    assert "Going on with 2 threads, as before" in shown
    shown = succeed(*AGAIN.split(), "-r", "threads=1")
    assert "changed: threads: 'auto' -> 1" in shown
    assert "1 thread, as options or environment ask for" in shown
    assert "going on with 1 thread, which is what options or environment ask for, instead" in shown
    assert threads_of(newest_run()) == 1
    # from Python, the program around us goes on as it was
    assert now() == before


def test_the_dry_run_tries_threads_as_the_training_does(workspace, succeed, two_cpus):
    assert "Training with 2 of 2 threads" in succeed("train", "options.yaml", "--dry-run")


def test_an_environment_that_cannot_be_obeyed_is_refused(finished, refuse, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    for command in ("train options.yaml", "eval model.pt eval.yaml"):
        assert "OMP_NUM_THREADS is 'many' in the environment" in refuse(command)


def test_an_evaluation_has_as_many_as_are_allowed(finished, monkeypatch, two_cpus):
    seen, plain = [], AtomisticModel.forward

    def forward(*arguments, **named):
        seen.append(torch.get_num_threads())
        return plain(*arguments, **named)

    monkeypatch.setattr(AtomisticModel, "forward", forward)
    before = now()
    evaluate("model.ckpt", "eval.yaml")
    assert set(seen) == {2}
    assert now() == before


@pytest.mark.parametrize("wish", [None, "ACTIVE"])
def test_how_threads_wait_is_set_before_openmp_is_loaded(tmp_path, wish):
    environment = {name: os.environ[name] for name in os.environ if name not in threads._WAITING}
    environment |= {"OMP_DISPLAY_ENV": "TRUE"} | ({"OMP_WAIT_POLICY": wish} if wish else {})
    command = [sys.executable, "-m", "mt_core", "export", "nothing.ckpt"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert "error: " in done.stderr
    if "OMP_WAIT_POLICY" not in done.stderr:
        pytest.skip("this OpenMP does not show its settings")
    assert f"OMP_WAIT_POLICY = '{wish or 'PASSIVE'}'" in done.stderr
