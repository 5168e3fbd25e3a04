"""A trained model in ASE, in a process that has nothing of ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_conformance.runs.mt_command import run_python

SCRIPT = Path(__file__).with_name("ase_process.py")
RESULTS = "ase.json"


@dataclass(frozen=True)
class AseResults:
    """What ASE says of each structure, and the modules of ours that its process had imported."""

    results: list[dict[str, Any]]
    ours: list[str]


def run_in_ase(folder: Path, model: str, extensions: str, files: Sequence[str]) -> None:
    """Evaluate structures with an exported model, and keep the results in the folder.

    :param files: of structures, relative to the folder as model and extensions
    """
    done = run_python(SCRIPT, model, extensions, *files, folder=folder)
    if done.returncode != 0:
        raise AssertionError(f"ASE cannot run the exported model:\n{done.stderr}")
    # libraries may print before it
    (folder / RESULTS).write_text(done.stdout.splitlines()[-1], encoding="utf-8")


def read_ase_results(folder: Path) -> AseResults:
    """What :func:`run_in_ase` kept."""
    return AseResults(**json.loads((folder / RESULTS).read_text(encoding="utf-8")))
