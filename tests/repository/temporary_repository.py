"""A git repository of its own, for the tests of what changes one: commits, tags, releases."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from distributions import DISTRIBUTIONS, ROOT

FOLDERS = ("shared", "tests", "packages", "docs/examples", "scripts")
FILES = ("pyproject.toml", "constraints.txt", "CITATION.cff", "hatch.toml", "hatch_plugins.py")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "repository", "toys", "dist", ".*")
PERSON = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "The mt developers", "EMAIL": "mt-developers@example.org"}.items()
}


@dataclass(frozen=True)
class Repository:
    """A copy of the packages and scripts, in git."""

    root: Path

    def git(self, *arguments: str) -> str:
        done = self.call(["git", *arguments])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of its own scripts."""
        return self.call([sys.executable, f"scripts/releases/{script}.py", *arguments])

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def replace(self, path: str, old: str, new: str) -> None:
        text = self.read(path)
        assert old in text
        self.write(path, text.replace(old, new))

    def commit(self) -> str:
        """The revision that all changes are in."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a change")
        return self.git("rev-parse", "HEAD").strip()

    def release(self, name: str, part: str) -> str:
        """Release and tag, and give back what was printed."""
        done = self.run("release", name, part)
        assert done.returncode == 0, done.stderr
        tag = next(line.split()[-1] for line in done.stdout.splitlines() if "git tag" in line)
        self.git("tag", tag)
        return done.stdout

    def call(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Any command, in its root."""
        environment = {**os.environ, **PERSON, "GIT_CONFIG_GLOBAL": os.devnull}
        environment.pop("PYTHONPATH", None)
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )


def copy_repository(root: Path) -> Repository:
    """The packages as they are now, in the first commit of a new repository.

    Each has a fragment, so that it can be released.
    """
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder, ignore=LEFT_OUT)
    for file in FILES:
        shutil.copy(ROOT / file, root)
    repository = Repository(root)
    for each in DISTRIBUTIONS:
        repository.write(f"{each.path}/changes/+copied.added.md", "The version that was copied.\n")
    repository.write(".gitignore", "__pycache__/\n")
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit()
    return repository
