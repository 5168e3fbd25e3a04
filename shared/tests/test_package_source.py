"""What is read off the source of an architecture without importing it."""

import pytest

from mt_shared.errors import ArchitectureError
from mt_shared.registry import read_people, read_references

MODEL = """
class Helper:
    __default_metadata__ = Metadata(references={"architecture": ["wrong"]})

class Network(Base):
    __default_metadata__: Metadata = Metadata(
        name="toy", references={"architecture": ["a", "b"], "implementation": ["c"]}
    )
"""
REFERENCES = {"architecture": ["a", "b"], "implementation": ["c"]}


@pytest.fixture
def package(tmp_path):
    """Writes the files of a package."""

    def write(**files: str):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    "init",
    [
        "from toy.model import Network as __model__",
        "from .model import Network as __model__",
        "from toy.model import Network\n__model__ = Network",
    ],
)
def test_references_are_those_of_the_class_that_is_the_model(package, init):
    assert read_references(package(__init__=init, model=MODEL)) == REFERENCES


def test_the_model_may_be_in_the_init_file(package):
    init = MODEL.replace("class Network", "class __model__")
    assert read_references(package(__init__=init)) == REFERENCES


@pytest.mark.parametrize(
    "value",
    ["Metadata()", "Metadata(references=REFERENCES)", "METADATA", "Metadata(references=['a'])"],
)
def test_references_that_are_not_written_out_are_none(package, value):
    model = f"class Network:\n    __default_metadata__ = {value}\n"
    init = "from toy.model import Network as __model__"
    assert read_references(package(__init__=init, model=model)) == {}


def test_without_a_model_there_are_no_references(package):
    assert read_references(package(__init__="", model=MODEL)) == {}


def test_the_last_assignment_of_people_counts(package):
    init = "__authors__ = [('A', '@a')]\n__authors__ = [('B', '@b')]\n"
    assert read_people(package(__init__=init), "__authors__") == (("B", "@b"),)


def test_a_file_that_is_not_python_is_named(package):
    folder = package(__init__="from toy.model import Network as __model__", model="class :")
    with pytest.raises(ArchitectureError, match=r"model\.py, line 1 is not Python"):
        read_references(folder)
