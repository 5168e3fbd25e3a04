"""What the metadata of installed distributions say, without importing any of them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import getaddresses
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    packages_distributions,
    version,
)

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from mt_shared.__about__ import __version__
from mt_shared.entry_points import normalized
from mt_shared.errors import ArchitectureError

SHARED = "mt-shared"
_PEOPLE = ("Maintainer-email", "Maintainer", "Author-email", "Author")
_REINSTALL = "reinstall it with pip install --force-reinstall"


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
    """What the metadata say of a distribution itself, or an error if they cannot be read."""
    try:
        metadata = distribution.metadata
        fields = {
            key: metadata[key]
            for key in ("Name", "Version", "Summary", *_PEOPLE)
            if key in metadata and metadata[key] is not None
        }
    # What is raised for metadata that are missing or no text differs between versions of Python.
    except Exception as error:
        raise ArchitectureError(f"its metadata cannot be read ({error}); {_REINSTALL}") from error
    if not fields.get("Name") or not fields.get("Version"):
        raise ArchitectureError(f"its metadata lack the name or the version; {_REINSTALL}")
    # One field: "A <a@b>, C <c@d>", or names without a mail, which stay as they are.
    people = getaddresses([next((fields[key] for key in _PEOPLE if key in fields), "")])
    return Facts(
        name=fields["Name"],
        version=fields["Version"],
        summary=fields.get("Summary", ""),
        people=tuple(
            f"{name} <{mail}>" if name and "@" in mail else name or mail for name, mail in people
        ),
    )


def requirements(distribution: Distribution) -> list[Requirement]:
    """What a distribution requires here: those of extras or of other machines are left out."""
    try:
        found = [Requirement(line) for line in distribution.requires or []]
    except InvalidRequirement as error:
        raise ArchitectureError(f"a requirement cannot be read: {error}; {_REINSTALL}") from error
    return [each for each in found if not each.marker or each.marker.evaluate({"extra": ""})]


def requirements_named(distribution: Distribution, name: str) -> list[Requirement]:
    """Those of the requirements that are for one other distribution."""
    name = normalized(name)
    return [each for each in requirements(distribution) if normalized(each.name) == name]


def distributions_of(module: str) -> set[str]:
    """The installed distributions that bring a top-level module, as their metadata say."""
    return {normalized(name) for name in packages_distributions().get(module, [])}


def modules_of(name: str) -> set[str]:
    """The top-level modules that an installed distribution brings, as its metadata say."""
    name = normalized(name)
    owners = packages_distributions().items()
    return {module for module, names in owners if name in map(normalized, names)}


def modules_required(distribution: Distribution) -> set[str]:
    """The top-level modules that the requirements of a distribution bring."""
    names = {normalized(each.name) for each in requirements(distribution)}
    brought = packages_distributions().items()
    # an editable installation does not list its modules: then by the usual rule for names
    return {name.replace("-", "_") for name in names} | {
        module for module, owners in brought if names.intersection(map(normalized, owners))
    }


def unmet(required: Iterable[Requirement]) -> Iterator[Unmet]:
    """Those of the requirements that the installed versions do not fulfil."""
    for each in required:
        found, fulfilled = None, False
        # Nothing is fulfilled by what is missing, nor by a version that cannot be compared.
        with suppress(PackageNotFoundError, InvalidVersion):
            # The version of mt-shared is that of the sources that run: after a change of the
            # sources, the metadata of an editable installation lag behind.
            ours = normalized(each.name) == SHARED
            found = __version__ if ours else version(each.name)
            # None: broken metadata, in older versions of Python.
            fulfilled = found is not None and each.specifier.contains(found, prereleases=True)
        if not fulfilled:
            yield Unmet(each, found)
