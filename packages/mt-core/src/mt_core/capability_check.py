"""Whether an architecture can do what the options ask for, before any data are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mt_core.options import TrainingOptions
from mt_shared.data.specs import DatasetSpec, TargetSpec
from mt_shared.errors import ArchitectureError
from mt_shared.registry import ArchitectureEntry, installed

GRADIENT_OF = {"forces": "positions", "stress": "strain", "virial": "strain"}


def check_capabilities(entry: ArchitectureEntry, specs: tuple[DatasetSpec, ...]) -> None:
    """Refuse targets that the architecture's ``capabilities.yaml`` does not name.

    :raises ArchitectureError: says which installed architecture could do it
    """
    if entry.capabilities is None:
        return
    lacking = list(missing(entry.capabilities, specs))
    if not lacking:
        return
    able = [
        other
        for other, candidate in installed().items()
        if candidate.capabilities and not list(missing(candidate.capabilities, specs))
    ]
    advice = f"installed and able: {', '.join(able)}" if able else "no installed architecture can"
    raise ArchitectureError(
        f"the architecture '{entry.name}' cannot be trained on these targets: {'; '.join(lacking)} "
        f"({advice}; mt list shows what each one does)"
    )


def check_finetuning(entry: ArchitectureEntry, options: TrainingOptions) -> None:
    """Refuse a method of fine-tuning that the architecture's ``capabilities.yaml`` does not name.

    :raises ArchitectureError: says which methods it has
    """
    if entry.capabilities is None or options.finetune is None:
        return
    method, known = options.finetune.get("method", "full"), entry.capabilities["finetuning"]
    if method not in known:
        has = f"it has the methods {', '.join(known)}" if known else "it has no method of it"
        raise ArchitectureError(
            f"the architecture '{entry.name}' cannot be fine-tuned by the method '{method}' "
            f"(architecture.training.finetune.method): {has}; mt list shows what each one does"
        )


def missing(capabilities: dict[str, Any], specs: tuple[DatasetSpec, ...]) -> Iterator[str]:
    """What the data sets ask for and the capabilities do not name, in words."""
    targets = {target.name: target for spec in specs for target in spec.targets}
    if len(targets) > 1 and not capabilities["multiple_targets"]:
        yield f"several targets ({', '.join(targets)})"
    for target in targets.values():
        kind = target_kind(target)
        kinds = capabilities["targets"].get(kind, [])
        if target.sample_kind not in kinds:
            of = "of each atom" if target.sample_kind == "atom" else "of a structure"
            yield f"'{target.name}' is a {kind} {of}"
        for gradient in target.gradients:
            if gradient.required and GRADIENT_OF[gradient.kind] not in capabilities["gradients"]:
                yield f"'{target.name}' comes with {gradient.kind}"


def target_kind(target: TargetSpec) -> str:
    """``scalar``, ``cartesian`` or ``spherical``."""
    return target.type if isinstance(target.type, str) else next(iter(target.type))
