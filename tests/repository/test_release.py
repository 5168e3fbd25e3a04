"""The release of one distribution, in a repository of its own: version, changelog, commit, tag."""

import shutil

import pytest

FRAGMENT = "packages/mt-painn/changes/+more.added.md"


def test_the_first_release_takes_the_version_of_the_source(repository):
    printed = repository.release("mt-painn", "minor")
    changelog = repository.read("packages/mt-painn/CHANGELOG.md")
    assert "## 0.1.0 (" in changelog
    assert "The version that was copied." in changelog
    assert not list((repository.root / "packages/mt-painn/changes").glob("*.md"))
    assert repository.git("log", "-1", "--format=%s").strip() == "mt-painn 0.1.0"
    assert not repository.git("status", "--porcelain")
    assert "git tag mt-painn-v0.1.0\n" in printed
    assert "git push origin HEAD mt-painn-v0.1.0" in printed


@pytest.mark.parametrize(
    ("part", "version"), [("patch", "0.1.1"), ("minor", "0.2.0"), ("major", "1.0.0")]
)
def test_the_next_release_counts_from_the_last(repository, part, version):
    repository.release("painn", "minor")
    repository.write(FRAGMENT, "More of it.\n")
    repository.commit()
    repository.release("painn", part)
    about = repository.read("packages/mt-painn/src/mt_painn/__about__.py")
    assert about == f'__version__ = "{version}"\n'
    changelog = repository.read("packages/mt-painn/CHANGELOG.md")
    assert changelog.index(f"## {version} (") < changelog.index("## 0.1.0 (")


def test_a_release_of_one_leaves_the_others_as_they_are(repository):
    repository.release("mt-painn", "minor")
    changed = repository.git("show", "--name-only", "--format=", "HEAD").split()
    assert changed
    assert all(path.startswith("packages/mt-painn/") for path in changed)


