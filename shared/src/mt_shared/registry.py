"""Which architectures are installed, what they say of themselves, and how to load one.

Architectures are entry points of the group ``mt.architectures``: the name is the one of options
files, the value is the top-level module. Listing reads metadata and data files alone and imports
no architecture; :func:`load` imports exactly one.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points, requires
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mt_shared.errors import ArchitectureError, UserError, nearest

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
    the package leaves those files out.
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


def distribution_name(name: str) -> str:
    """The distribution of a first-party architecture: ``soap_bpnn`` is in ``mt-soap-bpnn``."""
    return "mt-" + name.replace("_", "-")


def installed() -> dict[str, ArchitectureEntry]:
    """Every installed architecture by name, the broken ones with their error."""
    entries: dict[str, ArchitectureEntry] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        entry = _read(point)
        clash = entries.get(entry.name)
        entries[entry.name] = _clash(clash, entry) if clash else entry
    return entries


def find(name: str, known: Iterable[str] = ()) -> ArchitectureEntry:
    """The installed architecture of that name.

    :param known: names that exist whether installed or not, as ``pip install mt-<name>``
    :raises ArchitectureError: not installed, broken, or two distributions claim the name
    """
    entries = installed()
    if name not in entries:
        raise ArchitectureError(_not_installed(name, entries, known))
    entry = entries[name]
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


def _read(point: EntryPoint) -> ArchitectureEntry:
    """What metadata and data files say, or the reason why they say nothing useful."""
    distribution = point.dist.name if point.dist else "unknown"
    version = point.dist.version if point.dist else "unknown"
    entry = ArchitectureEntry(point.name, distribution, version, point.value)
    try:
        folder = _folder(entry)
        return replace(entry, folder=folder, **_data_files(folder))
    except UserError as error:
        return replace(entry, error=str(error))
    except OSError as error:
        return replace(entry, error=f"its files cannot be read: {error}")


def _folder(entry: ArchitectureEntry) -> Path:
    """The package's folder, found without importing it."""
    # find_spec imports the parents of a dotted name, so only a top-level module will do
    if not entry.module.isidentifier():
        raise ArchitectureError(
            f"the entry point of {entry.distribution} is '{entry.module}'; "
            "expected the name of a top-level package"
        )
    spec = find_spec(entry.module)
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise ArchitectureError(
            f"{entry.distribution} {entry.version} names the package '{entry.module}', which is "
            f"not there; reinstall it: pip install --force-reinstall {entry.distribution}"
        )
    return Path(next(iter(locations)))


def _data_files(folder: Path) -> dict[str, Any]:
    """The fields of an entry that are read from the package's data files."""
    # here, since a command that only needs the names should not pay for YAML
    from mt_shared.options import check, read_yaml

    hypers_file = folder / DEFAULT_HYPERS
    if not hypers_file.is_file():
        raise ArchitectureError(f"the package has no {DEFAULT_HYPERS}, which is required")
    capabilities = None
    capabilities_file = folder / CAPABILITIES
    if capabilities_file.is_file():
        capabilities = read_yaml(capabilities_file)
        check(capabilities, capabilities_schema(), str(capabilities_file))
    hypers = read_yaml(hypers_file)
    if not isinstance(hypers, dict):
        raise ArchitectureError(f"{hypers_file} is not a mapping of 'model' and 'training'")
    return {
        "capabilities": capabilities,
        "default_hypers": hypers,
        "schema": _read_schema(folder / SCHEMA),
    }


def _read_schema(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArchitectureError(f"{path} is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise ArchitectureError(f"{path} is not a JSON schema: expected an object")
    return schema


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
        "uninstall one of them: pip uninstall NAME"
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
    except ModuleNotFoundError as error:
        if _is_own(error.name, entry.module):
            raise _broken(entry, error) from error
        raise ArchitectureError(_missing_dependency(entry, error.name or "")) from error
    # whatever a stranger's package raises is reported as its own fault, with the cause chained
    except Exception as error:
        raise _broken(entry, error) from error


def _is_own(missing: str | None, module: str) -> bool:
    return missing is None or missing.split(".")[0] == module


def _broken(entry: ArchitectureEntry, error: Exception) -> ArchitectureError:
    return ArchitectureError(
        f"the architecture '{entry.name}' ({entry.distribution} {entry.version}) cannot be "
        f"imported: {type(error).__name__}: {error}. Tell its maintainers; the traceback is "
        f"shown by: python -c 'import {entry.module}'"
    )


def _missing_dependency(entry: ArchitectureEntry, missing: str) -> str:
    requirement = _requirement_of(entry.distribution, missing)
    remedy = f"pip install '{requirement}'" if requirement else f"pip install {missing}"
    return (
        f"the architecture '{entry.name}' ({entry.distribution} {entry.version}) needs the module "
        f"'{missing}', which is not installed; install it with: {remedy}"
    )


def _requirement_of(distribution: str, module: str) -> str | None:
    """The requirement of the distribution that is named like the missing module."""
    wanted = _normalized(module.split(".")[0])
    for line in requires(distribution) or []:
        requirement, _, _ = line.partition(";")
        match = re.match(r"[\w.-]+", requirement)
        if match and _normalized(match[0]) == wanted:
            return requirement.strip()
    return None


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


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
        if not _is_people(getattr(module, attribute, None))
    ]
    if faults:
        raise ArchitectureError(
            f"the architecture '{entry.name}' ({entry.distribution} {entry.version}) does not "
            f"keep the contract: in {entry.module}/__init__.py " + "; ".join(faults)
        )


def _is_people(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(
        isinstance(person, (list, tuple))
        and len(person) == 2
        and all(isinstance(part, str) for part in person)
        for person in value
    )
