"""What an architecture's package has to bring along."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mt_conformance.subjects import Subject
from mt_shared.contract import ModelInterface, TrainerInterface, metadata_to_dict


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
    architecture = subject.architecture
    assert issubclass(architecture.model_class, ModelInterface), "__model__ is no ModelInterface"
    assert issubclass(architecture.trainer_class, TrainerInterface), (
        "__trainer__ is no TrainerInterface"
    )


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

    IF IT FAILS: make `devices` and `dtypes` there equal to `__supported_devices__` and
    `__supported_dtypes__`.
    """
    if subject.entry.capabilities is None:
        pytest.skip("not provided: capabilities.yaml; the suite runs with its defaults")
    model_class = subject.architecture.model_class
    dtypes = [str(dtype).removeprefix("torch.") for dtype in model_class.__supported_dtypes__]
    assert subject.capabilities["devices"] == list(model_class.__supported_devices__)
    assert subject.capabilities["dtypes"] == dtypes


def test_expected_failures_name_tests(subject: Subject) -> None:
    """Each expected failure is of a test that exists, and says why.

    IF IT FAILS: mend the name or write the reason in `EXPECTED_FAILURES` of `conformance.py`.
    """
    sources = [file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py")]
    known = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.M)}
    for name, reason in subject.expected_failures.items():
        assert name in known, f"'{name}' is no test of the suite"
        assert reason.strip(), f"'{name}' is expected to fail without a reason"
