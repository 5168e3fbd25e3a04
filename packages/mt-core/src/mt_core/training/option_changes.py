"""What differs between the options of two runs, and which of it may at a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """An option that differs between a checkpoint and the file that continues it."""

    path: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.path}: {self.before!r} -> {self.now!r}"


FREE_LEAVES = ("read_from", "indices")
# they took effect when the training began, and are in the checkpoint
FIXED = (
    "seed",
    "architecture.name",
    "architecture.model",
    "architecture.training.atomic_baseline",
    "architecture.training.finetune",
    "architecture.training.fixed_scaling_weights",
    "architecture.training.scale_targets",
)
FINETUNE = "architecture.training.finetune.read_from"
FREE_OPTIONS = (
    "architecture.training.num_epochs",
    "architecture.training.log_interval",
    "architecture.training.checkpoint_interval",
    "final_eval",
    "print_stats",
)


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """Every option that differs, by its path in the file."""
    old, new = dict(_leaves(before)), dict(_leaves(now))
    absent = "(not given)"
    return [
        Change(path, old.get(path, absent), new.get(path, absent))
        for path in sorted({*old, *new})
        if old.get(path, absent) != new.get(path, absent)
    ]


def is_free(change: Change) -> bool:
    """Whether an option may change at a restart without being asked for: epochs, paths, ..."""
    if change.path == FINETUNE:
        # the file may have moved; to begin anew from one is no restart
        return None not in (change.before, change.now)
    return change.path in FREE_OPTIONS or change.path.split(".")[-1] in FREE_LEAVES


def is_fixed(change: Change) -> bool:
    """Whether an option cannot change at a restart even if asked for: it would be ignored."""
    return any(change.path == fixed or change.path.startswith(f"{fixed}.") for fixed in FIXED)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    # a list of mappings is data sets, which are compared one by one; any other list is one value
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}.{number}")
    else:
        yield path, value
