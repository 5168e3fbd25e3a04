"""The architectures that are installed, and what metadata and data files say of them.

Architectures are entry points of the group ``mt.architectures``: the name is the one of options
files, the value is the top-level module. None of them is imported here.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from mt_shared.__about__ import __version__
from mt_shared.entry_points import entry_points_of, package_folder
from mt_shared.errors import ArchitectureError, UserError, did_you_mean, nearest
from mt_shared.registry.distributions import (
    SHARED,
    facts,
    modules_of,
    requirements_named,
    unmet,
)
from mt_shared.registry.package_source import People, read_people

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
    for point in sorted(entry_points_of(GROUP), key=lambda point: point.name):
        entry = _read(point)
        if entry.name in entries:
            # Which of the two is meant, nobody can know: neither can be used.
            both = sorted([entries[entry.name].distribution, entry.distribution])
            error = (
                f"two installed distributions provide it, {both[0]} and {both[1]}; "
                f"uninstall one of them: pip uninstall {both[0]}, or pip uninstall {both[1]}"
            )
            entry = ArchitectureEntry(entry.name, " and ".join(both), "", "", error=error)
        entries[entry.name] = entry
    return entries


def look_up(name: str, known: Iterable[str] = ()) -> ArchitectureEntry:
    """The installed architecture of that name, even if it is broken.

    :param known: names that exist whether installed or not, as ``pip install mt-<name>``
    """
    entries = installed()
    if name in entries:
        return entries[name]
    known = sorted(known)
    message = f"the architecture '{name}' is not installed"
    if name in known:
        message += f"; install it with: pip install {distribution_name(name)}"
        raise ArchitectureError(message)
    match = nearest(name, {*entries, *known})
    if match:
        message += f" (did you mean '{match}'?"
        if match not in entries:
            message += f" Install it with: pip install {distribution_name(match)}"
        message += ")"
    message += "; installed: " + (", ".join(sorted(entries)) or "none")
    missing = [distribution_name(each) for each in known if each not in entries and each != match]
    if missing:
        message += f"; to be had with pip install: {' '.join(missing)}"
    raise ArchitectureError(f"{message}; every known one is shown by: mt list")


def find(name: str, known: Iterable[str] = ()) -> ArchitectureEntry:
    """The installed architecture of that name, fit for use; ``known`` as in :func:`look_up`."""
    entry = look_up(name, known)
    if entry.error:
        raise ArchitectureError(f"the architecture '{name}' cannot be used: {entry.error}")
    return entry


def _read(point: EntryPoint) -> ArchitectureEntry:
    """What metadata and data files say, or the reason why they say nothing useful."""
    # Completed step by step, so that an error comes with all that was known before it.
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
        # Before the data files: what is made for another mt-shared may well have others.
        for clash in unmet(requirements_named(point.dist, SHARED)):
            raise ArchitectureError(
                f"{entry.distribution} {entry.version} is made for {clash.requirement}, but "
                f"{SHARED} {clash.installed} is installed; get a version for this {SHARED} by: "
                f"pip install --upgrade {entry.distribution}; or keep it, and get the {SHARED} "
                f"that it needs by: pip install '{clash.requirement}'"
            )
        return replace(
            entry,
            capabilities=read_capabilities(folder / CAPABILITIES),
            default_hypers=_read_hypers(folder / DEFAULT_HYPERS, entry.name),
            schema=_read_schema(folder / SCHEMA),
        )
    except UserError as error:
        return replace(entry, error=str(error))
    # Whatever else is wrong with a stranger's package must not hinder the others.
    except Exception as error:
        reason = f"its files cannot be read: {type(error).__name__}: {error}"
        return replace(entry, error=reason)


def _folder(entry: ArchitectureEntry) -> Path:
    """The package's folder, found without importing it."""
    package = re.split(r"[:.]", entry.module)[0].replace("-", "_")
    if entry.module != package or not package.isidentifier():
        raise ArchitectureError(
            f"the entry point of {entry.distribution} is '{entry.module}'; "
            f"expected the name of a top-level package; {_write(entry.name, package)}"
        )
    folder = package_folder(package)
    if folder is None:
        # one that an editable installation brings is not listed: by the rule for names
        brought = {*modules_of(entry.distribution), entry.distribution.replace("-", "_")}
        for module in sorted(brought):
            if module.isidentifier() and package_folder(module) is not None:
                raise ArchitectureError(
                    f"the entry point of {entry.distribution} names the package '{package}', which "
                    f"is not there, and '{module}' is; {_write(entry.name, module)}"
                )
        raise ArchitectureError(
            f"{entry.distribution} {entry.version} names the package '{package}', which is "
            f"not there; reinstall it: pip install --force-reinstall {entry.distribution}"
        )
    return folder


def _write(name: str, package: str) -> str:
    """How the entry point of an architecture is written, for its author."""
    return (
        f'write {name} = "{package}" below [project.entry-points."{GROUP}"] in pyproject.toml, and '
        "install it again"
    )


def read_capabilities(path: Path) -> dict[str, Any] | None:
    """What a ``capabilities.yaml`` states, checked and complete; None where there is none."""
    # Here as below: who imports the registry for a name or a type should not pay for YAML.
    from mt_shared.options import check, read_yaml

    if not path.is_file():
        return None
    capabilities: dict[str, Any] = read_yaml(path)
    check(capabilities, capabilities_schema(), str(path))
    # what is not stated is not there
    return {"inputs": [], "intensive": False, "extensions": False} | capabilities


@cache
def capabilities_schema() -> dict[str, Any]:
    """The JSON schema of an architecture's ``capabilities.yaml``."""
    from mt_shared.options import input_name_schema

    path = Path(__file__).with_name("schema-capabilities.json")
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    # which names there are is known elsewhere
    schema["properties"]["inputs"]["items"] = input_name_schema()
    return schema


def _read_hypers(path: Path, name: str) -> dict[str, Any]:
    """The defaults of the architecture ``name``, each section a mapping."""
    from mt_shared.options import read_yaml

    if not path.is_file():
        raise ArchitectureError(f"the package has no {path.name}, which is required")
    hypers = read_yaml(path)
    if not isinstance(hypers, dict):
        raise ArchitectureError(f"{path} is not a mapping of 'name', 'model' and 'training'")
    sections = ("name", "model", "training")
    # What is in a section of another name would be left out without a word.
    unknown = [
        f"unknown section '{key}'{did_you_mean(key, sections)}"
        for key in hypers
        if key not in sections
    ]
    if unknown:
        raise ArchitectureError(
            f"{path}: {'; '.join(unknown)}; expected 'name', 'model' and 'training' alone"
        )
    for section in ("model", "training"):
        # An empty section is read as null.
        hypers[section] = {} if hypers.get(section) is None else hypers[section]
        if not isinstance(hypers[section], dict):
            raise ArchitectureError(f"{path}: '{section}' is not a mapping of hypers")
    if hypers.get("name") != name:
        found = f"found 'name: {hypers['name']}'" if "name" in hypers else "'name' is missing"
        raise ArchitectureError(
            f"{path}: {found}, expected 'name: {name}', as the entry point of the package says"
        )
    return hypers


def _read_schema(path: Path) -> dict[str, Any] | None:
    from mt_shared.options import engine_schemas, schema_fault

    if not path.is_file():
        return None
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArchitectureError(f"{path} is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise ArchitectureError(f"{path} is not a JSON schema: expected an object")
    fault = schema_fault(schema, engine_schemas())
    if fault is not None:
        raise ArchitectureError(f"{path} is no schema for {SHARED} {__version__}: {fault}")
    return schema
