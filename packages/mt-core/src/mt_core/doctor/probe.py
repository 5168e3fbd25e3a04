"""What imports and what does not, tried in a process of its own.

A library that does not fit the others may end the process that imports it; ``mt doctor`` runs
``python -m mt_core.doctor.probe`` and reads the line that each import leaves.
"""

import json
import sys
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

from mt_shared.errors import UserError

LIBRARIES = ("torch", "metatensor.torch", "metatomic.torch", "ase")


def main(names: list[str]) -> None:
    """Import the libraries and then what is named, and print what came of each as JSON."""
    for name in (*LIBRARIES, *names):
        line: dict[str, Any] = {"name": name}
        try:
            line["found"] = _import(name)
        # SystemExit too: a package may do anything when it is imported
        except BaseException as error:
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            line["error"] = f"{kind}{error}"
        # at once: the next one may end this process
        print(json.dumps(line), flush=True)


def _import(name: str) -> dict[str, Any]:
    """What is to be known of a library, an architecture or a loss that can be imported."""
    if ":" in name:
        # what an entry point of a loss names; no architecture has such a name
        resolve_name(name)
        return {}
    if name not in LIBRARIES:
        from mt_shared.registry import load

        load(name)
        return {}
    library = import_module(name)
    if name != "torch":
        return {}
    cuda = library.cuda
    num_devices = cuda.device_count() if cuda.is_available() else 0
    return {
        "threads": library.get_num_threads(),
        "built_for": library.version.cuda or library.version.hip or "cpu",
        "devices": [cuda.get_device_name(number) for number in range(num_devices)],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
