"""Which architectures are installed, what they say of themselves, and how to load one.

Architectures are entry points of the group ``mt.architectures``: the name is the one of options
files, the value is the top-level module. Listing reads metadata and data files alone and imports
no architecture; :func:`load` imports exactly one.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, EntryPoint, distribution, distributions, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from mt_shared.__about__ import __version__
from mt_shared.errors import ArchitectureError, UserError, nearest
from mt_shared.registry.distributions import (
    SHARED,
    facts,
    normalized,
    requirements,
    requirements_named,
    unmet,
)
from mt_shared.registry.package_source import People, is_people, read_people

if TYPE_CHECKING:
    from mt_shared.contract import Architecture

GROUP = "mt.architectures"
CAPABILITIES = "capabilities.yaml"
DEFAULT_HYPERS = "default-hypers.yaml"
SCHEMA = "schema-hypers.json"


@dataclass(frozen=True)
class ArchitectureEntry:
    """One installed architecture, as its metadata and data files describe it.

    ``error`` says why it cannot be used, if so; ``capabilities`` and ``schema`` are None where
    the package leaves those files out. ``maintainers`` are those of ``__init__.py``, or else those
    of the distribution, without handles.
    """

    name: str
    distribution: str
    version: str
    module: str
    folder: Path | None = None
    error: str | None = None
    capabilities: dict[str, Any] | None = None
    default_hypers: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] | None = None
    summary: str = ""
    maintainers: People = ()


def distribution_name(name: str) -> str:
    """The distribution of a first-party architecture: ``soap_bpnn`` is in ``mt-soap-bpnn``."""
    return "mt-" + name.replace("_", "-")


def installed() -> dict[str, ArchitectureEntry]:
    """Every installed architecture by name, the broken ones with their error."""
    entries: dict[str, ArchitectureEntry] = {}
    for point in sorted(_points(), key=lambda point: point.name):
        entry = _read(point)
        clash = entries.get(entry.name)
        entries[entry.name] = _clash(clash, entry) if clash else entry
    return entries


def look_up(name: str, known: Iterable[str] = ()) -> ArchitectureEntry:
    """The installed architecture of that name, even if it is broken.

    :param known: names that exist whether installed or not, as ``pip install mt-<name>``
    :raises ArchitectureError: not installed
    """
    entries = installed()
    if name not in entries:
        raise ArchitectureError(_not_installed(name, entries, known))
    return entries[name]


def find(name: str, known: Iterable[str] = ()) -> ArchitectureEntry:
    """The installed architecture of that name, fit for use.

    :param known: see :func:`look_up`
    :raises ArchitectureError: not installed, broken, or two distributions claim the name
    """
    entry = look_up(name, known)
    if entry.error:
        raise ArchitectureError(f"the architecture '{name}' cannot be used: {entry.error}")
    return entry


def load(name: str, known: Iterable[str] = ()) -> Architecture:
    """Import the architecture of that name, and no other, and check what it exposes.

    :raises ArchitectureError: also when the import fails or the package breaks the contract
    """
    entry = find(name, known)
    module = _import(entry)
    _check_exposed(module, entry)
    from mt_shared.contract import Architecture

    return Architecture(
        name=name,
        model_class=module.__model__,
        trainer_class=module.__trainer__,
        authors=module.__authors__,
        maintainers=module.__maintainers__,
    )


def _points() -> list[EntryPoint]:
    try:
        return list(entry_points(group=GROUP))
    # one distribution with unreadable metadata is enough, and it need not be one of ours
    except Exception:
        return list(_points_of_the_readable())


def _points_of_the_readable() -> Iterator[EntryPoint]:
    seen: set[str] = set()
    for each in distributions():
        try:
            name, points = normalized(facts(each).name), each.entry_points
        except Exception:
            continue
        if name not in seen:
            yield from points.select(group=GROUP)
        seen.add(name)


def _read(point: EntryPoint) -> ArchitectureEntry:
    """What metadata and data files say, or the reason why they say nothing useful."""
    entry = ArchitectureEntry(point.name, "unknown", "unknown", point.value)
    try:
        assert point.dist is not None
        known = facts(point.dist)
        entry = replace(
            entry, distribution=known.name, version=known.version, summary=known.summary
        )
        folder = _folder(entry)
        people = read_people(folder, "__maintainers__")
        maintainers = people or tuple((person, "") for person in known.people)
        entry = replace(entry, folder=folder, maintainers=maintainers)
        _check_made_for_this_shared(entry, point.dist)
        return replace(entry, **_data_files(folder))
    except UserError as error:
        return replace(entry, error=str(error))
    # whatever else is wrong with a stranger's package must not hinder the others
    except Exception as error:
        reason = f"its files cannot be read: {type(error).__name__}: {error}"
        return replace(entry, error=reason)


def _check_made_for_this_shared(entry: ArchitectureEntry, dist: Distribution) -> None:
    for clash in unmet(requirements_named(dist, SHARED)):
        raise ArchitectureError(
            f"{entry.distribution} {entry.version} is made for {clash.requirement}, but "
            f"{SHARED} {clash.installed} is installed; get a version for this {SHARED} by: "
            f"pip install --upgrade {entry.distribution}; or keep it, and get the {SHARED} that "
            f"it needs by: pip install '{clash.requirement}'"
        )


def _folder(entry: ArchitectureEntry) -> Path:
    """The package's folder, found without importing it."""
    # find_spec imports the parents of a dotted name, so only a top-level module will do
    if not entry.module.isidentifier():
        raise ArchitectureError(
            f"the entry point of {entry.distribution} is '{entry.module}'; "
            "expected the name of a top-level package"
        )
    locations = _locations(find_spec(entry.module))
    if not locations:
        raise ArchitectureError(
            f"{entry.distribution} {entry.version} names the package '{entry.module}', which is "
            f"not there; reinstall it: pip install --force-reinstall {entry.distribution}"
        )
    return Path(locations[0])


