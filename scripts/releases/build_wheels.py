"""Build source distributions, and wheels from them, into one folder.

    python scripts/releases/build_wheels.py mt-painn --out dist     # without a name: all of them

A wheel that is made from the source distribution proves that nothing is missing there. One that is
in the folder already is kept.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from distributions import DISTRIBUTIONS, Distribution, command_line, named


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("names", nargs="*", help="distributions, as mt-painn; default: all")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the wheels")
    parser.add_argument(
        "--no-isolation", action="store_true", help="with the hatchling of this environment"
    )
    arguments = parser.parse_args()
    for each in [named(name) for name in arguments.names] or DISTRIBUTIONS:
        print(build(each, arguments.out.resolve(), isolated=not arguments.no_isolation))


def build(distribution: Distribution, folder: Path, *, isolated: bool = True) -> Path:
    # of the version of this source
    wheel = folder / f"{distribution.module}-{distribution.version}-py3-none-any.whl"
    if wheel.exists():
        return wheel
    options = [] if isolated else ["--no-isolation"]
    # without --wheel: the wheel is made from the source distribution, not from the folder
    command = [sys.executable, "-m", "build", *options, "--outdir", str(folder)]
    done = subprocess.run(
        [*command, str(distribution.folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{distribution.name} cannot be built:\n{done.stdout}{done.stderr}")
    return wheel


if __name__ == "__main__":
    main()
