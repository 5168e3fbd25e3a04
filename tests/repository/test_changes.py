"""A change under a src/ comes with a fragment; what a change concerns is tested."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from changed_architectures import concerned
from distributions import DISTRIBUTIONS, all_architectures

ALL = sorted(all_architectures())


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda each: each.name)
def test_towncrier_knows_every_fragment(distribution):
    wrong = [file.name for file in distribution.strays]
    assert not wrong, "expected +some-word.added.md or 12.fixed.md, and text in it"


NO_FRAGMENTS = [
    ("notes.md", "News."),
    ("README", "News."),
    ("foo.md", ""),
    ("+word.news.md", "News."),
    ("word.fixed.md", "News."),
    ("12.fixed.txt", "News."),
    ("+word.fixed.md", "\n"),
]


@pytest.mark.parametrize(("name", "text"), NO_FRAGMENTS)
def test_what_towncrier_would_not_list_is_no_news(repository, name, text):
    repository.write("packages/mt-painn/src/mt_painn/new.py", "NEW = 1\n")
    repository.write(f"packages/mt-painn/changes/{name}", text)
    done = repository.run("check_changes", "--base", "HEAD")
    assert done.returncode == 1
    wrong = f"packages/mt-painn/changes/{name} is no fragment: expected a name such as 12.fixed.md"
    assert wrong in done.stdout
    assert "(removed, changed, added, fixed)" in done.stdout
    assert "no fragment says so to its users" in done.stdout


@pytest.mark.parametrize(
    "name", ["12.fixed.md", "+some-word.added.md", "+mt-core-1.0.0.removed.md"]
)
def test_what_towncrier_lists_is_news(repository, name):
    repository.write("packages/mt-painn/src/mt_painn/new.py", "NEW = 1\n")
    repository.write(f"packages/mt-painn/changes/{name}", "News.\n")
    done = repository.run("check_changes", "--base", "HEAD")
    assert done.returncode == 0, done.stdout


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
        (["tests/src/mt_conformance/tests/test_outputs.py"], ALL),
        (["packages/mt-core/src/mt_core/cli/commands.py", "packages/mt-gap/README.md"], ALL),
        (["constraints.txt"], ALL),
        (["hatch_plugins.py"], ALL),
        (["scripts/releases/floors.py"], ALL),
        (["docs/options.md", "README.md", ".github/workflows/checks.yml", ".ci/run"], []),
        (["scripts/quickstart.py", "scripts/data/tune.py", "benchmarks/inside/train.py"], []),
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


def test_a_folder_without_a_pyproject_is_an_error(repository):
    repository.write("packages/mt-stray/src/mt_stray/model.py", "")
    done = repository.run("changed_architectures", "--base", "HEAD")
    assert done.returncode == 1
    assert "packages/mt-stray has files and no pyproject.toml" in done.stderr
    (repository.root / "packages/mt-gap/pyproject.toml").unlink()
    repository.git("clean", "-fdq")
    done = repository.run("changed_architectures", "--base", "HEAD")
    assert "packages/mt-gap has files and no pyproject.toml" in done.stderr


def leave_litter(repository):
    """What git ignores: a package of another branch was here, a desktop looked at the folder."""
    for path in ("packages/mt-old/src/__pycache__/model.pyc", "packages/mt-gap/changes/.DS_Store"):
        repository.write(path, "")
    for path in ("packages/.DS_Store", "packages/mt-gap/src/__pycache__/model.pyc"):
        repository.write(path, "")
    repository.write(".git/info/exclude", ".DS_Store\n")


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        (("release", "mt-gap", "minor"), "Committed mt-gap 0.1.0"),
        (("check_tag", "mt-gap-v9.0.0"), "mt_gap/__about__.py says 0.1.0"),
        (("changed_architectures", "--base", "HEAD"), "[]"),
        (("check_changes", "--base", "HEAD"), "every changed source has its fragment"),
        (("check_floors",), "every floor of a sibling is true"),
        (("build_wheels", "mt-old", "--out", "dist"), "there is no distribution 'mt-old'"),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
def test_what_git_ignores_is_no_package(repository, command, printed):
    leave_litter(repository)
    done = repository.run(*command)
    assert printed in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_hatch_ignores_what_git_ignores(repository):
    leave_litter(repository)
    hatch = shutil.which("hatch") or str(Path(sys.executable).with_name("hatch"))
    done = repository.call([hatch, "env", "show", "--json"])
    assert done.returncode == 0, done.stderr
    assert "arch.gap" in json.loads(done.stdout)


def test_a_package_that_was_removed_may_leave_what_git_ignores(repository):
    repository.git("rm", "-r", "--quiet", "packages/mt-painn")
    repository.write("packages/mt-painn/src/mt_painn/__pycache__/model.pyc", "")
    done = repository.run("changed_architectures", "--base", "HEAD")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[project\nname = 1", "is no TOML: "),
        ("[tool]\n", "has no name in a table [project]"),
    ],
)
def test_a_pyproject_that_cannot_be_read_is_named(repository, text, message):
    repository.write("packages/mt-painn/pyproject.toml", text)
    done = repository.run("check_changes", "--base", "HEAD")
    assert done.returncode == 1
    assert f"packages/mt-painn/pyproject.toml {message}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_matrix_says_which_jobs_may_fail(repository):
    manifest = "packages/mt-core/src/mt_core/architectures/lifecycle.yaml"
    repository.replace(manifest, "gap:\n  stage: stable", "gap:\n  stage: deprecated")
    repository.commit()
    for name in ("mt-painn", "mt-soap-bpnn", "mt-gap"):
        repository.write(f"packages/{name}/README.md", "new")
    done = repository.run("changed_architectures", "--base", "HEAD")
    assert json.loads(done.stdout) == [
        {"architecture": "gap", "environment": "gap", "blocks": False},
        {"architecture": "painn", "environment": "painn", "blocks": False},
        {"architecture": "soap_bpnn", "environment": "soap-bpnn", "blocks": True},
    ]


def test_all_architectures_can_be_asked_for(repository):
    done = repository.run("changed_architectures", "--all")
    assert [each["architecture"] for each in json.loads(done.stdout)] == ALL