def _locations(spec: ModuleSpec | None) -> list[str]:
    return list(spec.submodule_search_locations or ()) if spec else []


def _data_files(folder: Path) -> dict[str, Any]:
    """The fields of an entry that are read from the package's data files."""
    # here, since a command that only needs the names should not pay for YAML
    from mt_shared.options import check, read_yaml

    capabilities = None
    capabilities_file = folder / CAPABILITIES
    if capabilities_file.is_file():
        capabilities = read_yaml(capabilities_file)
        check(capabilities, capabilities_schema(), str(capabilities_file))
    return {
        "capabilities": capabilities,
        "default_hypers": _read_hypers(folder / DEFAULT_HYPERS),
        "schema": _read_schema(folder / SCHEMA),
    }


def _read_hypers(path: Path) -> dict[str, Any]:
    from mt_shared.options import read_yaml

    if not path.is_file():
        raise ArchitectureError(f"the package has no {path.name}, which is required")
    hypers = read_yaml(path)
    if not isinstance(hypers, dict):
        raise ArchitectureError(f"{path} is not a mapping of 'model' and 'training'")
    for section in ("model", "training"):
        # an empty section is read as null
        hypers[section] = {} if hypers.get(section) is None else hypers[section]
        if not isinstance(hypers[section], dict):
            raise ArchitectureError(f"{path}: '{section}' is not a mapping of hypers")
    return hypers


