"""Whether an architecture can do what the options ask for, before any data are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mt_core.architectures.capability_words import inputs_of
from mt_shared.errors import ArchitectureError
from mt_shared.options import GRADIENT_OF, TargetSpec
from mt_shared.registry import ArchitectureEntry, installed

if TYPE_CHECKING:
    # the door of this folder is opened by quick commands, which have no options to parse
    from mt_core.options import TrainingOptions


def check_capabilities(entry: ArchitectureEntry, options: TrainingOptions) -> None:
    """Refuse what the architecture's ``capabilities.yaml`` does not name.

    Without that file nothing is refused here: model and trainer check their data themselves.
    """
    lacking = [] if entry.capabilities is None else list(missing(entry.capabilities, options))
    if not lacking:
        return
    able = [
        other
        for other, candidate in installed().items()
        if candidate.capabilities is not None and not list(missing(candidate.capabilities, options))
    ]
    advice = f"installed and able: {', '.join(able)}" if able else "no installed architecture can"
    raise ArchitectureError(
        f"the architecture '{entry.name}' cannot do what the options ask for: "
        f"{'; '.join(lacking)} ({advice}; mt describe {entry.name} shows what it can do)"
    )


def missing(capabilities: dict[str, Any], options: TrainingOptions) -> Iterator[str]:
    """What the options ask for and the capabilities do not name, in words."""
    targets = options.targets
    if len(targets) > 1 and not capabilities["multiple_targets"]:
        yield f"several targets ({', '.join(targets)})"
    for target in targets.values():
        yield from _missing_of_target(capabilities, target)
    for name in options.inputs:
        if name not in capabilities["inputs"]:
            yield (
                f"reading the input '{name}' (extra_data): nothing would, since the inputs that it "
                f"reads are: {inputs_of(capabilities)}"
            )

    devices, dtypes, bits = capabilities["devices"], capabilities["dtypes"], options.base_precision
    if options.device is not None and device_kind(options.device) not in devices:
        yield f"device is '{options.device}', and it runs on {', '.join(devices)}"
    if bits is not None and f"float{bits}" not in dtypes:
        yield f"base_precision is {bits}, and it runs in {', '.join(dtypes)}"

    if options.finetune is not None:
        # the hypers of an architecture without a schema may leave the method out
        method, known = options.finetune.get("method", "full"), capabilities["finetuning"]
        if method not in known:
            has = f"has the methods {', '.join(known)}" if known else "has no method of it"
            yield (
                f"fine-tuning by the method '{method}' (architecture.training.finetune.method): "
                f"it {has}"
            )


def _missing_of_target(capabilities: dict[str, Any], target: TargetSpec) -> Iterator[str]:
    # scalar, cartesian or spherical; the last two come with their rank or order below the word
    kind = target.type if isinstance(target.type, str) else next(iter(target.type))
    if target.sample_kind not in capabilities["targets"].get(kind, []):
        of = "of each atom" if target.sample_kind == "atom" else "of a structure"
        yield f"'{target.name}' is a {kind} {of}"
    if not target.extensive and not capabilities["intensive"]:
        yield f"'{target.name}' is a mean over atoms (extensive: false)"
    # an architecture that states no quantities is for any
    quantities = capabilities.get("quantities", [target.quantity])
    if target.quantity not in quantities:
        is_what = f"has the quantity '{target.quantity}'" if target.quantity else "has no quantity"
        yield f"'{target.name}' {is_what}, and it is for {', '.join(quantities)} alone"
    for gradient in target.gradients:
        # one that is not required is trained on where a file happens to have it
        if gradient.required and GRADIENT_OF[gradient.kind] not in capabilities["gradients"]:
            yield f"'{target.name}' comes with {gradient.kind}"


def device_kind(wish: str) -> str:
    """``cpu``, ``cuda``, ... of what an options file has: ``gpu`` and ``cuda:1`` are ``cuda``."""
    return wish.split(":")[0].replace("gpu", "cuda")
