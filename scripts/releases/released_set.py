"""The last released version of each stable architecture, as JSON for the matrix of a workflow.

    python scripts/releases/released_set.py mt-shared                   # from the tags
    python scripts/releases/released_set.py mt-shared --wheels FOLDER   # from a folder of wheels

A release of mt-shared or mt-core is tried with these, beside mt-core and the suite of the same
commit. Those whose ranges do not admit the new version, or admit no mt-shared that these admit too,
are left out, and named on the standard error: users of them keep the old one.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from distributions import (
    BASE,
    BY_NAME,
    Distribution,
    command_line,
    named,
    parse_project,
    print_matrix,
)
from history import released_versions, tag, text_at
from stages import stable


@dataclass(frozen=True)
class Release:
    """A released version, and what it requires."""

    architecture: str
    distribution: str
    version: Version
    requirements: list[Requirement]

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"

    def conflicts(self, new: Distribution) -> Iterator[str]:
        """Why it cannot be installed beside the new version."""
        if Version(new.version) not in range_of(self.requirements, new.name):
            yield f"{self} does not admit {new.name} {new.version}"
        # the three of this commit are installed together, with this release beside them
        beneath = [BY_NAME[name] for name in BASE]
        for sibling in (each for each in beneath if each != new):
            wanted = range_of(self.requirements, sibling.name)
            for other in beneath:
                there = range_of(other.requirements, sibling.name)
                both = wanted & there
                # what can be installed: the released ones, and the one of this source
                versions = [*released_versions(sibling.name), Version(sibling.version)]
                if wanted and there and not any(each in both for each in versions):
                    yield (
                        f"{self} requires {sibling.name}{wanted}, and {other.name} {other.version} "
                        f"requires {sibling.name}{there}"
                    )


def range_of(requirements: list[Requirement], name: str) -> SpecifierSet:
    """What they admit of a distribution: everything, where they do not name it."""
    found = SpecifierSet()
    for each in requirements:
        if each.name == name:
            found &= each.specifier
    return found


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("name", help="what is to be released, as mt-shared")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels in place of the tags")
    parser.add_argument("--output", metavar="KEY", help="print KEY=, as a workflow wants outputs")
    arguments = parser.parse_args()
    new = named(arguments.name)
    jobs = []
    for each in newest_releases(arguments.wheels):
        conflicts = list(each.conflicts(new))
        for why in conflicts:
            print(f"left out: {why}", file=sys.stderr)
        if not conflicts:
            requirement = f"{each.distribution}=={each.version}"
            jobs.append({"architecture": each.architecture, "requirement": requirement})
    print_matrix(jobs, arguments.output)


def newest_releases(wheels: Path | None) -> Iterator[Release]:
    """Of each stable architecture, by the tags or the wheels; one never released has none."""
    if wheels is not None and not wheels.is_dir():
        raise SystemExit(f"--wheels {wheels}: there is no such folder")
    by_architecture = {name: each for each in BY_NAME.values() for name in each.architectures}
    for name in stable():
        distribution = by_architecture[name]
        found = newest_wheel(distribution, wheels) if wheels else newest_tag(distribution)
        if found is not None:
            version, requirements = found
            yield Release(name, distribution.name, version, list(map(Requirement, requirements)))


def newest_tag(distribution: Distribution) -> tuple[Version, list[str]] | None:
    """The version, and what it requires."""
    versions = released_versions(distribution.name)
    if not versions:
        return None
    revision = tag(distribution.name, versions[-1])
    project = parse_project(text_at(revision, f"{distribution.path}/pyproject.toml"))
    return versions[-1], project["dependencies"]


def newest_wheel(distribution: Distribution, folder: Path) -> tuple[Version, list[str]] | None:
    files = {
        parse_wheel_filename(file.name)[1]: file
        for file in folder.glob(f"{distribution.module}-*.whl")
    }
    if not files:
        return None
    newest = max(files)
    with zipfile.ZipFile(files[newest]) as archive:
        (file,) = (path for path in archive.namelist() if path.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(file).decode())
    return newest, metadata.get_all("Requires-Dist", [])


if __name__ == "__main__":
    main()
