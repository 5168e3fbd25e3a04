"""Parameters that get other names, in every place of a checkpoint that knows them by name."""

from collections.abc import Mapping
from typing import Any, Optional

from mt_shared.errors import ArchitectureError, did_you_mean

# before each name in an average of weights, by torch.optim.swa_utils.AveragedModel
AVERAGED = "module."


def rename_parameters(checkpoint: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A checkpoint in which parameters, buffers or whole modules have other names; for upgrades.

    They are renamed in the last state and in the best one, and of the shared trainer in its average
    of weights and in its list of what it trains. By that list a restart finds what the optimizer
    knows of each parameter, also where the model has them in another order now. The given
    checkpoint stays as it is. What else a trainer of your own saves by name is for its own upgrade.

    ::

        def from_1_to_2(checkpoint):
            return rename_parameters(checkpoint, {"mix": "layers.mix", "net.scale": "net.width"})

    :param names: new names by the old ones, as ``state_dict()`` has them; each may be the beginning
        of names up to a dot: ``mix`` stands for ``mix.weight`` and ``mix.bias``
    :raises ArchitectureError: an old name is not there, or a new one is there already
    """
    for old in names:
        if all(_new_name(name, {old: names[old]}) is None for name in checkpoint["state"]):
            raise ArchitectureError(
                f"an upgrade renames '{old}', which the state in the checkpoint does not have"
                f"{did_you_mean(old, checkpoint['state'])}"
            )
    renamed = {**checkpoint, "state": _renamed(checkpoint["state"], names)}
    if checkpoint["best_state"] is not None:
        renamed["best_state"] = _renamed(checkpoint["best_state"], names)
    # a model that was saved by itself has no trainer, and one of its own saves what it likes
    trainer = dict(checkpoint.get("trainer") or {})
    if trainer.get("average") is not None:
        trainer["average"] = _renamed(trainer["average"], names, AVERAGED)
    if "trained" in trainer:
        trainer["trained"] = [_new_name(name, names) or name for name in trainer["trained"]]
    return {**renamed, "trainer": trainer} if trainer else renamed


def _renamed(
    state: Mapping[str, Any], names: Mapping[str, str], prefix: str = ""
) -> dict[str, Any]:
    """The state in its order; only what has the prefix is a parameter or a buffer."""
    result = {}
    for name, value in state.items():
        new = _new_name(name.removeprefix(prefix), names) if name.startswith(prefix) else None
        result[name if new is None else f"{prefix}{new}"] = value
    if len(result) < len(state):
        taken = sorted(set(names.values()) & set(state)) or sorted(names.values())
        raise ArchitectureError(
            f"an upgrade gives two parameters one name: {', '.join(taken)} is there already"
        )
    return result


def _new_name(name: str, names: Mapping[str, str]) -> Optional[str]:
    """The new name of a parameter; None where it keeps the old one."""
    # the longest first: of 'net' and 'net.scale', the latter
    for old in sorted(names, key=len, reverse=True):
        for form in (str, _parametrized):
            if f"{name}.".startswith(f"{form(old)}."):
                return form(names[old]) + name[len(form(old)) :]
    return None


def _parametrized(name: str) -> str:
    """The weight of a layer as it is called where a low-rank update is over it."""
    layer, _, weight = name.rpartition(".")
    return f"{layer}.parametrizations.{weight}"
