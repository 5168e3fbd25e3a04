"""What an architecture's package has to bring along."""

import json
import re
from importlib import import_module
from importlib.metadata import metadata
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import pytest

from mt_conformance.inputs import SharedFolders, Subject
from mt_conformance.providing import OPTIONAL, not_provided
from mt_conformance.runs import mt
from mt_shared.contract import ModelInterface, TrainerInterface, metadata_to_dict
from mt_shared.registry import CAPABILITIES


def test_package_is_sound(subject: Subject) -> None:
    """The registry finds the package, its data files, and reads them.

    IF IT FAILS: the message says which file or entry is wrong; `mt list` shows the same.
    """
    assert subject.entry.error is None, subject.entry.error


def test_package_loads_by_the_contract(subject: Subject) -> None:
    """`__init__.py` exposes a model and a trainer of the contract's classes.

    IF IT FAILS: derive the classes of `__model__` and `__trainer__` from
    `mt_shared.contract.ModelInterface` and `TrainerInterface`, or from the shared bases.
    """
    trainer_class = subject.architecture.trainer_class
    assert issubclass(trainer_class, TrainerInterface), "__trainer__ is no TrainerInterface"
    # as the package has it: what is loaded may be an adapter around it
    model_class = import_module(subject.entry.module).__model__
    assert issubclass(model_class, ModelInterface), "__model__ is no ModelInterface"


def test_version_is_that_of_the_distribution(subject: Subject) -> None:
    """`__about__.py` holds the version of the distribution.

    IF IT FAILS: write `__version__` in `__about__.py`, and let `pyproject.toml` read it from there
    (`dynamic = ["version"]`). After a new version, make an editable installation again.
    """
    version = _version_in(subject)
    assert version == subject.entry.version, (
        f"__about__.py says {version}, the metadata of {subject.entry.distribution} say "
        f"{subject.entry.version}"
    )


def _version_in(subject: Subject) -> str:
    spec = find_spec(f"{subject.entry.module}.__about__")
    assert spec and spec.loader, f"there is no __about__.py in {subject.entry.folder}"
    about = module_from_spec(spec)
    spec.loader.exec_module(about)
    assert hasattr(about, "__version__"), "there is no __version__ in __about__.py"
    return str(about.__version__)


def test_readme_is_in_the_distribution(subject: Subject) -> None:
    """The metadata carry a summary and a README: what the package is for, and why.

    IF IT FAILS: name `readme` and `description` in `pyproject.toml`, and install the package again.
    """
    # a header, or the body of the metadata file
    found: Any = metadata(subject.entry.distribution)
    readme = found["Description"] or found.get_payload()
    name = subject.entry.distribution
    assert readme and readme.strip(), f"{name} has no README in its metadata"
    assert found["Summary"], f"{name} has no description in its metadata"


@pytest.fixture(scope="session")
def stage(subject: Subject, shared_folders: SharedFolders) -> str:
    """What the curators say of the architecture: ``third-party`` where they say nothing."""

    def make(folder: Path) -> None:
        text = mt("list", "--json", folder=folder).check().output
        (folder / "list.json").write_text(text, encoding="utf-8")

    folder = shared_folders.get(f"{subject.name}-list", make)
    listed = json.loads((folder / "list.json").read_text(encoding="utf-8"))
    stages = {row["name"]: row["stage"] for row in listed}
    return str(stages[subject.name])


@pytest.mark.parametrize("file", OPTIONAL)
def test_optional_files_are_provided(subject: Subject, stage: str, file: str) -> None:
    """A package brings these along; only one that is called stable has to.

    IF IT FAILS: write the file, by the pattern of an architecture of the project (`mt new`), or let
    the life cycle say that the architecture is experimental.
    """
    folder = subject.entry.folder
    if folder is not None and (folder / file).exists():
        return
    if stage != "stable":
        not_provided(file, subject.name)
    raise AssertionError(f"{subject.name} is called stable, and has no {file}: {OPTIONAL[file]}")


def test_conformance_file_is_sound(subject: Subject) -> None:
    """`conformance.py` can be imported, and names tolerances that exist.

    IF IT FAILS: mend it; until then all other tests have run with the default hypers.
    """
    assert subject.fault is None, f"conformance.py cannot be used: {subject.fault}"


def test_people_are_named(subject: Subject) -> None:
    """`__authors__` and `__maintainers__` name at least one person each.

    IF IT FAILS: write `[("Name <mail>", "@handle")]` in `__init__.py`.
    """
    for attribute in ("authors", "maintainers"):
        people = getattr(subject.architecture, attribute)
        assert people, f"__{attribute}__ is empty"
        for person, handle in people:
            assert re.fullmatch(r"[^<>]+ <[^<>@\s]+@[^<>\s]+>", person), (
                f"__{attribute}__ names '{person}'; expected 'Name <mail>'"
            )
            assert re.fullmatch(r"@[\w-]+", handle), f"'{handle}' is no handle such as '@name'"


def test_checkpoint_versions_are_counted(subject: Subject) -> None:
    """Model and trainer have a `__checkpoint_version__`, an integer from 1 on.

    IF IT FAILS: add `__checkpoint_version__ = 1` to the class.
    """
    for part in (subject.architecture.model_class, subject.architecture.trainer_class):
        version = getattr(part, "__checkpoint_version__", None)
        assert type(version) is int, f"{part.__name__}.__checkpoint_version__ is {version!r}"
        assert version >= 1, f"{part.__name__}.__checkpoint_version__ is {version}; expected >= 1"


def test_references_are_given(subject: Subject) -> None:
    """`__default_metadata__` has references for the method and for this implementation.

    IF IT FAILS: give `ModelMetadata(references={"architecture": [...], "implementation": [...]})`.
    """
    metadata = metadata_to_dict(subject.architecture.model_class.__default_metadata__)
    for section in ("architecture", "implementation"):
        assert metadata["references"].get(section), f"no references under '{section}'"


def test_capabilities_agree_with_the_model(subject: Subject) -> None:
    """`capabilities.yaml` names the devices and dtypes of the model class, in the same order.

    IF IT FAILS: make them equal to `__supported_devices__` and `__supported_dtypes__`.
    """
    if subject.entry.capabilities is None:
        not_provided(CAPABILITIES, subject.name)
    model_class = subject.architecture.model_class
    dtypes = [str(dtype).removeprefix("torch.") for dtype in model_class.__supported_dtypes__]
    of_class = {"devices": list(model_class.__supported_devices__), "dtypes": dtypes}
    for key, expected in of_class.items():
        found = subject.capabilities[key]
        assert found == expected, f"{CAPABILITIES} names the {key} {found}, the class {expected}"


def test_expected_failures_name_tests(subject: Subject, stage: str) -> None:
    """Each expected failure is of a test that exists, and says why; what is stable expects none.

    IF IT FAILS: mend the name or write the reason in `EXPECTED_FAILURES` of `conformance.py`; or
    mend what fails, or let the life cycle say that the architecture is experimental.
    """
    sources = [file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py")]
    known = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.M)}
    for name, reason in subject.expected_failures.items():
        assert name in known, f"'{name}' is no test of the suite"
        assert reason.strip(), f"'{name}' is expected to fail without a reason"
    expected = sorted(subject.expected_failures)
    assert stage != "stable" or not expected, (
        f"{subject.name} is called stable, and expects failures of {', '.join(expected)}"
    )
