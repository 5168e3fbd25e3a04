"""A trained model in ASE, in a process that has nothing of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_conformance.runs.commands import TIMEOUT, environment

SCRIPT = Path(__file__).with_name("ase_process.py")
RESULTS = "simulated.json"


@dataclass(frozen=True)
class Simulated:
    """What ASE says of each structure, and the modules of ours that its process had imported."""

    results: list[dict[str, Any]]
    ours: list[str]


def simulate(folder: Path, model: str, extensions: str, files: Sequence[str]) -> None:
    """Evaluate structures with an exported model, and keep the results in the folder.

    :param files: of structures, relative to the folder as model and extensions
    """
    done = subprocess.run(
        [sys.executable, str(SCRIPT), model, extensions, *files],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"ASE cannot run the exported model:\n{done.stderr}")
    (folder / RESULTS).write_text(done.stdout.splitlines()[-1], encoding="utf-8")


def read_simulated(folder: Path) -> Simulated:
    """What :func:`simulate` kept."""
    return Simulated(**json.loads((folder / RESULTS).read_text(encoding="utf-8")))