def _read_schema(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArchitectureError(f"{path} is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise ArchitectureError(f"{path} is not a JSON schema: expected an object")
    _check_schema(schema, path)
    return schema


def _check_schema(schema: dict[str, Any], path: Path) -> None:
    """Refuse what is no JSON schema, and references to what this mt-shared does not have."""
    from mt_shared.options import ENGINE_URN, engine_schema, schema_fault

    fault = schema_fault(schema, {ENGINE_URN: engine_schema()})
    if fault is not None:
        raise ArchitectureError(f"{path} is no schema for {SHARED} {__version__}: {fault}")


@cache
def capabilities_schema() -> dict[str, Any]:
    """The JSON schema of an architecture's ``capabilities.yaml``."""
    path = Path(__file__).with_name("schema-capabilities.json")
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def _clash(first: ArchitectureEntry, second: ArchitectureEntry) -> ArchitectureEntry:
    both = sorted([first.distribution, second.distribution])
    error = (
        f"two installed distributions provide it, {both[0]} and {both[1]}; "
        f"uninstall one of them: pip uninstall {both[0]}, or pip uninstall {both[1]}"
    )
    return ArchitectureEntry(first.name, " and ".join(both), "", "", error=error)


def _not_installed(name: str, entries: dict[str, ArchitectureEntry], known: Iterable[str]) -> str:
    known = sorted(known)
    message = f"the architecture '{name}' is not installed"
    if name in known:
        return f"{message}; install it with: pip install {distribution_name(name)}"
    match = nearest(name, {*entries, *known})
    if match:
        message += f" (did you mean '{match}'?"
        if match not in entries:
            message += f" Install it with: pip install {distribution_name(match)}"
        message += ")"
    message += "; installed: " + (", ".join(sorted(entries)) or "none")
    missing = [other for other in known if other not in entries and other != match]
    if missing:
        packages = " ".join(distribution_name(other) for other in missing)
        message += f"; to be had with pip install: {packages}"
    return message + "; every known one is shown by: mt list"


def _import(entry: ArchitectureEntry) -> ModuleType:
    try:
        return importlib.import_module(entry.module)
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        if module == "mt_shared":
            raise ArchitectureError(_made_for_another_shared(entry, error)) from error
        if isinstance(error, ModuleNotFoundError) and module not in ("", entry.module):
            raise ArchitectureError(_missing_dependency(entry, error.name or "")) from error
        raise _broken(entry, error) from error
    # whatever a stranger's package raises is reported as its own fault, with the cause chained;
    # SystemExit too, which would end us without a word
    except (Exception, SystemExit) as error:
        raise _broken(entry, error) from error


def _broken(entry: ArchitectureEntry, error: BaseException) -> ArchitectureError:
    return ArchitectureError(
        f"the architecture '{entry.name}' ({entry.distribution} {entry.version}) cannot be "
        f"imported: {type(error).__name__}: {error}. Tell its maintainers; the traceback is "
        f"shown by: python -c 'import {entry.module}'"
    )


def _made_for_another_shared(entry: ArchitectureEntry, error: ImportError) -> str:
    """What its metadata admit, its code does not."""
    required = requirements_named(distribution(entry.distribution), SHARED)
    claim = f"although it requires '{required[0]}'" if required else "which it does not require"
    return (
        f"the architecture '{entry.name}' ({entry.distribution} {entry.version}) is made for "
        f"another {SHARED} than the installed {__version__}, {claim}: {error}. Get a version that "
        f"fits by: pip install --upgrade {entry.distribution}; and tell its maintainers"
    )


def _missing_dependency(entry: ArchitectureEntry, missing: str) -> str:
    message = (
        f"the architecture '{entry.name}' ({entry.distribution} {entry.version}) needs the module "
        f"'{missing}', which is not installed"
    )
    dist = distribution(entry.distribution)
    named = requirements_named(dist, missing.partition(".")[0])
    # a module may be named otherwise than the distribution that brings it, as yaml of pyyaml is
    wanted = named or [each.requirement for each in unmet(requirements(dist))]
    if not wanted:
        return f"{message} and is not among its requirements; tell its maintainers"
    return f"{message}; install it with: pip install " + " ".join(map(_quoted, wanted))


def _quoted(requirement: Requirement) -> str:
    """As the shell takes it, without the marker."""
    return f"'{str(requirement).partition(';')[0].strip()}'"


_CLASS_ATTRIBUTES = {
    "__model__": (
        "__checkpoint_version__",
        "__default_metadata__",
        "__supported_devices__",
        "__supported_dtypes__",
    ),
    "__trainer__": ("__checkpoint_version__",),
}


def _check_exposed(module: ModuleType, entry: ArchitectureEntry) -> None:
    faults = [
        f"{attribute} must be a class"
        for attribute in ("__model__", "__trainer__")
        if not isinstance(getattr(module, attribute, None), type)
    ]
    faults += [
        f"the class {part} lacks {attribute}"
        for part, attributes in _CLASS_ATTRIBUTES.items()
        for attribute in attributes
        if isinstance(getattr(module, part, None), type)
        and not hasattr(getattr(module, part), attribute)
    ]
    faults += [
        f'{attribute} must be a list of ("Name <mail>", "@handle")'
        for attribute in ("__authors__", "__maintainers__")
        if not is_people(getattr(module, attribute, None))
    ]
    if faults:
        raise ArchitectureError(
            f"the architecture '{entry.name}' ({entry.distribution} {entry.version}) does not "
            f"keep the contract: in {entry.module}/__init__.py " + "; ".join(faults)
        )
