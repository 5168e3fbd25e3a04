"""What the metadata of installed distributions say, without importing any of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import getaddresses
from importlib.metadata import Distribution, PackageNotFoundError, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from mt_shared.__about__ import __version__
from mt_shared.errors import ArchitectureError

SHARED = "mt-shared"


@dataclass(frozen=True)
class Facts:
    """Name, version, summary in one line and people (``Name <mail>``) of a distribution."""

    name: str
    version: str
    summary: str
    people: tuple[str, ...]


@dataclass(frozen=True)
class Unmet:
    """A requirement that what is installed does not fulfil; ``installed`` None: it is missing."""

    requirement: Requirement
    installed: str | None

    def __str__(self) -> str:
        found = f"{self.installed} is installed" if self.installed else "it is not installed"
        return f"{self.requirement}, but {found}"


def facts(distribution: Distribution) -> Facts:
    """What the metadata say of a distribution itself.

    :raises ArchitectureError: they are missing, cannot be read or lack name or version
    """
    try:
        metadata = distribution.metadata
        fields = {
            key: metadata[key]
            for key in ("Name", "Version", "Summary", *_PEOPLE)
            if key in metadata and metadata[key] is not None
        }
    # what is raised for metadata that are missing or no text differs between versions of Python
    except Exception as error:
        raise ArchitectureError(f"its metadata cannot be read ({error}); {_REINSTALL}") from error
    if not fields.get("Name") or not fields.get("Version"):
        raise ArchitectureError(f"its metadata lack the name or the version; {_REINSTALL}")
    people = next((fields[key] for key in _PEOPLE if key in fields), "")
    return Facts(
        fields["Name"], fields["Version"], fields.get("Summary", ""), tuple(_names(people))
    )


def requirements(distribution: Distribution) -> list[Requirement]:
    """What a distribution requires here: those of extras or of other machines are left out.

    :raises ArchitectureError: one cannot be read
    """
    try:
        found = [Requirement(line) for line in distribution.requires or []]
    except InvalidRequirement as error:
        raise ArchitectureError(f"a requirement cannot be read: {error}; {_REINSTALL}") from error
    return [each for each in found if not each.marker or each.marker.evaluate({"extra": ""})]


def requirements_named(distribution: Distribution, name: str) -> list[Requirement]:
    """Those of the requirements that are for one other distribution.

    :raises ArchitectureError: one of them all cannot be read
    """
    wanted = normalized(name)
    return [each for each in requirements(distribution) if normalized(each.name) == wanted]


def unmet(required: Iterable[Requirement]) -> Iterator[Unmet]:
    """Those of the requirements that the installed versions do not fulfil."""
    for requirement in required:
        found = installed_version(requirement.name)
        if found is None or not _admits(requirement, found):
            yield Unmet(requirement, found)


def installed_version(name: str) -> str | None:
    """The installed version of a distribution; that of mt-shared is of the sources that run."""
    if normalized(name) == SHARED:
        return __version__
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def normalized(name: str) -> str:
    """The name of a distribution as package indices write it: ``A.b_c`` is ``a-b-c``."""
    return re.sub(r"[-_.]+", "-", name).lower()


_PEOPLE = ("Maintainer-email", "Maintainer", "Author-email", "Author")
_REINSTALL = "reinstall it with pip install --force-reinstall"


def _names(people: str) -> list[str]:
    """``A <a@b>, C <c@d>`` as a list; names without a mail stay as they are."""
    pairs = getaddresses([people])
    return [f"{name} <{mail}>" if name and "@" in mail else name or mail for name, mail in pairs]


def _admits(requirement: Requirement, found: str) -> bool:
    try:
        return requirement.specifier.contains(found, prereleases=True)
    except InvalidVersion:
        return False
