"""The checkpoint that a fine-tuning starts from: refused, with the reason, before data are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mt_core.options import TrainingOptions
from mt_core.training.restart import check_architecture
from mt_core.training.run_folder import changes
from mt_shared.contract import (
    Architecture,
    DatasetInfo,
    TargetInfo,
    read_checkpoint,
    target_type_from_dict,
)
from mt_shared.engine import differences, inheritance_fault
from mt_shared.errors import CheckpointError, OptionsError
from mt_shared.options import TargetSpec, deep_merge

READ_FROM = "architecture.training.finetune.read_from"


def read_start(plan: TrainingOptions, architecture: Architecture) -> dict[str, Any] | None:
    """The checkpoint to fine-tune, of the current version; None where nothing is fine-tuned.

    :raises CheckpointError: for a file that is none, or is of another architecture, of other
        units or of a newer version
    """
    if plan.finetune is None:
        return None
    path = Path(plan.finetune["read_from"])
    checkpoint = read_checkpoint(path)
    check_architecture(checkpoint, architecture.name)
    checkpoint = upgraded(checkpoint, architecture)
    known = DatasetInfo.from_dict(checkpoint["dataset_info"])
    _check_hypers(plan, checkpoint, path)
    _check_units(plan, known, path)
    _check_inheritance(plan.finetune.get("inherit_heads", {}), plan, known)
    return checkpoint


def upgraded(checkpoint: dict[str, Any], architecture: Architecture) -> dict[str, Any]:
    """A checkpoint brought to the current version.

    :raises CheckpointError: for one of a newer version
    """
    checkpoint = architecture.model_class.upgrade_checkpoint(checkpoint)
    # a model that was saved by itself has nothing of a trainer
    if "trainer_version" in checkpoint:
        checkpoint = architecture.trainer_class.upgrade_checkpoint(checkpoint)
    return checkpoint


def with_hypers_of(plan: TrainingOptions, checkpoint: dict[str, Any]) -> TrainingOptions:
    """The options with the model hypers of a checkpoint: a fine-tuned model keeps them."""
    hypers = checkpoint["model_hypers"]
    section = plan.resolved["architecture"] | {"model": hypers}
    return replace(
        plan,
        architecture=replace(plan.architecture, model=hypers),
        resolved=plan.resolved | {"architecture": section},
    )


def _check_hypers(plan: TrainingOptions, checkpoint: dict[str, Any], path: Path) -> None:
    own = checkpoint["model_hypers"]
    wanted = deep_merge(own, plan.architecture.given_model)
    different = changes({"architecture.model": own}, {"architecture.model": wanted})
    if different:
        raise OptionsError(
            f"the model of '{path}' ({READ_FROM}) keeps the hypers that it was made with, and the "
            f"options give others: {'; '.join(map(str, different))}. Leave them out, or train a "
            "new model"
        )


def _check_units(plan: TrainingOptions, known: DatasetInfo, path: Path) -> None:
    faults = list(_unit_faults(plan, known))
    if faults:
        raise CheckpointError(
            f"'{path}' ({READ_FROM}) does not go with these data: {'; '.join(faults)}. A model "
            "keeps the units that it was trained in: convert the data, or name the units of the "
            "model if they are meant"
        )


def _unit_faults(plan: TrainingOptions, known: DatasetInfo) -> Iterator[str]:
    for unit in dict.fromkeys(spec.systems.length_unit or "" for spec in plan.training_set):
        if unit != known.length_unit:
            yield f"it has lengths in '{known.length_unit}', the options in '{unit}'"
    for name, target in _targets(plan).items():
        for field, ours, theirs in differences(target, known.targets.get(name, target)):
            yield f"its target '{name}' has the {field} {theirs!r}, that of the options {ours!r}"


def _targets(plan: TrainingOptions) -> dict[str, TargetInfo]:
    return {target.name: _info(target) for spec in plan.training_set for target in spec.targets}


def _info(target: TargetSpec) -> TargetInfo:
    return TargetInfo(
        quantity=target.quantity,
        unit=target.unit,
        sample_kind=target.sample_kind,
        type=target_type_from_dict(target.type),
        num_subtargets=target.num_subtargets,
    )


def _check_inheritance(wanted: dict[str, str], plan: TrainingOptions, known: DatasetInfo) -> None:
    targets = known.targets | _targets(plan)
    for new, old in wanted.items():
        fault = inheritance_fault(new, old, targets, known.targets)
        if fault is not None:
            raise OptionsError(f"architecture.training.finetune.inherit_heads: {fault}")
