"""What git knows of this repository: tags, files of a revision, what changed since one."""

from __future__ import annotations

import subprocess
from functools import cache

from packaging.version import Version

from distributions import ROOT


def git(*arguments: str) -> str:
    """The output of a git command in this repository."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def changed_files(base: str) -> list[str]:
    """What differs from where this branch left ``base``: committed, or not yet."""
    try:
        start = git("merge-base", base, "HEAD").strip()
    except SystemExit as error:
        raise SystemExit(
            f"--base {base}: git finds no common ancestor with it ({error}); give a revision of "
            "this repository, and fetch its history: git fetch --unshallow"
        ) from None
    tracked = git("diff", "--name-only", "--no-renames", start).splitlines()
    new = git("ls-files", "--others", "--exclude-standard").splitlines()
    return sorted({*tracked, *new})


def tag(name: str, version: Version | str) -> str:
    """The tag of a release, as ``mt-painn-v0.1.0``."""
    return f"{name}-v{version}"


def released_versions(name: str) -> list[Version]:
    """The released versions of a distribution, oldest first."""
    start = tag(name, "")
    found = git("tag", "--list", f"{start}*").splitlines()
    return sorted(Version(each.removeprefix(start)) for each in found)


def files_of(folder: str) -> list[str]:
    """The files of a folder that are in git, or could be."""
    options = ("--cached", "--others", "--exclude-standard")
    found = git("ls-files", *options, "--", folder).splitlines()
    return [path for path in found if (ROOT / path).exists()]


@cache
def files_at(revision: str, folder: str) -> frozenset[str]:
    return frozenset(git("ls-tree", "-r", "--name-only", revision, folder).splitlines())


@cache
def text_at(revision: str, path: str) -> str:
    return git("show", f"{revision}:{path}")
