"""A folder of wheels in the place of an index, and clean environments to install them into."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from distributions import BASE, BY_NAME, DISTRIBUTIONS, ROOT
from temporary_repository import copy_repository

# of what hangs: on a busy machine all takes many times as long as on a quiet one
TIMEOUT = 2 * 3600


@dataclass(frozen=True)
class Environment:
    """A virtual environment, of which only what is installed into it is seen."""

    folder: Path

    def run(self, *command: str | Path, where: Path) -> str:
        """What a command of this environment printed in a folder; it must succeed."""
        program, *arguments = map(str, command)
        return run([self.folder / "bin" / program, *arguments], where)

    def install(self, *requirements: str, wheels: Path | None = None) -> None:
        """Install with pip, from a folder of wheels and nowhere else where one is given."""
        source = ["--no-index", "--find-links", wheels] if wheels else []
        self.run("pip", "install", "--quiet", *source, *requirements, where=self.folder)


def run(command: list[str | Path], where: Path) -> str:
    """What a command printed; it must succeed.

    The constraints of this repository hold, its sources are not on the path.
    """
    # a pytest in there is no worker of this one: it would share folders with those of other days
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("PYTEST_")
    }
    environment |= {"PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        cwd=where,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))} failed:\n{done.stdout}"
    return done.stdout


def clean_environment(folder: Path, distributions: Iterable[str]) -> Environment:
    """A new environment with what these distributions of ours want of others."""
    venv.create(folder, with_pip=True, symlinks=True)
    environment = Environment(folder)
    wanted = {
        str(requirement)
        for name in distributions
        for requirement in BY_NAME[name].requirements
        if requirement.name not in BY_NAME
    }
    environment.install(*sorted(wanted))
    return environment


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel of a package, made from its source distribution, in a new folder."""
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder], where=source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def release_ours(folder: Path) -> None:
    """Release all of ours in a copy of this repository, and build the wheels into a folder.

    What stands below comes first, since a release may raise the ranges of what requires it.
    """
    repository = copy_repository(folder / "repository")
    for each in sorted(DISTRIBUTIONS, key=lambda each: [*BASE, each.name].index(each.name)):
        repository.release(each.name, "minor")
    done = repository.run("build_wheels", "--no-isolation", "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
