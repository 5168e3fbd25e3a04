"""Who answers for what: the files that say so agree, and each architecture is known."""

import ast

import pytest

from distributions import DISTRIBUTIONS, ROOT
from stages import LIFECYCLE, stable, stages

ARCHITECTURES = {name: each for each in DISTRIBUTIONS for name in each.architectures}


def owners() -> dict[str, set[str]]:
    """Handles of each folder in CODEOWNERS, in the order of the file."""
    lines = (ROOT / ".github/CODEOWNERS").read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return {folder: set(handles) for folder, *handles in words}


def owners_of(folder: str) -> set[str]:
    """The handles of the last line that fits."""
    return [handles for name, handles in owners().items() if name in ("*", folder)][-1]


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


@pytest.mark.parametrize("name", sorted(set(stable()) & set(ARCHITECTURES)))
def test_the_maintainers_of_a_stable_architecture_own_its_folder(name):
    distribution = ARCHITECTURES[name]
    folder, people = f"/{distribution.path}/", maintainers(distribution)
    assert owners_of(folder) == people, (
        f"the line of the folder in .github/CODEOWNERS is: {folder} {' '.join(sorted(people))}"
    )


def test_every_owned_folder_is_there():
    folders = [folder for folder in owners() if folder != "*"]
    assert [folder for folder in folders if not (ROOT / folder.strip("/")).is_dir()] == []


def test_somebody_owns_the_rest():
    assert owners()["*"]


def test_the_manifest_names_every_architecture_of_this_repository_and_no_other():
    missing = sorted(set(ARCHITECTURES) - set(stages()))
    lines = [
        f"{name}:\n  stage: experimental\n  since: {ARCHITECTURES[name].version}\n"
        for name in missing
    ]
    manifest = LIFECYCLE.relative_to(ROOT)
    assert not missing, f"add to {manifest}, and nowhere else:\n{''.join(lines)}"
    gone = sorted(set(stages()) - set(ARCHITECTURES))
    assert not gone, f"strike off {manifest} what has no folder in packages/: {gone}"
