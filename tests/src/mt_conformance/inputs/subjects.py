"""The architecture under test, with what it says of itself and how closely it is looked at."""

from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from typing import Any

import torch

from mt_conformance.inputs import abilities
from mt_conformance.inputs.abilities import DEFAULT_CAPABILITIES, Capabilities
from mt_conformance.inputs.extra import ExtraInput, extra_inputs
from mt_conformance.inputs.targets import LabelledTarget, targets_of
from mt_shared.contract import Architecture, DatasetInfo, ModelInterface, Statistics
from mt_shared.engine import Trainer
from mt_shared.errors import UserError
from mt_shared.options import Hypers, deep_merge, engine_defaults, merge_hypers, resolve_hypers
from mt_shared.registry import ArchitectureEntry, load, look_up

Model = ModelInterface[Any]
"""Of any architecture, whatever it calls its hypers."""
CONFORMANCE = "conformance.py"
ATOMIC_TYPES = (1, 6, 8)


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
    training32: float = 1e-3
    """The errors of a training in float32 against those of its exported model."""
    training64: float = 1e-8
    """The errors of a training in float64 against those of its exported model."""
    learnt: float = 0.3
    """Error of a learnt tiny set, of the forces where there are any, by that of the baseline."""
    augmented: float = 0.3
    """Deviation of forces on turned structures, where rotations are learnt, by the forces."""

    def engine(self, dtype: torch.dtype) -> float:
        """An engine against ``mt eval``, of a model in this dtype."""
        return self.engine32 if dtype == torch.float32 else self.engine64

    def training(self, dtype: torch.dtype) -> float:
        """The errors of a training in this dtype against those of its exported model."""
        return self.training32 if dtype == torch.float32 else self.training64


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
            model_class = self.model_class
        except UserError:
            return DEFAULT_CAPABILITIES
        dtypes = [str(dtype).removeprefix("torch.") for dtype in model_class.__supported_dtypes__]
        devices = list(model_class.__supported_devices__)
        return DEFAULT_CAPABILITIES | {"dtypes": dtypes, "devices": devices}

    @cached_property
    def targets(self) -> dict[str, LabelledTarget]:
        """What it is trained on; the first is the main one."""
        return targets_of(self.capabilities)

    @property
    def main(self) -> LabelledTarget:
        """The target that most tests are about: an energy where that is possible."""
        return next(iter(self.targets.values()))

    @property
    def learnt_quantity(self) -> str:
        """What tells best how well it has learnt: forces, or the main target without them."""
        return "forces" if abilities.forces(self.capabilities) else self.main.name

    @cached_property
    def inputs(self) -> dict[str, ExtraInput]:
        """What it reads beside positions and types."""
        return extra_inputs(self.capabilities["inputs"])

    def dataset_info(self, types: tuple[int, ...] = ATOMIC_TYPES) -> DatasetInfo:
        """Data of all its targets, with all its inputs."""
        targets = {name: target.info for name, target in self.targets.items()}
        inputs = {name: each.info for name, each in self.inputs.items()}
        # a model may divide by the mean number of neighbors; what it is does not matter here
        statistics = Statistics(num_structures=10, num_atoms=100, count_neighbors=lambda _: 20.0)
        return DatasetInfo("angstrom", types, targets, inputs, statistics)

    @property
    def model_options(self) -> set[str]:
        """Names in the section ``model`` of its default hypers."""
        return set(merge_hypers(self.entry, {}).model)

    @cached_property
    def architecture(self) -> Architecture:
        return load(self.name)

    @property
    def model_class(self) -> type[Model]:
        """What is trained: the class of the architecture, or an adapter around it."""
        return self.architecture.model_class

    @property
    def uses_shared_trainer(self) -> bool:
        """Whether the shared engine trains it; not, where its trainer cannot be loaded."""
        try:
            return issubclass(self.architecture.trainer_class, Trainer)
        except UserError:
            return False

    @property
    def dtype(self) -> torch.dtype:
        """float64 where it is supported, since exact statements need digits."""
        supported = self.model_class.__supported_dtypes__
        return torch.float64 if torch.float64 in supported else supported[0]

    @property
    def resolved(self) -> Hypers:
        """The tiny hypers in the defaults, checked, as model and trainer get them."""
        return resolve_hypers(self.entry, self.hypers, source="HYPERS in conformance.py")

    def training_hypers(self, **wanted: Any) -> dict[str, Any]:
        """The section ``training`` for a test: the tiny hypers, and of these those it knows."""
        tiny = self.hypers.get("training", {})
        return dict(deep_merge(tiny, self.known_hypers(**wanted)))

    def known_hypers(self, **wanted: Any) -> dict[str, Any]:
        """Of these hypers of a training those that it knows."""
        # a fit in closed form knows no epochs; what a test wants of it is what there is
        known = set(merge_hypers(self.entry, {}).training)
        # without a schema, those of the shared trainer stand in no file of the architecture
        if self.uses_shared_trainer:
            known |= set(engine_defaults())
        return {name: value for name, value in wanted.items() if name in known}


@cache
def subject_of(name: str) -> Subject:
    """The installed architecture of a name; a broken one too, whose tests then say why.

    :raises ArchitectureError: there is none of that name
    """
    entry = look_up(name)
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
