"""Heads of new targets that begin as copies of old ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from mt_shared.contract import TargetInfo
from mt_shared.errors import OptionsError, did_you_mean
from mt_shared.model import BaseModel


def inherit_heads(model: BaseModel, wanted: dict[str, str], known: Collection[str]) -> None:
    """Copy head and baseline of an old target into each new one.

    :param wanted: the old target by the new one
    :param known: the targets that the model had before these data
    :raises OptionsError: for a target that is not there, or is of another kind
    """
    for new, old in wanted.items():
        fault = inheritance_fault(new, old, model.dataset_info.targets, known)
        if fault is None and not _same_shapes(model, new, old):
            fault = f"the heads of '{new}' and '{old}' have other layers; give both the same"
        if fault is not None:
            raise OptionsError(f"architecture.training.finetune.inherit_heads: {fault}")
        model.heads[new].load_state_dict(model.heads[old].state_dict())
        model.baselines[new].load_state_dict(model.baselines[old].state_dict())


def inheritance_fault(
    new: str, old: str, targets: dict[str, TargetInfo], known: Collection[str]
) -> str | None:
    """Why ``new`` cannot inherit the head of ``old``, or None.

    :param targets: those of the model and of the data
    """
    if old not in known:
        hint = did_you_mean(old, known)
        return f"the model has no target '{old}'{hint}; it has {', '.join(known)}"
    if new in known:
        return f"'{new}' is a target of the model with a head of its own; name a new target first"
    if new not in targets:
        return f"the data sets have no target '{new}'{did_you_mean(new, targets)}"
    different = list(differences(targets[new], targets[old]))
    if different:
        said = ", ".join(f"{field} {ours!r} and {theirs!r}" for field, ours, theirs in different)
        return f"'{new}' and '{old}' are of different kinds: {said}; they have to agree"
    return None


def differences(ours: TargetInfo, theirs: TargetInfo) -> Iterator[tuple[str, Any, Any]]:
    """What makes two targets of different kinds: unit, sub-targets and so on, by its name."""
    kinds = [replace(each, gradients=(), description="").to_dict() for each in (ours, theirs)]
    for field in kinds[0]:
        if kinds[0][field] != kinds[1][field]:
            yield field, kinds[0][field], kinds[1][field]


def _same_shapes(model: BaseModel, new: str, old: str) -> bool:
    if new not in model.heads or old not in model.heads:
        return False
    shapes = [
        {key: tensor.shape for key, tensor in model.heads[name].state_dict().items()}
        for name in (new, old)
    ]
    return shapes[0] == shapes[1]
