"""The last released version of each stable architecture, as JSON for the matrix of a workflow.

    python scripts/released_set.py mt-shared                   # from the tags
    python scripts/released_set.py mt-shared --wheels FOLDER   # from a folder of wheels

A release of mt-shared or mt-core is tried with these. Those whose range does not admit the new
version are left out, and named on the standard error: users of them keep the old one.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from distributions import BY_NAME, Distribution, named, parse_project
from history import released_versions, tag, text_at
from stages import stable


@dataclass(frozen=True)
class Release:
    """A released version, and what it requires."""

    architecture: str
    distribution: str
    version: Version
    requirements: list[Requirement]

    def admits(self, other: Distribution) -> bool:
        ranges = [each.specifier for each in self.requirements if each.name == other.name]
        return all(Version(other.version) in each for each in ranges)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="what is to be released, as mt-shared")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels in place of the tags")
    parser.add_argument("--output", metavar="KEY", help="print KEY=, as a workflow wants outputs")
    arguments = parser.parse_args()
    new = named(arguments.name)
    found = from_tags() if arguments.wheels is None else from_wheels(arguments.wheels)
    for each in found:
        if not each.admits(new):
            print(
                f"left out: {each.distribution} {each.version} does not admit {new.name} "
                f"{new.version}",
                file=sys.stderr,
            )
    key = f"{arguments.output}=" if arguments.output else ""
    print(key + json.dumps([job(each) for each in found if each.admits(new)]))


def job(release: Release) -> dict[str, str]:
    return {
        "architecture": release.architecture,
        "requirement": f"{release.distribution}=={release.version}",
    }


def from_tags() -> list[Release]:
    """The newest tag of each; an architecture that was never released has none."""
    found = []
    for name, distribution in stable_distributions().items():
        versions = released_versions(distribution.name)
        if versions:
            revision = tag(distribution.name, versions[-1])
            project = parse_project(text_at(revision, f"{distribution.path}/pyproject.toml"))
            requirements = [Requirement(line) for line in project["dependencies"]]
            found.append(Release(name, distribution.name, versions[-1], requirements))
    return found


def from_wheels(folder: Path) -> list[Release]:
    """The newest wheel of each."""
    if not folder.is_dir():
        raise SystemExit(f"--wheels {folder}: there is no such folder")
    found = []
    for name, distribution in stable_distributions().items():
        files = {
            parse_wheel_filename(file.name)[1]: file
            for file in folder.glob(f"{distribution.module}-*.whl")
        }
        if files:
            newest = max(files)
            found.append(Release(name, distribution.name, newest, required_by(files[newest])))
    return found


def required_by(wheel: Path) -> list[Requirement]:
    with zipfile.ZipFile(wheel) as archive:
        (file,) = (path for path in archive.namelist() if path.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(file).decode())
    return [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]


def stable_distributions() -> dict[str, Distribution]:
    by_architecture = {name: each for each in BY_NAME.values() for name in each.architectures}
    return {name: by_architecture[name] for name in stable()}


if __name__ == "__main__":
    main()