def test_the_version_to_cite_is_that_of_the_dispatcher(repository):
    repository.release("mt-core", "major")
    assert "\nversion: 1.0.0\n" in repository.read("CITATION.cff")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mt-pain", "minor"), "there is no distribution 'mt-pain' (did you mean 'mt-painn'?)"),
        (("mt-painn", "patch"), "would be 0.0.1, and its source says 0.1.0 already"),
        (("mt-painn", "huge"), "invalid choice"),
    ],
)
def test_what_cannot_be_released_is_refused(repository, arguments, message):
    done = repository.run("release", *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not repository.git("status", "--porcelain")


def test_a_release_without_news_is_refused(repository):
    repository.release("mt-painn", "minor")
    done = repository.run("release", "mt-painn", "minor")
    assert done.returncode == 1
    assert "packages/mt-painn/changes has no fragment" in done.stderr


def test_a_release_with_changes_that_are_not_committed_is_refused(repository):
    repository.write(FRAGMENT, "More of it.\n")
    done = repository.run("release", "mt-painn", "minor")
    assert done.returncode == 1
    assert "+more.added.md" in done.stderr
    assert "not committed" in done.stderr


@pytest.mark.parametrize("others", [[], ["+more.added.md"]])
def test_a_release_with_a_fragment_that_has_no_such_name_is_refused(repository, others):
    shutil.rmtree(repository.root / "packages/mt-painn/changes")
    for name in ["notes.md", *others]:
        repository.write(f"packages/mt-painn/changes/{name}", "News.\n")
    repository.commit()
    done = repository.run("release", "mt-painn", "minor")
    assert done.returncode == 1
    assert "packages/mt-painn/changes/notes.md is no fragment" in done.stderr
    assert not repository.git("status", "--porcelain")


def test_a_release_whose_tag_is_there_is_refused(repository):
    before = repository.git("rev-parse", "HEAD")
    repository.git("tag", "mt-painn-v0.1.0")
    done = repository.run("release", "mt-painn", "minor")
    assert done.returncode == 1
    assert "the tag mt-painn-v0.1.0 is there already" in done.stderr
    assert repository.git("rev-parse", "HEAD") == before
    assert not repository.git("status", "--porcelain")


def refuse_commits(repository):
    hook = repository.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no commits on Fridays >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    return hook


@pytest.mark.parametrize(
    ("name", "part"), [("mt-painn", "minor"), ("mt-core", "major"), ("mt-shared", "major")]
)
def test_a_release_that_git_refuses_leaves_every_file_as_it_was(repository, name, part):
    older = "packages/mt-core/changes/+mt-shared-0.0.9.changed.md"
    repository.write(older, "Requires mt-shared 0.0.9.\n")
    before = repository.commit()
    hook = refuse_commits(repository)
    done = repository.run("release", name, part)
    assert done.returncode == 1
    assert "nothing is released, and every file is as it was" in done.stderr
    assert "no commits on Fridays" in done.stderr
    assert "Traceback" not in done.stderr
    assert not repository.git("status", "--porcelain")
    assert repository.git("rev-parse", "HEAD").strip() == before
    hook.unlink()
    repository.release(name, part)


def test_a_release_that_towncrier_refuses_leaves_every_file_as_it_was(repository):
    repository.replace("pyproject.toml", 'title_format = "', 'title_format = "{nothing} ')
    repository.commit()
    done = repository.run("release", "mt-shared", "major")
    assert done.returncode == 1
    assert "towncrier: " in done.stderr
    assert not repository.git("status", "--porcelain")


def test_of_two_breaking_releases_a_sibling_lists_the_later(repository):
    repository.release("mt-shared", "minor")
    for part in ("minor", "major"):
        repository.write("shared/changes/+new.changed.md", "Other names.\n")
        repository.commit()
        repository.release("mt-shared", part)
    folder = repository.root / "packages/mt-painn/changes"
    found = sorted(file.name for file in folder.glob("+mt-shared-*"))
    assert found == ["+mt-shared-1.0.0.changed.md"]
    assert not repository.git("status", "--porcelain")
    repository.release("mt-painn", "minor")
    changelog = repository.read("packages/mt-painn/CHANGELOG.md")
    assert "Requires mt-shared 1.0.0." in changelog
    assert "Requires mt-shared 0.2.0." not in changelog


def test_a_breaking_release_raises_the_ranges_of_the_siblings(repository):
    repository.release("mt-shared", "minor")
    # which leaves nothing in its folder of fragments
    repository.release("mt-painn", "minor")
    shutil.rmtree(repository.root / "packages/mt-painn/changes", ignore_errors=True)
    repository.write("shared/changes/+new.changed.md", "Other names.\n")
    repository.commit()
    printed = repository.release("mt-shared", "minor")
    for folder in ("packages/mt-core", "packages/mt-painn", "tests", "docs/examples/mt-schnet"):
        assert '"mt-shared>=0.2.0,<0.3",' in repository.read(f"{folder}/pyproject.toml")
        assert f"{folder}/pyproject.toml" in printed
    fragment = repository.read("packages/mt-painn/changes/+mt-shared-0.2.0.changed.md")
    assert fragment == "Requires mt-shared 0.2.0.\n"
    assert not repository.git("status", "--porcelain")
    assert '"mt-core>=0.1,<0.2",' in repository.read("tests/pyproject.toml")


def test_a_release_that_breaks_nothing_leaves_the_ranges(repository):
    repository.release("mt-shared", "minor")
    repository.write("shared/changes/+new.added.md", "More names.\n")
    repository.commit()
    repository.release("mt-shared", "patch")
    assert '"mt-shared>=0.1,<0.2",' in repository.read("packages/mt-painn/pyproject.toml")


def test_a_tag_of_a_release_agrees_with_version_and_changelog(repository):
    repository.release("mt-painn", "minor")
    done = repository.run("check_tag", "mt-painn-v0.1.0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "distribution=mt-painn",
        "version=0.1.0",
        "beneath=false",
        'architectures=["painn"]',
    ]


def test_a_release_of_what_stands_below_is_proved_by_every_stable_architecture(repository):
    repository.release("mt-shared", "minor")
    done = repository.run("check_tag", "mt-shared-v0.1.0")
    assert done.stdout.splitlines()[2:] == [
        "beneath=true",
        'architectures=["gap", "soap_bpnn"]',
    ]


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("v0.1.0", "'v0.1.0' is no tag of a release; expected one such as mt-painn-v0.2.0"),
        ("mt-pain-v0.1.0", "did you mean 'mt-painn'?"),
        ("mt-painn-v0.2.0", "__about__.py says 0.1.0"),
        ("mt-painn-v0.2.0", "the newest entry of packages/mt-painn/CHANGELOG.md is 0.1.0"),
        ("mt-painn-v0.2.0", "no such tag on the commit"),
        ("mt-painn-v0.1.0", "packages/mt-painn/changes still holds +late.added.md"),
        ("mt-shared-v0.1.0", "shared/changes still holds"),
        ("mt-painn-v0.1.0", "no such tag on the commit"),
    ],
)
def test_a_tag_that_does_not_agree_is_refused(repository, tag, message):
    repository.release("mt-painn", "minor")
    repository.write("packages/mt-painn/changes/+late.added.md", "Too late.\n")
    repository.commit()
    done = repository.run("check_tag", tag)
    assert done.returncode == 1
    assert message in done.stderr
