"""How many threads there are, how they wait, and how a training finds out how many help."""

import logging
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from metatomic.torch import ModelMetadata

from mt_shared import threads
from mt_shared.contract import DatasetInfo, TargetInfo, read_checkpoint
from mt_shared.data import Dataset, Graph, Structures, TargetLabels, offsets_from_counts
from mt_shared.engine import Trainer
from mt_shared.engine import threads as trying
from mt_shared.engine.state import Position, Training
from mt_shared.errors import OptionsError
from mt_shared.mlip import MLIPModel
from mt_shared.threads import allowed_threads, limited_threads, wait_passively, wished_threads

VARIABLES = (*threads._NUMBERS, *threads._OTHERS)


@pytest.fixture
def silent(monkeypatch):
    """An environment that asks for nothing."""
    for name in (*VARIABLES, *threads._WAITING):
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    yield monkeypatch
    torch.set_num_threads(before)


# ---- what is allowed


def root_of(folder, groups, **files):
    """A file system in which a process is in these control groups, and the groups have limits."""
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def eight_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)


V1 = "5:memory:/job\n4:cpu,cpuacct:/job/step\n0::/job\n"
CONTAINERS = {
    "no groups": ("", {}, 8),
    "version 2 without a limit": ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
    "version 2": ("0::/\n", {"cpu.max": "300000 100000\n"}, 3),
    "half a CPU": ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
    "two and a half": ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
    "more than there are": ("0::/\n", {"cpu.max": "6400000 100000\n"}, 8),
    "a limit further up": (
        "0::/jobs/mine/step\n",
        {"jobs/cpu.max": "200000 100000\n", "jobs/mine/step/cpu.max": "max 100000\n"},
        2,
    ),
    "a path that only the host knows": ("0::/docker/f00\n", {"cpu.max": "100000 100000\n"}, 1),
    "version 1": (
        V1,
        {
            "cpu,cpuacct/job/cpu.cfs_quota_us": "400000\n",
            "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            "cpu,cpuacct/job/step/cpu.cfs_quota_us": "-1\n",
            "cpu,cpuacct/job/step/cpu.cfs_period_us": "100000\n",
        },
        4,
    ),
    "version 1 in a container": (
        V1,
        {"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "50000\n"},
        3,
    ),
    "both versions": (V1, {"unified/job/cpu.max": "500000 100000\n"}, 5),
    "what nobody can read": ("0::/\n", {"cpu.max": "many\n"}, 8),
}


@pytest.mark.parametrize(("groups", "files", "expected"), CONTAINERS.values(), ids=CONTAINERS)
def test_control_groups_limit_threads(tmp_path, eight_cpus, groups, files, expected):
    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    assert allowed_threads(root_of(tmp_path, groups, **files)) == expected


def test_affinity_limits_threads(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 7}, raising=False)
    assert allowed_threads(tmp_path) == 2


def test_systems_without_affinity_and_groups_have_all_cpus(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert allowed_threads(tmp_path) == 6


# ---- what the environment asks for


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"OMP_NUM_THREADS": ""}, None),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": " 3 "}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"MKL_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "2"}, 1),
        ({"OPENBLAS_NUM_THREADS": "2", "RAYON_NUM_THREADS": "2"}, None),
    ],
)
def test_the_environment_may_ask_for_a_number(silent, environment, expected):
    for name, value in environment.items():
        silent.setenv(name, value)
    assert wished_threads() == expected


@pytest.mark.parametrize("word", ["many", "0", "-1", "1.5", "100000", "auto"])
def test_what_is_no_number_of_threads_is_refused(silent, word):
    silent.setenv("OMP_NUM_THREADS", word)
    with pytest.raises(OptionsError, match=f"OMP_NUM_THREADS is '{word}' in the environment"):
        wished_threads()


def test_what_is_known_before_anything_was_tried(silent):
    silent.setattr(threads, "allowed_threads", lambda: 2)
    assert threads.describe_threads() == "up to 2 threads"
    silent.setenv("OMP_NUM_THREADS", "1")
    assert threads.describe_threads() == "1 thread, as options or environment ask for"
    silent.setenv("MKL_NUM_THREADS", "2")
    assert "(MKL too, whatever MKL_NUM_THREADS=2 says)" in threads.describe_threads()
    silent.setenv("OMP_NUM_THREADS", "5")
    assert "this process may use 2 of the CPUs" in threads.describe_threads()


