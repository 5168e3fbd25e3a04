"""The architecture under test, with what it says of itself and how closely it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from mt_conformance.abilities import DEFAULT_CAPABILITIES, Capabilities
from mt_shared.contract import Architecture
from mt_shared.hypers import Hypers, merge_hypers, resolve_hypers
from mt_shared.options import deep_merge
from mt_shared.registry import ArchitectureEntry, installed, load


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


@dataclass(frozen=True)
class Subject:
    """One architecture under test.

    ``hypers`` are the tiny ones of its ``conformance.py``: what differs from its defaults in the
    sections ``model`` and ``training``.
    """

    entry: ArchitectureEntry
    hypers: dict[str, dict[str, Any]] = field(default_factory=dict)
    tolerances: Tolerances = field(default_factory=Tolerances)
    expected_failures: dict[str, str] = field(default_factory=dict)
    num_epochs_to_learn: int = 200

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def capabilities(self) -> Capabilities:
        given = self.entry.capabilities
        return DEFAULT_CAPABILITIES if given is None else given

    @property
    def model_options(self) -> set[str]:
        """Names in the section ``model`` of its default hypers."""
        return set(merge_hypers(self.entry, {}).model)

    @cached_property
    def architecture(self) -> Architecture:
        return load(self.name)

    @property
    def resolved(self) -> Hypers:
        """The tiny hypers in the defaults, checked, as model and trainer get them."""
        return resolve_hypers(self.entry, self.hypers, source="HYPERS in conformance.py")

    def training_hypers(self, **wanted: Any) -> dict[str, Any]:
        """The section ``training`` for a test: the tiny hypers, and of these those it knows."""
        known = merge_hypers(self.entry, {}).training
        usable = {name: value for name, value in wanted.items() if name in known}
        return dict(deep_merge(self.hypers.get("training", {}), usable))


@cache
def subject_of(name: str) -> Subject:
    """The installed architecture of a name; a broken one too, whose tests then say why."""
    entry = installed()[name]
    module = None if entry.error else _conformance_module(entry)
    if module is None:
        return Subject(entry)
    return Subject(
        entry,
        hypers=getattr(module, "HYPERS", {}),
        tolerances=Tolerances(**getattr(module, "TOLERANCES", {})),
        expected_failures=getattr(module, "EXPECTED_FAILURES", {}),
        num_epochs_to_learn=getattr(module, "NUM_EPOCHS_TO_LEARN", Subject.num_epochs_to_learn),
    )


def _conformance_module(entry: ArchitectureEntry) -> ModuleType | None:
    """The architecture's ``conformance.py``, which a stranger's package may leave out."""
    name = f"{entry.module}.conformance"
    return import_module(name) if find_spec(name) else None
