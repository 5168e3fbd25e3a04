"""Small real trainings: 40 structures of the shipped ethanol, a model of a few hundred numbers."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mt_core.architectures.installed import find_entry
from mt_core.cli import main
from mt_core.examples.copies import EXAMPLES

NUM_FRAMES = 40
LINES_PER_FRAME = 11

OPTIONS = """\
seed: 0
architecture:
  name: soap_bpnn
  model:
    soap: {max_radial: 2, max_angular: 1, cutoff: {radius: 3.0}}
    bpnn: {num_neurons_per_layer: 8}
  training: {batch_size: 8, num_epochs: 2, log_interval: 1, checkpoint_interval: 1}
training_set:
  systems: {read_from: ethanol.xyz, length_unit: angstrom}
  targets:
    energy: {unit: eV, forces: true}
validation_set: 0.2
test_set: 0.2
"""

EVAL = """\
systems: {read_from: ethanol.xyz, length_unit: angstrom}
targets:
  energy: {unit: eV, forces: true}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left on the terminal."""

    status: int
    out: str
    err: str


@pytest.fixture
def mt(capsys):
    """Run a command line of ``mt`` in this process, each argument of its own or all in one."""

    def run(*arguments: str) -> Outcome:
        words = arguments if len(arguments) > 1 else arguments[0].split()
        capsys.readouterr()
        status = main(list(words))
        shown = capsys.readouterr()
        return Outcome(status, shown.out, shown.err)

    return run


@pytest.fixture
def succeed(mt):
    """Run a command that must succeed, and give what it printed."""

    def run(*arguments: str) -> str:
        outcome = mt(*arguments)
        assert outcome.status == 0, f"{arguments} failed:\n{outcome.out}\n{outcome.err}"
        return outcome.out

    return run


@pytest.fixture
def refuse(mt):
    """Run a command that must end in an error for the user, and give the error."""

    def run(*arguments: str) -> str:
        outcome = mt(*arguments)
        assert outcome.status == 1, f"{arguments} was not refused:\n{outcome.out}"
        assert outcome.err.startswith("error: "), outcome.err
        assert "Traceback" not in outcome.out + outcome.err
        assert not list(Path().rglob("*.partial*")), "a half-written file was left"
        return outcome.err

    return run


@pytest.fixture(scope="session")
def ethanol_frames() -> list[list[str]]:
    """The lines of each of the first structures of the shipped ethanol."""
    lines = (EXAMPLES / "ethanol" / "ethanol.xyz").read_text().splitlines()
    starts = range(0, NUM_FRAMES * LINES_PER_FRAME, LINES_PER_FRAME)
    return [lines[start : start + LINES_PER_FRAME] for start in starts]


@pytest.fixture
def frames(ethanol_frames) -> list[list[str]]:
    """A copy of the structures, to be spoilt."""
    return [list(frame) for frame in ethanol_frames]


def write_frames(frames: list[list[str]], path: str | Path = "ethanol.xyz") -> None:
    """Write structures as an extended xyz file."""
    Path(path).write_text("".join(line + "\n" for frame in frames for line in frame))


@pytest.fixture(scope="session")
def write_xyz():
    """The function :func:`write_frames`: under importlib mode tests cannot import this file."""
    return write_frames


def fill(folder: Path, frames: list[list[str]]) -> None:
    """The data and the options of a small training."""
    write_frames(frames, folder / "ethanol.xyz")
    (folder / "options.yaml").write_text(OPTIONS)
    (folder / "eval.yaml").write_text(EVAL)


@pytest.fixture
def workspace(tmp_path, monkeypatch, ethanol_frames) -> Path:
    """A working folder with data and options."""
    fill(tmp_path, ethanol_frames)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory, ethanol_frames) -> Path:
    """A working folder in which one training has been; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    fill(folder, ethanol_frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "options.yaml"]) == 0
    return folder


@pytest.fixture
def finished(finished_once, tmp_path, monkeypatch) -> Path:
    """A copy, to be changed, of a working folder in which one training has been."""
    folder = tmp_path / "work"
    shutil.copytree(finished_once, folder)
    monkeypatch.chdir(folder)
    return folder


def lay_distribution(site: Path, name: str, entry_points: str) -> None:
    """Write what pip leaves of an installed distribution beside its packages."""
    info = site / f"{name.replace('-', '_')}-1.2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
    (info / "entry_points.txt").write_text(entry_points)


@pytest.fixture(scope="session")
def write_distribution():
    """The function :func:`lay_distribution`."""
    return lay_distribution


@pytest.fixture
def on_path(monkeypatch) -> Iterator[Callable[[Path], None]]:
    """Let Python find what lies in a folder; after the test nothing of it is left."""
    sites: list[str] = []

    def put(site: Path) -> None:
        monkeypatch.syspath_prepend(str(site))
        sites.append(f"{site}/")
        find_entry.cache_clear()

    yield put
    find_entry.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(tuple(sites)):
            del sys.modules[name]


def only_run() -> Path:
    """The folder of the one run in the working folder."""
    (folder,) = Path("outputs").glob("*/*")
    return folder


@pytest.fixture(scope="session")
def run_folder():
    """The function :func:`only_run`."""
    return only_run


@pytest.fixture(scope="session")
def newest_run():
    """Gives the folder of the newest run in the working folder."""
    from mt_core.training.run_folder import past_runs

    return lambda: past_runs()[0]
