"""Floors are true: what the environments ``lowest`` install, and what siblings may import."""

import pytest

from distributions import ROOT, all_architectures
from floors import constraints, pins

USE = "packages/mt-painn/src/mt_painn/trainer.py"
IMPORT = "from mt_shared.options.hypers import brand_new\n"


def use_a_new_name(repository):
    """mt-shared gets a name after its release, and mt-painn imports it."""
    repository.release("mt-shared", "minor")
    hypers = "shared/src/mt_shared/options/hypers.py"
    repository.write(hypers, repository.read(hypers) + "\nbrand_new = 1\n")
    repository.write(USE, IMPORT + repository.read(USE))


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the tags are in git")
def test_every_floor_of_a_sibling_is_true_here():
    import check_floors

    wrong = [fault for each in check_floors.DISTRIBUTIONS for fault in check_floors.faults(each)]
    assert not wrong


def test_before_and_after_a_release_the_floors_are_true(repository):
    assert repository.run("check_floors").returncode == 0
    repository.release("mt-shared", "minor")
    done = repository.run("check_floors")
    assert done.returncode == 0, done.stdout


def test_a_newer_name_wants_a_higher_floor(repository):
    use_a_new_name(repository)
    done = repository.run("check_floors")
    assert done.returncode == 1
    assert f"{USE}:1 imports mt_shared.options.hypers.brand_new" in done.stdout
    assert "packages/mt-painn/pyproject.toml requires mt-shared>=0.1" in done.stdout
    assert "raise __version__ in shared to the next version" in done.stdout
    assert "mt_core" not in done.stdout


def test_a_newer_module_wants_a_higher_floor(repository):
    repository.release("mt-shared", "minor")
    repository.write("shared/src/mt_shared/brand_new.py", "ONE = 1\n")
    repository.write(USE, "import mt_shared.brand_new\n" + repository.read(USE))
    assert "imports mt_shared.brand_new" in repository.run("check_floors").stdout


def test_a_floor_that_is_raised_with_the_version_is_true(repository):
    use_a_new_name(repository)
    repository.write("shared/src/mt_shared/__about__.py", '__version__ = "0.1.1"\n')
    pyproject = "packages/mt-painn/pyproject.toml"
    repository.replace(pyproject, "mt-shared>=0.1,<0.2", "mt-shared>=0.1.1,<0.2")
    done = repository.run("check_floors")
    assert done.returncode == 0, done.stdout


def test_a_floor_of_a_version_that_never_was_is_found(repository):
    repository.release("mt-shared", "minor")
    pyproject = "packages/mt-painn/pyproject.toml"
    repository.replace(pyproject, "mt-shared>=0.1,<0.2", "mt-shared>=0.1.7,<0.2")
    done = repository.run("check_floors")
    assert done.returncode == 1
    assert "mt-shared>=0.1.7, which is neither released" in done.stdout


@pytest.mark.parametrize("architecture", all_architectures())
def test_the_pins_are_the_highest_floors(architecture, repository):
    lines = dict(line.split("==") for line in pins(all_architectures()[architecture]))
    assert lines["metatensor-torch"] == "0.10.5"
    assert not [name for name in lines if name.startswith("mt-")]


def test_of_several_floors_the_highest_counts(repository):
    pyproject = "packages/mt-painn/pyproject.toml"
    repository.replace(pyproject, '"torch>=2.6",', '"torch>=2.7",\n    "numpy>=2.2",')
    repository.replace("shared/pyproject.toml", '"tqdm>=4.66"', '"metatensor-torch>=0.10.6"')
    done = repository.run("floors", "painn", "--torch")
    expected = {"torch==2.7", "numpy==2.2", "metatensor-torch==0.10.6"}
    assert expected <= set(done.stdout.splitlines())
    assert "numpy==2.1" in repository.run("floors", "gap").stdout.splitlines()


def test_torch_is_the_one_of_the_constraints(repository):
    (torch,) = (str(each) for each in constraints(ROOT / "constraints.txt") if each.name == "torch")
    assert torch in repository.run("floors", "painn").stdout.splitlines()


def test_an_unknown_architecture_has_no_floors(repository):
    done = repository.run("floors", "pain")
    assert done.returncode == 1
    assert "no architecture 'pain'; known: " in done.stderr
