"""Copies of the shipped examples."""

import pytest

from mt_core.cli import main
from mt_core.examples import copies as example
from mt_shared.errors import UserError


@pytest.fixture
def examples(tmp_path):
    folder = tmp_path / "examples"
    (folder / "water").mkdir(parents=True)
    (folder / "water" / "options.yaml").write_text("a: 1\n")
    (folder / "water" / "water.xyz").write_text("0\n\n")
    return folder


def test_all_files_are_copied_into_a_new_folder(examples, tmp_path):
    target = tmp_path / "new" / "folder"
    copies = example.copy("water", target, examples)
    assert sorted(copies) == [target / "options.yaml", target / "water.xyz"]
    assert (target / "options.yaml").read_text() == "a: 1\n"


def test_a_file_that_is_there_is_kept_and_nothing_is_copied(examples, tmp_path):
    (tmp_path / "water.xyz").write_text("mine")
    with pytest.raises(UserError, match=r"water\.xyz.*another folder"):
        example.copy("water", tmp_path, examples)
    assert (tmp_path / "water.xyz").read_text() == "mine"
    assert not (tmp_path / "options.yaml").exists()


def test_a_readme_takes_the_name_of_the_example_and_no_one_s_place(examples, tmp_path):
    (examples / "water" / "README.md").write_text("# Water\n")
    (tmp_path / "README.md").write_text("mine")
    example.copy("water", tmp_path, examples)
    assert (tmp_path / "water.md").read_text() == "# Water\n"
    assert (tmp_path / "README.md").read_text() == "mine"


def test_an_unknown_example_gets_the_nearest_and_the_list(examples, tmp_path):
    with pytest.raises(UserError, match=r"did you mean 'water'.*there are: water"):
        example.copy("watr", tmp_path, examples)


def test_the_shipped_ethanol_is_listed_and_copied(tmp_path, capsys):
    assert main(["example"]) == 0
    assert "ethanol" in capsys.readouterr().out.split()
    assert main(["example", "ethanol", str(tmp_path)]) == 0
    copied = {path.name for path in tmp_path.iterdir()}
    assert {"options.yaml", "eval.yaml"} <= copied
    assert any(name.endswith(".xyz") for name in copied)
