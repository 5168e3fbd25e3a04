"""The folder of a run: its options, its checkpoints, and the runs before it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from mt_shared.errors import OptionsError, UserError
from mt_shared.options import KeyPath, dump_yaml, read_yaml

OUTPUTS = Path("outputs")
OPTIONS_FILE = "options_restart.yaml"
# in the order in which a restart prefers them
CHECKPOINTS = ("model.ckpt", "latest.ckpt", "previous.ckpt")


def create_run_folder(root: Path = OUTPUTS) -> Path:
    """``outputs/DATE/TIME``, made for this run alone: a second job gets a suffix."""
    now = datetime.now()
    day = root / now.strftime("%Y-%m-%d")
    name = now.strftime("%H-%M-%S")
    try:
        day.mkdir(parents=True, exist_ok=True)
        # two jobs of an array may begin in one second: mkdir tells who was first
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            folder = day / (name + suffix)
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise UserError(
            f"cannot make the folder of the run in '{day}': {error.strerror}; run mt train in a "
            "folder that you may write to"
        ) from error
    raise UserError(f"a thousand runs began in '{day}' in one second; wait a moment")


def past_runs(root: Path = OUTPUTS) -> list[Path]:
    """Folders of earlier runs with a checkpoint to go on from, newest first."""
    runs = [file.parent for file in root.glob(f"*/*/{OPTIONS_FILE}")]
    runs = [run for run in runs if any(run_checkpoints(run))]

    def started(run: Path) -> tuple[str, str, int]:
        # the suffix as a number: run 10 of a second began after run 9
        parts = run.name.split("-")
        suffix = int(parts[3]) if len(parts) > 3 and parts[3].isdigit() else 1
        return run.parent.name, "-".join(parts[:3]), suffix

    return sorted(runs, key=started, reverse=True)


def run_checkpoints(run: Path) -> Iterator[Path]:
    """The checkpoints of a run, the one to prefer first."""
    return (run / name for name in CHECKPOINTS if (run / name).is_file())


def write_options(run: Path, complete: dict[str, Any], units: Mapping[KeyPath, str]) -> None:
    """Write the complete options, which train the same model again, and the units of lengths."""
    text = dump_yaml(complete, units)
    (run / OPTIONS_FILE).write_text(text, encoding="utf-8")


def read_options(run: Path) -> dict[str, Any] | None:
    """The complete options of a run; None where they are not there or not whole."""
    try:
        options = read_yaml(run / OPTIONS_FILE)
    except (OptionsError, OSError):
        return None
    return options if isinstance(options, dict) else None
