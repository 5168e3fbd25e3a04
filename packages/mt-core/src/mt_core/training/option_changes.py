"""What differs between the options of two runs, and which of it may at a restart."""

from dataclasses import dataclass
from typing import Any

from mt_shared.options import dotted, leaves


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
    old, new = ({dotted(path): value for path, value in leaves(each)} for each in (before, now))
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
