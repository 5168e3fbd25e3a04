"""What imports and what does not, tried in a process of its own.

A library that does not fit the others may end the process that imports it; ``mt doctor`` runs
``python -m mt_core.doctor.probe`` and reads the line that each import leaves.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from mt_shared.errors import UserError

LIBRARIES = ("torch", "metatensor.torch", "metatomic.torch", "ase")


def steps(architectures: list[str]) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """What is tried, in order: a name, and a function that imports it and gives what it found."""
    for library in LIBRARIES:
        yield library, (_torch if library == "torch" else _importer(library))
    for name in architectures:
        yield name, _loader(name)


def main(architectures: list[str]) -> None:
    """Try each step, and print what came of it as a line of JSON."""
    for name, step in steps(architectures):
        try:
            found = {"found": step()}
        # SystemExit too: a package may do anything when it is imported
        except BaseException as error:
            found = {"error": _in_words(error)}  # type: ignore[dict-item]
        print(json.dumps({"name": name, **found}), flush=True)


def _in_words(error: BaseException) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _torch() -> dict[str, Any]:
    import torch

    cuda = torch.cuda.is_available()
    return {
        "threads": torch.get_num_threads(),
        "built_for": torch.version.cuda or torch.version.hip or "cpu",
        "devices": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
        if cuda
        else [],
    }


def _importer(library: str) -> Callable[[], dict[str, Any]]:
    def step() -> dict[str, Any]:
        import_module(library)
        return {}

    return step


def _loader(name: str) -> Callable[[], dict[str, Any]]:
    def step() -> dict[str, Any]:
        from mt_shared.registry import load

        load(name)
        return {}

    return step


if __name__ == "__main__":
    main(sys.argv[1:])
