"""Models as they come from their class, with weights that leave nothing zero."""

from __future__ import annotations

import torch

from mt_conformance.abilities import Capabilities, several_targets, targets_of_atoms
from mt_conformance.subjects import Subject
from mt_shared.contract import DatasetInfo, ModelInterface, TargetInfo

ATOMIC_TYPES = (1, 6, 8)
ENERGY = "energy"
OF_STRUCTURE = "mtt::of_structure"
OF_ATOM = "mtt::of_atom"


def targets_for(capabilities: Capabilities) -> dict[str, TargetInfo]:
    """An energy; where there can be more targets, one of each kind with several sub-targets."""
    gradients = tuple(sorted(capabilities["gradients"]))
    targets = {ENERGY: TargetInfo(quantity="energy", unit="eV", gradients=gradients)}
    if several_targets(capabilities):
        targets[OF_STRUCTURE] = TargetInfo(num_subtargets=3)
        if targets_of_atoms(capabilities):
            targets[OF_ATOM] = TargetInfo(sample_kind="atom", num_subtargets=2)
    return targets


def dataset_info_for(subject: Subject, types: tuple[int, ...] = ATOMIC_TYPES) -> DatasetInfo:
    """Lengths in angstrom, hydrogen, carbon and oxygen, and the targets that it is able to."""
    return DatasetInfo("angstrom", types, targets_for(subject.capabilities))


def preferred_dtype(subject: Subject) -> torch.dtype:
    """float64 where it is supported, since exact statements need digits."""
    supported = subject.architecture.model_class.__supported_dtypes__
    return torch.float64 if torch.float64 in supported else supported[0]


def new_model(subject: Subject, info: DatasetInfo) -> ModelInterface:
    """A model of the architecture with random weights, in evaluation mode.

    Layers that begin at zero would make every statement about predictions true, so that all
    parameters get noise.
    """
    torch.manual_seed(0)
    model = subject.architecture.model_class(subject.resolved.model, info)
    model.to(preferred_dtype(subject))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.eval()
