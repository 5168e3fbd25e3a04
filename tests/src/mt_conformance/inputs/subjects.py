"""The architecture under test, with what it says of itself and how closely it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from types import ModuleType
from typing import Any

import torch

from mt_conformance.inputs.abilities import DEFAULT_CAPABILITIES, Capabilities
from mt_shared.contract import Architecture
from mt_shared.errors import UserError
from mt_shared.options import Hypers, deep_merge, merge_hypers, resolve_hypers
from mt_shared.registry import ArchitectureEntry, installed, load

CONFORMANCE = "conformance.py"


@dataclass(frozen=True)
class Tolerances:
    """How closely numbers have to agree, relative to the largest of them (at least one).

    The suite's own are for float64; an architecture changes those that do not fit it, with the
    reason, in ``TOLERANCES`` of its ``conformance.py``.
    """

    same: float = 1e-10
    """The same physics in another order of summation: symmetries, batches, selections."""
    finite_differences: float = 1e-6
    """Forces and stress against differences of energies, in float64."""
    smooth: float = 1e-4
    """Jump of energy and forces, by the largest force, where an atom crosses the cutoff."""
    precision: float = 1e-5
    """float32 against float64; energies of a structure by its number of atoms."""
    engine32: float = 1e-5
    """An engine against ``mt eval`` in float32."""
    engine64: float = 1e-10
    """An engine against ``mt eval`` in float64."""
    learnt: float = 0.3
    """Force error (energy error without forces) of a learnt tiny set, by that of the baseline."""
    augmented: float = 0.3
    """Deviation of forces on turned structures, where rotations are learnt, by the forces."""


@dataclass(frozen=True)
class Subject:
    """One architecture under test.

    ``hypers`` are the tiny ones of its ``conformance.py``: what differs from its defaults in the
    sections ``model`` and ``training``; ``fault`` says why that file cannot be used, if so.
    """

    entry: ArchitectureEntry
    hypers: dict[str, dict[str, Any]] = field(default_factory=dict)
    tolerances: Tolerances = field(default_factory=Tolerances)
    expected_failures: dict[str, str] = field(default_factory=dict)
    num_epochs_to_learn: int = 200
    fault: str | None = None

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def capabilities(self) -> Capabilities:
        given = self.entry.capabilities
        return _assumed_of(self.name) if given is None else given

    @property
    def model_options(self) -> set[str]:
        """Names in the section ``model`` of its default hypers."""
        return set(merge_hypers(self.entry, {}).model)

    @cached_property
    def architecture(self) -> Architecture:
        return load(self.name)

    @property
    def dtype(self) -> torch.dtype:
        """float64 where it is supported, since exact statements need digits."""
        supported = self.architecture.model_class.__supported_dtypes__
        return torch.float64 if torch.float64 in supported else supported[0]

    @property
    def resolved(self) -> Hypers:
        """The tiny hypers in the defaults, checked, as model and trainer get them."""
        return resolve_hypers(self.entry, self.hypers, source="HYPERS in conformance.py")

    def training_hypers(self, **wanted: Any) -> dict[str, Any]:
        """The section ``training`` for a test: the tiny hypers, and of these those it knows."""
        # a fit in closed form knows no epochs; what a test wants of it is what there is
        known = merge_hypers(self.entry, {}).training
        usable = {name: value for name, value in wanted.items() if name in known}
        return dict(deep_merge(self.hypers.get("training", {}), usable))


@cache
def subject_of(name: str) -> Subject:
    """The installed architecture of a name; a broken one too, whose tests then say why."""
    entry = installed()[name]
    if entry.error:
        return Subject(entry)
    try:
        module = _conformance_module(entry)
        return Subject(entry) if module is None else _described(entry, module)
    # whatever a stranger's file raises is a fault of that file
    except Exception as error:
        return Subject(entry, fault=f"{type(error).__name__}: {error}")


def _described(entry: ArchitectureEntry, module: ModuleType) -> Subject:
    return Subject(
        entry,
        hypers=getattr(module, "HYPERS", {}),
        tolerances=Tolerances(**getattr(module, "TOLERANCES", {})),
        expected_failures=getattr(module, "EXPECTED_FAILURES", {}),
        num_epochs_to_learn=getattr(module, "NUM_EPOCHS_TO_LEARN", Subject.num_epochs_to_learn),
    )


def _conformance_module(entry: ArchitectureEntry) -> ModuleType | None:
    """The architecture's ``conformance.py``, which a stranger's package may leave out."""
    if entry.folder is None or not (entry.folder / CONFORMANCE).is_file():
        return None
    return import_module(f"{entry.module}.conformance")


@cache
def _assumed_of(name: str) -> Capabilities:
    """What is taken for granted without ``capabilities.yaml``, but for what its class says."""
    try:
        model_class = load(name).model_class
    except UserError:
        return DEFAULT_CAPABILITIES
    dtypes = [str(dtype).removeprefix("torch.") for dtype in model_class.__supported_dtypes__]
    devices = list(model_class.__supported_devices__)
    return DEFAULT_CAPABILITIES | {"dtypes": dtypes, "devices": devices}
