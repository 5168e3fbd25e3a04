"""The toys as installed packages: folders that go into PYTHONPATH.

Each is a copy of a sound toy under a name of its own, with one thing broken.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from toys.breakage import Breakage, Toy

NAME = "soundtoy"
"""Of the sound toys: a word that occurs nowhere else in them."""
HERE = Path(__file__).parent


def build(breakages: Iterable[Breakage], folder: Path) -> dict[str, Toy]:
    """Write all toys into ``folder / "toys"``; by architecture."""
    wheels: dict[str, Path] = {}
    toys: dict[str, Toy] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for each in breakages:
        if each.base not in wheels:
            wheels[each.base] = BASES[each.base](folder / each.base)
        toy = Toy(folder / "toys" / each.architecture, f"mt_{each.architecture}")
        _unpack(wheels[each.base], toy.folder, each.architecture)
        for change in each.changes:
            change(toy)
        toys[each.architecture] = toy
    return toys


def generated(folder: Path) -> Path:
    """The wheel of what ``mt new`` writes."""
    folder.mkdir()
    _run("-m", "mt_core", "new", NAME, "--folder", str(folder))
    (project,) = folder.rglob("pyproject.toml")
    return _wheel(project.parent, folder)


def written(name: str) -> Callable[[Path], Path]:
    """What makes the wheel of the small architecture in the folder of that name, beside this."""

    def make(folder: Path) -> Path:
        folder.mkdir()
        return _wheel(HERE / name, folder)

    return make


def overlaid(name: str, over: str) -> Callable[[Path], Path]:
    """What makes the wheel of one of these architectures with the files of ``over`` over it."""

    def make(folder: Path) -> Path:
        project = folder / "project"
        for each in (name, over):
            shutil.copytree(HERE / each, project, dirs_exist_ok=True)
        return _wheel(project, folder)

    return make


BASES = {
    "epochs": generated,
    "closed_form": written("closed_form"),
    "vectors": written("vectors"),
    "charged": written("charged"),
    "portable": written("portable"),
    "own_loop": overlaid("portable", "own_loop"),
}


def _wheel(project: Path, folder: Path) -> Path:
    target = ("--target", "wheel", "--directory", str(folder / "wheel"))
    _run("-m", "hatchling", "build", *target, cwd=project)
    (wheel,) = (folder / "wheel").glob("*.whl")
    return wheel


def _run(*arguments: str, cwd: Path | None = None) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(arguments)}:\n{done.stdout}{done.stderr}"


def _unpack(wheel: Path, folder: Path, name: str) -> None:
    """The wheel's files, with the toy's own name in paths and texts."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if member.endswith("/RECORD"):
                continue
            target = folder / _renamed(member, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = archive.read(member).decode("utf-8")
            target.write_text(_renamed(text, name), encoding="utf-8")


def _renamed(text: str, name: str) -> str:
    return text.replace(f"mt-{NAME}", f"mt-{name.replace('_', '-')}").replace(NAME, name)
