"""A change under a src/ comes with a fragment; what a change concerns is tested."""

import json
import re

import pytest

from changed_architectures import concerned
from distributions import DISTRIBUTIONS, all_architectures

ALL = sorted(all_architectures())


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda each: each.name)
def test_towncrier_knows_every_fragment(distribution):
    name = re.compile(r"(\+[a-z0-9.-]+|\d+)\.(added|changed|fixed|removed)\.md")
    files = (distribution.folder / "changes").glob("*")
    wrong = [file.name for file in files if not name.fullmatch(file.name)]
    assert not wrong, "expected +some-word.added.md or 12.fixed.md; CONTRIBUTING.md says more"


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda each: each.name)
def test_a_fragment_says_something(distribution):
    assert all(file.read_text(encoding="utf-8").strip() for file in distribution.fragments)


def test_a_changed_source_without_a_fragment_is_found(repository):
    repository.write("packages/mt-painn/src/mt_painn/new.py", "NEW = 1\n")
    repository.commit()
    done = repository.run("check_changes", "--base", "HEAD~1")
    assert done.returncode == 1
    assert "mt-painn: packages/mt-painn/src/mt_painn/new.py changed" in done.stdout
    assert "packages/mt-painn/changes/+some-word" in done.stdout
    assert "mt-core" not in done.stdout


def test_a_fragment_of_another_distribution_does_not_count(repository):
    repository.write("packages/mt-painn/src/mt_painn/new.py", "NEW = 1\n")
    repository.write("packages/mt-core/changes/+new.added.md", "Something new.\n")
    assert repository.run("check_changes", "--base", "HEAD").returncode == 1


def test_a_changed_source_with_its_fragment_passes_before_it_is_committed_too(repository):
    repository.write("packages/mt-painn/src/mt_painn/new.py", "NEW = 1\n")
    repository.write("packages/mt-painn/changes/+new.added.md", "Something new.\n")
    assert repository.run("check_changes", "--base", "HEAD").returncode == 0
    repository.commit()
    assert repository.run("check_changes", "--base", "HEAD~1").returncode == 0


def test_a_release_needs_no_fragment(repository):
    repository.release("mt-painn", "major")
    assert repository.run("check_changes", "--base", "HEAD~1").returncode == 0


def test_a_test_or_a_page_needs_no_fragment(repository):
    repository.write("packages/mt-painn/tests/test_new.py", "")
    repository.write("packages/mt-painn/README.md", "PaiNN")
    assert repository.run("check_changes", "--base", "HEAD").returncode == 0


@pytest.mark.parametrize("script", ["check_changes", "changed_architectures"])
def test_a_base_that_git_does_not_know_is_refused(repository, script):
    done = repository.run(script, "--base", "nowhere")
    assert done.returncode == 1
    assert "--base nowhere: git finds no common ancestor" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("changed", "architectures"),
    [
        (["packages/mt-painn/src/mt_painn/model.py"], ["painn"]),
        (["packages/mt-painn/README.md", "packages/mt-gap/pyproject.toml"], ["gap", "painn"]),
        (["docs/examples/mt-schnet/src/mt_schnet/model.py"], ["schnet"]),
        (["shared/README.md"], ALL),
        (["tests/src/mt_conformance/test_outputs.py"], ALL),
        (["packages/mt-core/src/mt_core/cli.py", "packages/mt-gap/README.md"], ALL),
        (["constraints.txt"], ALL),
        (["hatch_plugins.py"], ALL),
        (["scripts/floors.py"], ALL),
        (["docs/options.md", "README.md", ".github/workflows/checks.yml", ".ci/run"], []),
        (["scripts/tune.py"], []),
        (["packages/mt-gone/src/mt_gone/model.py"], []),
    ],
)
def test_a_change_concerns(changed, architectures):
    assert concerned(changed, all_architectures()) == architectures


@pytest.mark.parametrize("path", ["new-folder/file.py", "setup.py", "hatch.toml.bak"])
def test_a_file_that_no_rule_knows_is_an_error(path):
    with pytest.raises(SystemExit, match=f"which architectures these concern: {path}"):
        concerned(["README.md", path], all_architectures())


def test_a_package_that_is_no_architecture_is_an_error(repository):
    repository.write("packages/mt-stray/notes.txt", "")
    repository.write("packages/mt-stray/pyproject.toml", '[project]\nname = "mt-stray"\n')
    done = repository.run("changed_architectures", "--base", "HEAD")
    assert done.returncode == 1
    assert "packages/mt-stray/notes.txt" in done.stderr


def test_the_matrix_says_which_jobs_may_fail(repository):
    repository.write("packages/mt-painn/README.md", "PaiNN")
    repository.write("packages/mt-soap-bpnn/README.md", "SOAP")
    done = repository.run("changed_architectures", "--base", "HEAD")
    assert json.loads(done.stdout) == [
        {"architecture": "painn", "environment": "painn", "experimental": True},
        {"architecture": "soap_bpnn", "environment": "soap-bpnn", "experimental": False},
    ]


def test_all_architectures_can_be_asked_for(repository):
    done = repository.run("changed_architectures", "--all")
    assert [each["architecture"] for each in json.loads(done.stdout)] == ALL
