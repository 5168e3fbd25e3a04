"""The folder of a run, and which run a restart goes on with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mt_shared.errors import OptionsError, UserError
from mt_shared.options import dump_yaml, read_yaml

OUTPUTS = Path("outputs")
OPTIONS_FILE = "options_restart.yaml"
# in the order in which a restart prefers them
CHECKPOINTS = ("model.ckpt", "latest.ckpt", "previous.ckpt")


def create_run_folder(root: Path = OUTPUTS) -> Path:
    """``outputs/DATE/TIME``, made for this run alone: a second job gets a suffix.

    :raises UserError: when there is no right to write here
    """
    now = datetime.now()
    day = root / now.strftime("%Y-%m-%d")
    name = now.strftime("%H-%M-%S")
    try:
        day.mkdir(parents=True, exist_ok=True)
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            folder = day / (name + suffix)
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                continue
    except OSError as error:
        raise UserError(
            f"cannot make the folder of the run in '{day}': {error.strerror}; run mt train in a "
            "folder that you may write to"
        ) from error
    raise UserError(f"a thousand runs began in '{day}' in one second; wait a moment")


def past_runs(root: Path = OUTPUTS) -> list[Path]:
    """Folders of earlier runs with a checkpoint to go on from, newest first."""
    runs = [file.parent for file in root.glob(f"*/*/{OPTIONS_FILE}")]
    runs = [run for run in runs if any((run / name).is_file() for name in CHECKPOINTS)]
    return sorted(runs, key=_started, reverse=True)


def _started(run: Path) -> tuple[str, str, int]:
    """Day, time and suffix, as numbers where numbers count."""
    parts = run.name.split("-")
    suffix = int(parts[3]) if len(parts) > 3 and parts[3].isdigit() else 1
    return run.parent.name, "-".join(parts[:3]), suffix


def run_checkpoints(run: Path) -> Iterator[Path]:
    """The checkpoints of a run, the one to prefer first."""
    return (run / name for name in CHECKPOINTS if (run / name).is_file())


def write_options(run: Path, options: dict[str, Any]) -> None:
    """Write the resolved options, which train the same model again."""
    (run / OPTIONS_FILE).write_text(dump_yaml(options), encoding="utf-8")


def read_options(run: Path) -> dict[str, Any] | None:
    """The resolved options of a run; None where they are not there or not whole."""
    try:
        options = read_yaml(run / OPTIONS_FILE)
    except (OptionsError, OSError):
        return None
    return options if isinstance(options, dict) else None


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
    return [
        Change(path, old.get(path, "(not given)"), new.get(path, "(not given)"))
        for path in sorted({*old, *new})
        if old.get(path, "(not given)") != new.get(path, "(not given)")
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
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}.{number}")
    else:
        yield path, value
