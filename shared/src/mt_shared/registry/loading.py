"""Loading one architecture: the only place where the package of an architecture is imported."""

from __future__ import annotations

import builtins
import importlib
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution
from types import ModuleType
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from mt_shared.entry_points import normalized
from mt_shared.errors import ArchitectureError, did_you_mean, nearest
from mt_shared.registry.distributions import (
    Unmet,
    distributions_of,
    modules_required,
    requirements,
    requirements_named,
    unmet,
)
from mt_shared.registry.entries import ArchitectureEntry, find
from mt_shared.registry.package_source import is_people

if TYPE_CHECKING:
    from mt_shared.contract import Architecture


def load(name: str) -> Architecture:
    """Import the architecture of that name, and no other; see :func:`load_entry`."""
    return load_entry(find(name))


def load_entry(entry: ArchitectureEntry) -> Architecture:
    """Import an architecture that :func:`~mt_shared.registry.find` gave, and check what it exposes.

    :raises ArchitectureError: when the import fails or the package breaks the contract
    """
    full_name = f"the architecture '{entry.name}' ({entry.distribution} {entry.version})"
    try:
        module = importlib.import_module(entry.module)
    # Whatever a stranger's package raises is reported as its own fault, with the cause chained;
    # SystemExit too, which would end us without a word.
    except (Exception, SystemExit) as error:
        raise ArchitectureError(f"{full_name} {_reason(entry, error)}") from error
    if faults := _faults_of_exposed(module):
        raise ArchitectureError(
            f"{full_name} does not keep the contract: in {entry.module}/__init__.py "
            + "; ".join(faults)
        )
    from mt_shared.contract import Architecture

    return Architecture(
        name=entry.name,
        model_class=module.__trainer__.trained_class(module.__model__),
        trainer_class=module.__trainer__,
        authors=module.__authors__,
        maintainers=module.__maintainers__,
    )


def _reason(entry: ArchitectureEntry, error: BaseException) -> str:
    """Why the import failed and what to do, to go on from the name of the architecture."""
    place, guess = _place(entry, error), _nearest(entry, error)
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if missing and "." not in missing and missing != entry.module:
        dist = distribution(entry.distribution)
        # A module may be named otherwise than the distribution that brings it, as yaml of pyyaml
        # is: then whatever is required and not there may bring it, unless it is just misspelt.
        to_install = requirements_named(dist, missing)
        if not to_install and not guess:
            to_install = [each.requirement for each in unmet(requirements(dist))]
        needed = f"needs the module '{missing}', which is not installed"
        if to_install:
            return f"{needed}; install it with: {_pip_install(to_install)}"
        if not guess:
            return (
                f"{needed} and is not among its requirements; tell its maintainers, it is imported "
                f"in {place}"
            )
    # Versions are to blame only where the metadata say so: what an author has misspelt, no other
    # version has.
    for clash in _clashes(entry, _lacking(error)):
        return (
            f"is made for {clash.requirement}, but {clash.installed} is installed ({place}: "
            f"{error}); install it with: {_pip_install([clash.requirement])}"
        )
    return (
        f"cannot be imported: {place}: {type(error).__name__}: {error}{guess}. "
        "Mend it there, or tell its maintainers; the traceback is shown by: "
        f"python -c 'import {entry.module}'"
    )


def _place(entry: ArchitectureEntry, error: BaseException) -> str:
    # of an __init__.py that cannot be opened, no line was run that the traceback could name
    return place_in_source(error, entry.module) or f"{entry.folder}/__init__.py, line 1"


def place_in_source(error: BaseException, package: str) -> str | None:
    """File and line of a package's own source that an error has come through last, if any."""
    places = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package
    ]
    if isinstance(error, SyntaxError) and error.filename is not None:
        places.append((error.filename, error.lineno or 1))
    return f"{places[-1][0]}, line {places[-1][1]}" if places else None


