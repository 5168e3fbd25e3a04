"""The architecture under test, with what it says of itself and how closely it is looked at."""

from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from typing import Any

import torch

from mt_conformance.inputs import abilities
from mt_conformance.inputs.abilities import DEFAULT_CAPABILITIES, Capabilities
from mt_shared.contract import Architecture, DatasetInfo, TargetInfo
from mt_shared.errors import UserError
from mt_shared.options import Hypers, deep_merge, merge_hypers, resolve_hypers
from mt_shared.registry import ArchitectureEntry, installed, load

CONFORMANCE = "conformance.py"
ATOMIC_TYPES = (1, 6, 8)
ENERGY = "energy"
OF_STRUCTURE = "mtt::of_structure"
OF_ATOM = "mtt::of_atom"


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

    @cached_property
    def capabilities(self) -> Capabilities:
        """What it says of itself, or what is taken for granted but for what its class says."""
        if self.entry.capabilities is not None:
            return self.entry.capabilities
        try:
            model_class = self.architecture.model_class
        except UserError:
            return DEFAULT_CAPABILITIES
        dtypes = [str(dtype).removeprefix("torch.") for dtype in model_class.__supported_dtypes__]
        devices = list(model_class.__supported_devices__)
        return DEFAULT_CAPABILITIES | {"dtypes": dtypes, "devices": devices}

    def dataset_info(self, types: tuple[int, ...] = ATOMIC_TYPES) -> DatasetInfo:
        """An energy; where there can be more targets, one of each kind with several sub-targets."""
        gradients = tuple(sorted(self.capabilities["gradients"]))
        targets = {ENERGY: TargetInfo(quantity="energy", unit="eV", gradients=gradients)}
        if abilities.several_targets(self.capabilities):
            targets[OF_STRUCTURE] = TargetInfo(num_subtargets=3)
            if abilities.targets_of_atoms(self.capabilities):
                targets[OF_ATOM] = TargetInfo(sample_kind="atom", num_subtargets=2)
        return DatasetInfo("angstrom", types, targets)

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
    if entry.error or entry.folder is None or not (entry.folder / CONFORMANCE).is_file():
        return Subject(entry)
    try:
        module = import_module(f"{entry.module}.conformance")
        return Subject(
            entry,
            hypers=getattr(module, "HYPERS", {}),
            tolerances=Tolerances(**getattr(module, "TOLERANCES", {})),
            expected_failures=getattr(module, "EXPECTED_FAILURES", {}),
            num_epochs_to_learn=getattr(module, "NUM_EPOCHS_TO_LEARN", Subject.num_epochs_to_learn),
        )
    # whatever a stranger's file raises is a fault of that file
    except Exception as error:
        return Subject(entry, fault=f"{type(error).__name__}: {error}")
