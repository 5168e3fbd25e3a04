"""Which architectures, which tests of them, and what the tests share."""

import os
from pathlib import Path

import pytest
import torch
from metatomic.torch import AtomisticModel

from mt_conformance.inputs import (
    Examples,
    LabelledTarget,
    Model,
    SharedFolders,
    Subject,
    new_model,
    shared_root,
    subject_of,
)
from mt_conformance.providing import not_provided
from mt_conformance.quick import QUICK, is_quick
from mt_conformance.regression import FOLDER, kept_checkpoints
from mt_conformance.runs import Predictor, Run, Runs, exported_predictor, predictor_of
from mt_shared.registry import installed

HERE = Path(__file__).parent
# torch advises against TorchScript since 2.9, and it is what metatomic's engines run
TORCHSCRIPT_ADVICE = "ignore:`torch.jit.*` is deprecated:DeprecationWarning"


def pytest_configure(config: pytest.Config) -> None:
    # of the trainers in this process, and of all commands that the tests run: the workers of pytest
    # are the parallel part
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "subject" in metafunc.fixturenames:
        names = metafunc.config.getoption("--architecture") or sorted(installed())
        metafunc.parametrize("subject", names, indirect=True, scope="session")


def pytest_itemcollected(item: pytest.Item) -> None:
    # here and not in pytest.ini: the suite runs beside other tests, with settings of theirs
    item.add_marker(pytest.mark.filterwarnings("error", TORCHSCRIPT_ADVICE))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unfit = []
    quick = config.getoption("--conformance-quick")
    for item in items:
        if HERE not in item.path.parents or not isinstance(item, pytest.Function):
            continue
        subject = subject_of(item.callspec.params["subject"])
        left_out = quick and not is_quick(item.path.name, item.originalname)
        if left_out or not _fits(item, subject):
            unfit.append(item)
        # what the architecture says to fail must fail, and for as long as it says so
        reason = subject.expected_failures.get(item.originalname)
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    config.hook.pytest_deselected(items=unfit)
    fit = [item for item in items if item not in unfit]
    # the longest first, so that workers end together; in one process, what explains most failures.
    # In place: pytest keeps its list
    items[:] = sorted(fit, key=place_in_quick if quick else place)


def place(item: pytest.Item) -> bool:
    """By this the tests of the whole suite are sorted."""
    return item.get_closest_marker("slow") is None


def place_in_quick(item: pytest.Item) -> int:
    """By this the tests of the quick tier are sorted; others, of other suites, come last."""
    return [*QUICK, item.path.name].index(item.path.name)


def _fits(item: pytest.Item, subject: Subject) -> bool:
    """Whether the architecture has what the test needs."""
    abilities = [ability for mark in item.iter_markers("needs") for ability in mark.args]
    options = [name for mark in item.iter_markers("needs_option") for name in mark.args]
    return (
        all(ability(subject.capabilities) for ability in abilities)
        and subject.model_options.issuperset(options)
        and (not item.get_closest_marker("needs_shared_trainer") or subject.uses_shared_trainer)
    )


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest) -> Subject:
    """The architecture under test."""
    return subject_of(request.param)


@pytest.fixture(scope="session")
def main(subject: Subject) -> LabelledTarget:
    """The target that most tests are about."""
    return subject.main


@pytest.fixture(scope="session")
def same(subject: Subject) -> float:
    """How closely the same physics, summed up in another order, has to agree."""
    return subject.tolerances.same


@pytest.fixture(scope="session")
def shared_folders(tmp_path_factory: pytest.TempPathFactory) -> SharedFolders:
    """Folders that all workers see."""
    return SharedFolders(shared_root(tmp_path_factory.getbasetemp()))


@pytest.fixture(scope="session")
def examples() -> Examples:
    """The structures of the suite."""
    return Examples()


@pytest.fixture(scope="session")
def runs(subject: Subject, examples: Examples, shared_folders: SharedFolders) -> Runs:
    """Trainings that several tests look at."""
    return Runs(subject, examples, shared_folders)


@pytest.fixture(scope="session")
def model(subject: Subject) -> Model:
    """A model with random weights, not to be changed."""
    return new_model(subject)


@pytest.fixture(scope="session")
def exported_model(model: Model, tmp_path_factory: pytest.TempPathFactory) -> AtomisticModel:
    """The same model, exported to a file and loaded as an engine does."""
    run = Run(tmp_path_factory.mktemp("exported"))
    model.export().save(str(run.model), collect_extensions=str(run.extensions))
    return run.exported_model()


@pytest.fixture(scope="session")
def exported(exported_model: AtomisticModel) -> Predictor:
    """The exported model, ready to predict."""
    return exported_predictor(exported_model)


@pytest.fixture(scope="session", params=["module", "exported"])
def predictor(request: pytest.FixtureRequest, model: Model) -> Predictor:
    """The model as its class gives it, and as an engine gets it."""
    if request.param == "module":
        return predictor_of(model)
    exported: Predictor = request.getfixturevalue("exported")
    return exported


@pytest.fixture
def kept(subject: Subject) -> dict[str, Path]:
    """The kept checkpoints by their names without ending, ``v1`` for version 1 of the model."""
    files = kept_checkpoints(subject)
    if not files:
        not_provided(FOLDER, subject.name)
    return files