def _lacking(error: BaseException) -> str:
    """The module that lacks what was asked of it; empty for other errors."""
    if isinstance(error, ImportError):
        return error.name or ""
    owner = error.obj if isinstance(error, AttributeError) else None
    return owner.__name__ if isinstance(owner, ModuleType) else ""


def _clashes(entry: ArchitectureEntry, module: str) -> Iterator[Unmet]:
    """Requirements for what brings a module that another version of it is installed than asked."""
    top_level = module.partition(".")[0]
    brought_by = {normalized(top_level), *distributions_of(top_level)}
    for each in unmet(requirements(distribution(entry.distribution))):
        if each.installed is not None and normalized(each.requirement.name) in brought_by:
            yield each


def _nearest(entry: ArchitectureEntry, error: BaseException) -> str:
    """Of a name that is not there, the nearest one that is: `` (did you mean 'x'?)``."""
    if isinstance(error, ModuleNotFoundError):
        package, _, name = (error.name or "").rpartition(".")
        if not package:
            dist = distribution(entry.distribution)
            return did_you_mean(name, [*sys.stdlib_module_names, *modules_required(dist)])
        found = nearest(name, _names_in(entry, package))
        return f" (did you mean '{package}.{found}'?)" if found else ""
    if isinstance(error, ImportError):
        wanted = re.match(r"cannot import name '(\w+)'", str(error))
        return did_you_mean(wanted[1], _names_in(entry, error.name or "")) if wanted else ""
    # Python has guesses of its own for these two, but shows them with a traceback alone
    if isinstance(error, NameError):
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        known = {**frames[-1].f_globals, **frames[-1].f_locals, **vars(builtins)}
        return did_you_mean(error.name or "", known)
    if isinstance(error, AttributeError):
        return did_you_mean(error.name or "", dir(error.obj))
    return ""


def _names_in(entry: ArchitectureEntry, module: str) -> list[str]:
    """What can be imported from a module: its names, and the modules in its folder."""
    loaded = sys.modules.get(module)
    folders = list(getattr(loaded, "__path__", []))
    top_level, *inside = module.split(".")
    if loaded is None and top_level == entry.module and entry.folder is not None:
        # a package whose import has failed is not kept, but its folder is known
        folders = [str(entry.folder.joinpath(*inside))]
    known = {} if loaded is None else vars(loaded)
    names = [*known, *(each.name for each in pkgutil.iter_modules(folders))]
    return [name for name in names if not name.startswith("_")]


def _pip_install(required: Iterable[Requirement]) -> str:
    # as the shell takes them, without their markers
    quoted = [f"'{str(each).partition(';')[0].strip()}'" for each in required]
    return f"pip install {' '.join(quoted)}"


_CLASS_ATTRIBUTES = {
    "__model__": (
        "__checkpoint_version__",
        "__default_metadata__",
        "__supported_devices__",
        "__supported_dtypes__",
    ),
    "__trainer__": ("__checkpoint_version__", "trained_class"),
}


def _faults_of_exposed(module: ModuleType) -> list[str]:
    """What a package's ``__init__.py`` lacks of the contract."""
    faults = []
    for name, attributes in _CLASS_ATTRIBUTES.items():
        exposed = getattr(module, name, None)
        if not isinstance(exposed, type):
            faults.append(f"{name} must be a class")
            continue
        lacking = [attribute for attribute in attributes if not hasattr(exposed, attribute)]
        if "trained_class" in lacking:
            faults.append(f"derive the class {name} from mt_shared.contract.TrainerInterface")
            continue
        faults += [f"the class {name} lacks {attribute}" for attribute in lacking]
        methods = sorted(getattr(exposed, "__abstractmethods__", ()))
        faults += [f"the class {name} lacks the method {method}" for method in methods]
    for name in ("__authors__", "__maintainers__"):
        if not is_people(getattr(module, name, None)):
            faults.append(f'{name} must be a list of ("Name <mail>", "@handle")')
    return faults
