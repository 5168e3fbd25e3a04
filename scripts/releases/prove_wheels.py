"""Install an architecture from wheels, and run the suite against it: what a user will get.

    python scripts/releases/prove_wheels.py painn --wheels dist --python CLEAN/bin/python

The wheels of the folder are installed; what is not there of ours comes from the index. With
``--lowest``, every library and every sibling that is not in the folder is at its floor.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.utils import parse_wheel_filename

from distributions import BASE, BY_NAME, Distribution, command_line, named
from floors import floor, pins


def main() -> None:
    arguments = parse_arguments()
    architecture = named(arguments.architecture)
    if not architecture.architectures:
        raise SystemExit(f"{architecture.name} has no architecture that could be tested")
    (name,) = architecture.architectures
    targets = what_to_install(architecture, arguments.wheels, arguments.requirement)
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        lines = lowest(architecture, arguments.wheels) if arguments.lowest else []
        constraints.write_text("\n".join(lines), encoding="utf-8")
        pip = ["pip", "install", "--constraint", str(constraints), *arguments.pip_option, *targets]
        suite = ["mt_core", "conformance", name, "--", *arguments.suite]
        for module in (pip, suite):
            # in another folder, so that nothing is imported from the sources
            run([arguments.python, "-m", *module], folder)


def parse_arguments() -> argparse.Namespace:
    parser = command_line(__doc__, epilog="options of the suite follow after --")
    parser.add_argument("architecture", help="as painn, or its distribution, as mt-painn")
    parser.add_argument("--wheels", type=Path, required=True, help="a folder of wheels")
    parser.add_argument("--requirement", help="which version of it, as mt-painn==0.1.0")
    parser.add_argument("--lowest", action="store_true", help="everything at its floor, torch too")
    parser.add_argument("--python", default=sys.executable, help="of a clean environment")
    parser.add_argument(
        "--pip-option", action="append", default=[], help="for pip, as --pip-option=--no-index"
    )
    # argparse gives what follows -- to the first positional argument
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:end])
    arguments.suite = words[end + 1 :]
    return arguments


def what_to_install(architecture: Distribution, folder: Path, requirement: str | None) -> list[str]:
    """The wheels that are in the folder, and the names of the others."""
    wheels = in_folder(folder)
    names = [*BASE, architecture.name]
    found = [str(wheels[name]) for name in names if name in wheels]
    if not found:
        raise SystemExit(f"--wheels {folder}: no wheel of {', '.join(names)} is there")
    by_name = {name: name for name in names if name not in wheels}
    if requirement:
        by_name[architecture.name] = requirement
    return [*found, *by_name.values()]


def in_folder(folder: Path) -> dict[str, Path]:
    """The wheels of ours by the name of their distribution."""
    files = {str(parse_wheel_filename(file.name)[0]): file for file in folder.glob("*.whl")}
    return {name: file.resolve() for name, file in files.items() if name in BY_NAME}


def lowest(architecture: Distribution, folder: Path) -> list[str]:
    """Every floor, those of the siblings too that come from the index."""
    from_index = BY_NAME.keys() - in_folder(folder).keys()
    siblings = [
        f"{each.name}=={floor(each)}"
        for each in architecture.requirements
        if each.name in from_index
    ]
    return [*pins(architecture, with_torch=True), *siblings]


def run(command: list[str], folder: str) -> None:
    print("$", *command, flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
