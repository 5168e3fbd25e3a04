"""What differs between the options of two runs, and which of it may at a restart."""

from dataclasses import dataclass
from typing import Any

from mt_core.options import options_schema
from mt_shared.options import (
    HypersEntry,
    KeyPath,
    RestartState,
    dotted,
    hyper_at_restart,
    leaves,
    state_at_restart,
)

FINETUNE = "architecture.training.finetune.read_from"
ABSENT = "(not given)"


@dataclass(frozen=True)
class Change:
    """An option that differs between a checkpoint and the file that continues it."""

    path: KeyPath
    before: Any
    now: Any

    def at_restart(self, entry: HypersEntry) -> RestartState:
        """Whether it may be: of hypers the schema of the architecture says it, of others ours."""
        if dotted(self.path) == FINETUNE:
            # the file may have moved; to begin anew from one is no restart
            is_new = any(value in (None, ABSENT) for value in (self.before, self.now))
            return "fixed" if is_new else "free"
        section, *below = self.path
        if section == "architecture" and below[0] in ("model", "training"):
            return hyper_at_restart(entry, tuple(below))
        return state_at_restart(self.path, options_schema())

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.before!r} -> {self.now!r}"


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """Every option that differs, by its path in the file."""
    # by the text of the paths: what was read from a file has the key "6" where others have 6
    old, new = ({dotted(path): value for path, value in leaves(each)} for each in (before, now))
    paths = {dotted(path): path for each in (before, now) for path, _ in leaves(each)}
    return [
        Change(paths[name], old.get(name, ABSENT), new.get(name, ABSENT))
        for name in sorted(paths)
        if old.get(name, ABSENT) != new.get(name, ABSENT)
    ]
