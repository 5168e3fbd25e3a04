"""Who answers for what: the files that say so agree, and each architecture is known."""

import ast

import pytest

from distributions import DISTRIBUTIONS, ROOT
from stages import stages

ARCHITECTURES = {name: each for each in DISTRIBUTIONS for name in each.architectures}


def owners() -> dict[str, set[str]]:
    """Handles of each folder in CODEOWNERS."""
    lines = (ROOT / ".github/CODEOWNERS").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return {folder: set(handles) for folder, *handles in words}


def maintainers(distribution) -> set[str]:
    """The handles in its ``__maintainers__``, read without importing it."""
    tree = ast.parse((distribution.source / "__init__.py").read_text(encoding="utf-8"))
    values = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    value = values["__maintainers__"]
    people = ast.literal_eval(values[value.id] if isinstance(value, ast.Name) else value)
    return {handle for _, handle in people}


@pytest.mark.parametrize("distribution", ARCHITECTURES.values(), ids=lambda each: each.name)
def test_the_maintainers_of_an_architecture_own_its_folder(distribution):
    folder = f"/{distribution.path}/"
    assert owners().get(folder) == maintainers(distribution), (
        f"the line of {folder} in .github/CODEOWNERS is {' '.join(maintainers(distribution))}"
    )


def test_every_owned_folder_is_there():
    folders = [folder for folder in owners() if folder != "*"]
    assert [folder for folder in folders if not (ROOT / folder.strip("/")).is_dir()] == []


def test_somebody_owns_the_rest():
    assert owners()["*"]


def test_the_manifest_names_every_architecture_of_this_repository_and_no_other():
    assert set(stages()) == set(ARCHITECTURES), (
        "mt_core/architectures/lifecycle.yaml and the folders of packages/ disagree"
    )
