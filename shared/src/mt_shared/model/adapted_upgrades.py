"""A checkpoint of an adapted model is brought to the current version by the author's upgrade.

The author's upgrade knows the author's checkpoint, with one state in it. The shared trainer saves
others beside it, the best one and an average of weights: each of them takes the place of the
author's, and what has become of it there is what it becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from mt_shared.errors import CheckpointError
from mt_shared.model.lora import merged_state
from mt_shared.model.renaming import AVERAGED

State = dict[str, Tensor]

OF_AUTHOR = "author"
"""In a checkpoint, that of the author's model as it gives it."""

PREFIX = "model."
"""Before the names of the author's parameters among those of the adapted model."""


def upgrade_states(
    checkpoint: dict[str, Any], upgrade: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """The checkpoint with the author's own in it and every saved state upgraded.

    A state with low-rank updates becomes a plain one, of which no training can go on: the author's
    upgrade does not know the names that these layers have.

    :param upgrade: the author's ``upgrade_checkpoint``
    :raises CheckpointError: the author's checkpoint does not hold a ``state_dict()`` of its model,
        before the upgrade or after it
    """
    own = checkpoint[OF_AUTHOR]
    new_names: dict[str, str] = {}

    def upgraded(state: State, start: str = PREFIX) -> State:
        inner = {
            name.removeprefix(start): tensor
            for name, tensor in merged_state(state).items()
            if name.startswith(start)
        }
        rest = {name: tensor for name, tensor in state.items() if not name.startswith(start)}
        found = _state_like(inner, upgrade(_with_state(own, inner)))
        # a parameter is known again by its tensor, whatever its name is now
        names = {id(tensor): name for name, tensor in found.items()}
        new_names.update((name, names[id(t)]) for name, t in inner.items() if id(t) in names)
        return rest | {start + name: tensor for name, tensor in found.items()}

    result = {**checkpoint, OF_AUTHOR: upgrade(_copied(own))}
    result["state"] = upgraded(checkpoint["state"])
    if checkpoint["best_state"] is not None:
        result["best_state"] = upgraded(checkpoint["best_state"])
    # a model that was saved by itself has no trainer
    if "trainer" in checkpoint:
        trainer = dict(checkpoint["trainer"])
        if trainer["average"] is not None:
            trainer["average"] = upgraded(trainer["average"], AVERAGED + PREFIX)
        trainer["trained"] = [
            PREFIX + new_names.get(name, name)
            for name in (name.removeprefix(PREFIX) for name in trainer["trained"])
        ]
        result["trainer"] = trainer
    return result


def _copied(value: Any) -> Any:
    """A copy of all dictionaries and lists, which upgrades change in place, but of no tensor."""
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _with_state(value: Any, state: State) -> Any:
    """A copy in which every dictionary that has the names of a state has its tensors."""
    copy = _copied(value)
    for each in _dictionaries(copy):
        if state.keys() <= each.keys():
            each.update(state)
    return copy


def _state_like(state: State, checkpoint: dict[str, Any]) -> State:
    """Of an upgraded checkpoint, the dictionary that has tensors of a state."""
    tensors = {id(tensor) for tensor in state.values()}
    for each in _dictionaries(checkpoint):
        if any(id(value) in tensors for value in each.values()):
            # the author's may have a note of another kind among them
            return {name: value for name, value in each.items() if torch.is_tensor(value)}
    raise CheckpointError(
        "the checkpoint is of an older version and cannot be upgraded: get_checkpoint of the model "
        "has to have its state_dict() in it, and upgrade_checkpoint to change names or tensors "
        "there"
    )


def _dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _dictionaries(part)