# ---- what libraries are given


def given():
    return {name: os.environ.get(name) for name in VARIABLES}


def test_all_libraries_get_one_number_for_a_while(silent):
    silent.setattr(threads, "allowed_threads", lambda: 3)
    before, number = given(), torch.get_num_threads()
    with limited_threads():
        assert torch.get_num_threads() == 3
        assert os.environ["RAYON_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "3"
        # chance has nothing to do with the user's wish
        assert wished_threads() is None
    assert given() == before
    assert torch.get_num_threads() == number


def test_work_that_nobody_measures_has_few_threads_on_a_large_machine(silent):
    silent.setattr(threads, "allowed_threads", lambda: 64)
    with limited_threads():
        assert torch.get_num_threads() == threads.UNMEASURED


def test_the_options_win_over_the_environment(silent):
    silent.setenv("OMP_NUM_THREADS", "4")
    silent.setenv("RAYON_NUM_THREADS", "7")
    before = given()
    with limited_threads(2):
        assert set(given().values()) == {"2"}
        assert torch.get_num_threads() == wished_threads() == 2
    assert given() == before


def test_the_environment_wins_over_us(silent):
    silent.setenv("OMP_NUM_THREADS", "2")
    silent.setenv("MKL_NUM_THREADS", "1")
    silent.setenv("RAYON_NUM_THREADS", "7")
    with limited_threads():
        assert torch.get_num_threads() == 2
        assert os.environ["RAYON_NUM_THREADS"] == "7"
        assert os.environ["OPENBLAS_NUM_THREADS"] == "2"


def test_mkl_has_the_number_of_torch(silent):
    """Numbers that differ cost a new team of threads at each call of MKL."""
    code = (
        "from mt_shared.threads import limited_threads\n"
        "with limited_threads():\n"
        "    import torch; print(torch.__config__.parallel_info())"
    )
    silent.setenv("OMP_NUM_THREADS", "1")
    silent.setenv("MKL_NUM_THREADS", "2")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if "mkl_get_max_threads" not in said.stdout:
        pytest.skip("this torch has no MKL")
    assert "at::get_num_threads() : 1\n" in said.stdout
    assert "mkl_get_max_threads() : 1\n" in said.stdout


# ---- how threads wait


def test_threads_wait_passively(silent):
    silent.setattr(os, "environ", dict(os.environ))
    wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.parametrize("name", threads._WAITING)
def test_the_user_says_how_threads_wait(silent, name):
    silent.setattr(os, "environ", {name: "7"})
    wait_passively()
    assert os.environ == {name: "7"}


# ---- how many help


class Clock:
    """A clock that steps move, by what a step takes with the threads that torch has."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.now = 0.0
        self.steps = []

    def perf_counter(self):
        return self.now

    def step(self):
        self.steps.append(torch.get_num_threads())
        self.now += self.seconds[torch.get_num_threads()]


@pytest.mark.parametrize(
    ("seconds", "tried", "number"),
    [
        # a doubling halves the time, nearly
        ({1: 0.08, 2: 0.041, 4: 0.022}, [1, 2, 4], 4),
        # 6 are allowed, which is no power of two
        ({1: 0.08, 2: 0.041, 4: 0.022, 6: 0.016}, [1, 2, 4, 6], 6),
        # more are not tried where two are slower than one
        ({1: 0.010, 2: 0.012, 4: 0.001, 8: 0.001}, [1, 2], 1),
        # the least number that is nearly as fast
        ({1: 0.0105, 2: 0.010}, [1, 2], 1),
        ({1: 0.0120, 2: 0.010}, [1, 2], 2),
        ({1: 0.0120, 2: 0.0085, 4: 0.0080, 8: 0.0079}, [1, 2, 4, 8], 2),
        # a step of seconds
        ({1: 9.0, 2: 5.0, 4: 6.0}, [1, 2, 4], 2),
    ],
)
def test_the_least_number_that_is_nearly_as_fast_is_taken(silent, seconds, tried, number):
    clock = Clock(seconds)
    torch.set_num_threads(1)
    silent.setattr(trying, "time", clock)
    found = trying.seconds_by_threads(clock.step, max(seconds))
    assert list(found) == tried
    assert trying.best_number(found) == number


@pytest.mark.parametrize("milliseconds", [0.1, 5, 20])
def test_what_is_quick_is_tried_in_a_third_of_a_second(silent, milliseconds):
    clock = Clock(dict.fromkeys(range(1, 65), milliseconds / 1e3))
    torch.set_num_threads(1)
    silent.setattr(trying, "time", clock)
    trying.seconds_by_threads(clock.step, 2)
    assert clock.now <= 0.3
    # twice, since something else may have run the first time
    assert clock.steps.count(2) >= 2 and clock.steps[-1] == 2


def test_what_takes_long_is_tried_once(silent):
    clock = Clock({1: 30.0, 2: 20.0, 4: 15.0})
    torch.set_num_threads(1)
    silent.setattr(trying, "time", clock)
    trying.seconds_by_threads(clock.step, 4)
    assert clock.steps == [1, 1, 2, 4]


# ---- in a training


class Restless(MLIPModel):
    """A model that a step changes by more than its gradients: statistics, and random numbers."""

    __checkpoint_version__ = 1
    __supported_devices__: ClassVar[list[str]] = ["cpu"]
    __supported_dtypes__: ClassVar[list[torch.dtype]] = [torch.float64]
    __default_metadata__ = ModelMetadata()

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info, cutoff=3.0)
        self.norm = torch.nn.BatchNorm1d(4)
        self.drop = torch.nn.Dropout(0.2)
        self.last = torch.nn.Linear(4, 1)

    def energies(self, graph: Graph):
        distances = torch.linalg.vector_norm(graph.vectors, dim=1, keepdim=True)
        radial = torch.exp(-((distances - torch.arange(4)) ** 2))
        sums = graph.vectors.new_zeros((len(graph.species), 4))
        sums = sums.index_add(0, graph.centers, radial)
        return self.last(self.drop(torch.tanh(self.norm(sums))))[:, 0]


def data(num_structures=12):
    generator = np.random.default_rng(0)
    counts = generator.integers(2, 5, num_structures)
    num_atoms = int(counts.sum())
    structures = Structures(
        positions=generator.uniform(0, 3, (num_atoms, 3)),
        types=np.ones(num_atoms, dtype=np.int32),
        cells=np.zeros((num_structures, 3, 3)),
        pbc=np.zeros((num_structures, 3), dtype=bool),
        offsets=offsets_from_counts(counts),
    )
    gradients = {"positions": generator.normal(size=(num_atoms, 3))}
    labels = TargetLabels(generator.normal(size=(num_structures, 1)), gradients)
    return Dataset(structures, {"energy": labels}, np.arange(num_structures), "random.xyz")


def train(folder, checkpoint=None, num_epochs=2):
    """What a training has saved at its end."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    target = TargetInfo(quantity="energy", unit="eV", gradients=("positions",))
    hypers = {"num_epochs": num_epochs, "batch_size": 4, "learning_rate": 1e-2}
    if checkpoint is None:
        model = Restless({}, DatasetInfo("angstrom", (1,), {"energy": target}))
        trainer = Trainer(hypers)
    else:
        model = Restless.load_checkpoint(checkpoint, "restart")
        trainer = Trainer.load_checkpoint(checkpoint, hypers, "restart")
    trainer.train(model, torch.float64, [torch.device("cpu")], [data()], [data()], folder)
    trainer.save_checkpoint(model, folder / "model.ckpt")
    return read_checkpoint(folder / "model.ckpt")


@pytest.fixture
def allowed(silent, caplog):
    """Sets how many threads there are; the number that is found best is one, whatever it is."""
    caplog.set_level(logging.INFO, "mt.train")

    def set_number(number, best=1):
        silent.setattr(trying, "allowed_threads", lambda: number)
        silent.setattr(trying, "best_number", lambda seconds: best)

    return set_number


def test_a_trial_changes_nothing(silent, allowed, tmp_path, caplog):
    silent.setenv("OMP_NUM_THREADS", "1")
    untried = train(tmp_path / "untried")
    assert not caplog.records or "a step takes" not in caplog.text
    silent.delenv("OMP_NUM_THREADS")
    allowed(2)
    tried = train(tmp_path / "tried")
    assert "Training with 1 of 2 threads: a step takes" in caplog.text
    for name in ("state", "best_state"):
        for key, value in untried[name].items():
            assert torch.equal(value, tried[name][key]), key
    assert torch.equal(untried["trainer"]["random"], tried["trainer"]["random"])
    assert untried["trainer"]["history"] == tried["trainer"]["history"]


def test_a_restart_has_the_threads_of_before(allowed, tmp_path, caplog):
    allowed(2, best=2)
    checkpoint = train(tmp_path / "first")
    assert checkpoint["trainer"]["threads"] == 2
    allowed(8)
    caplog.clear()
    again = train(tmp_path / "second", checkpoint, num_epochs=3)
    assert again["trainer"]["threads"] == torch.get_num_threads() == 2
    assert "Going on with 2 threads, as before" in caplog.text
    assert "a step takes" not in caplog.text


def test_a_restart_where_fewer_are_allowed_says_so(allowed, tmp_path, caplog):
    allowed(4, best=4)
    checkpoint = train(tmp_path / "first")
    allowed(2)
    again = train(tmp_path / "second", checkpoint, num_epochs=3)
    assert again["trainer"]["threads"] == torch.get_num_threads() == 2
    assert "going on with 2 threads, which is what this process may use, instead of 4" in (
        caplog.text
    )


def test_a_restart_obeys_the_environment_and_says_so(silent, allowed, tmp_path, caplog):
    allowed(4, best=2)
    checkpoint = train(tmp_path / "first")
    silent.setenv("OMP_NUM_THREADS", "1")
    again = train(tmp_path / "second", checkpoint, num_epochs=3)
    assert again["trainer"]["threads"] == torch.get_num_threads() == 1
    assert "options or environment ask for, instead of 2" in caplog.text


def test_a_checkpoint_from_before_the_threads_were_in_it(allowed, tmp_path, caplog):
    allowed(2)
    checkpoint = train(tmp_path / "first")
    del checkpoint["trainer"]["threads"]
    again = train(tmp_path / "second", checkpoint, num_epochs=3)
    assert again["trainer"]["threads"] == 1


def test_one_cpu_needs_no_trial(allowed, tmp_path, caplog):
    allowed(1)
    train(tmp_path / "run")
    assert "a step takes" not in caplog.text


def test_torch_without_openmp_takes_its_number_as_it_is(silent, allowed, tmp_path, caplog):
    allowed(8)
    silent.setattr(torch.backends.openmp, "is_available", lambda: False)
    torch.set_num_threads(1)
    assert train(tmp_path / "run")["trainer"]["threads"] == 1
    assert "a step takes" not in caplog.text


def test_on_a_gpu_nothing_is_tried():
    store = SimpleNamespace(vectors=SimpleNamespace(device=torch.device("cuda")))
    run = SimpleNamespace(train=store, threads=None)
    trying.settle_threads(run, None, [])
    assert run.threads is None


# ---- random numbers of a step


def drawn(seed, epoch, step):
    run = SimpleNamespace(seed=seed, position=Position(epoch))
    return tuple(torch.rand(3, generator=Training.random_of_step(run, step)).tolist())


def test_a_restart_draws_the_numbers_of_the_step_again():
    assert drawn(5, 3, 7) == drawn(5, 3, 7)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # these had the same once: two epochs were 7,919 steps apart, and two seeds one step
        ((0, 0, 7919), (0, 1, 0)),
        ((0, 2, 5), (0, 1, 7924)),
        ((1, 0, 0), (0, 0, 1)),
        ((7919, 0, 0), (0, 1, 0)),
        ((2**63, 0, 0), (0, 0, 0)),
    ],
)
def test_no_two_steps_draw_the_same_numbers(one, other):
    assert drawn(*one) != drawn(*other)


def test_many_epochs_of_many_steps_share_no_numbers():
    many = [(epoch, step) for epoch in range(4) for step in range(8000)]
    assert len({drawn(0, *each) for each in many[::7]}) == len(many[::7])
