"""Loading one architecture: the only place where the package of an architecture is imported."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.metadata import distribution
from types import ModuleType
from typing import TYPE_CHECKING

from mt_shared.__about__ import __version__
from mt_shared.errors import ArchitectureError
from mt_shared.registry.distributions import SHARED, requirements, requirements_named, unmet
from mt_shared.registry.entries import ArchitectureEntry, find
from mt_shared.registry.package_source import is_people

if TYPE_CHECKING:
    from mt_shared.contract import Architecture


def load(name: str, known: Iterable[str] = ()) -> Architecture:
    """Import the architecture of that name, and no other, and check what it exposes.

    :raises ArchitectureError: also when the import fails or the package breaks the contract
    """
    entry = find(name, known)
    full_name = f"the architecture '{name}' ({entry.distribution} {entry.version})"
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
        name=name,
        model_class=module.__model__,
        trainer_class=module.__trainer__,
        authors=module.__authors__,
        maintainers=module.__maintainers__,
    )


def _reason(entry: ArchitectureEntry, error: BaseException) -> str:
    """Why the import failed and what to do, to go on from the name of the architecture."""
    missing = error.name or "" if isinstance(error, ImportError) else ""
    top_level = missing.partition(".")[0]
    if top_level == "mt_shared":
        # What its metadata admit, its code does not: it uses a name that this mt-shared lacks.
        required = requirements_named(distribution(entry.distribution), SHARED)
        claim = f"although it requires '{required[0]}'" if required else "which it does not require"
        return (
            f"is made for another {SHARED} than the installed {__version__}, {claim}: {error}. "
            f"Get a version that fits by: pip install --upgrade {entry.distribution}; and tell "
            "its maintainers"
        )
    if isinstance(error, ModuleNotFoundError) and top_level not in ("", entry.module):
        needed = f"needs the module '{missing}', which is not installed"
        dist = distribution(entry.distribution)
        # A module may be named otherwise than the distribution that brings it, as yaml of pyyaml
        # is: then whatever is required and not there may bring it.
        to_install = requirements_named(dist, top_level)
        to_install = to_install or [each.requirement for each in unmet(requirements(dist))]
        if not to_install:
            return f"{needed} and is not among its requirements; tell its maintainers"
        # As the shell takes them, without their markers.
        quoted = [f"'{str(each).partition(';')[0].strip()}'" for each in to_install]
        return f"{needed}; install it with: pip install {' '.join(quoted)}"
    return (
        f"cannot be imported: {type(error).__name__}: {error}. Tell its maintainers; the traceback "
        f"is shown by: python -c 'import {entry.module}'"
    )


_CLASS_ATTRIBUTES = {
    "__model__": (
        "__checkpoint_version__",
        "__default_metadata__",
        "__supported_devices__",
        "__supported_dtypes__",
    ),
    "__trainer__": ("__checkpoint_version__",),
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
        faults += [f"the class {name} lacks {attribute}" for attribute in lacking]
    for name in ("__authors__", "__maintainers__"):
        if not is_people(getattr(module, name, None)):
            faults.append(f'{name} must be a list of ("Name <mail>", "@handle")')
    return faults
