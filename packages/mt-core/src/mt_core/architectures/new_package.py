"""``mt new``: the package of a new architecture, which trains and passes the suite as it is.

The templates are real files of an architecture ``my_network``, whose name is replaced.
"""

from __future__ import annotations

import keyword
import re
import shlex
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import requires, version
from importlib.util import find_spec
from pathlib import Path

from mt_core.architectures.lifecycle import first_party
from mt_shared.errors import OptionsError
from mt_shared.registry import distribution_name, installed

TEMPLATES = Path(__file__).with_name("templates")
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# taken by our own distributions, by a base class of the template, or by YAML
_RESERVED = {"base", "conformance", "core", "false", "null", "shared", "true"}


def create(name: str, folder: str | None = None, mlip: bool = False) -> list[Path]:
    """Write the package of the architecture ``name``, whole or not at all.

    :param folder: a new or empty folder; None: ``mt-name`` in the current one
    :param mlip: the short form, of energies and forces alone
    :returns: the files
    :raises OptionsError: the name cannot be used, or the folder has something in it
    """
    _check_name(name)
    target = Path(distribution_name(name) if folder is None else folder)
    _check_folder(target)
    texts = dict(sorted(_render(name, "mlip" if mlip else "general")))
    _write(target, texts)
    return [target / path for path in texts]


def next_steps(name: str, paths: list[Path]) -> str:
    """What its author does with a package that has just been written."""
    (model,) = (path for path in paths if path.name == "model.py")
    folder = model.parents[2]
    return f"""
It trains, exports and passes the suite as it is:
    pip install -e {shlex.quote(str(folder))}
    mt conformance {name}
Your idea goes into {model}
Your name goes into {model.with_name("__init__.py")}, {folder / "pyproject.toml"}
and {folder / "LICENSE"}"""


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise OptionsError(
            f"'{name}' cannot be the name of an architecture: expected small letters and digits, "
            "beginning with a letter, in words joined by single underscores, such as "
            + _suggestion(name)
        )
    if name in _RESERVED or keyword.iskeyword(name):
        raise OptionsError(
            f"'{name}' cannot be the name of an architecture: it has a meaning in mt, Python or "
            "YAML; choose another one"
        )
    if name in first_party():
        raise OptionsError(
            f"the name '{name}' is that of an architecture of this project, see mt list; choose "
            "another one"
        )
    if name in installed() or find_spec(f"mt_{name}"):
        raise OptionsError(
            f"the name '{name}' is that of an installed package, see mt list; choose another one, "
            f"or first: pip uninstall {distribution_name(name)}"
        )


def _suggestion(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    better = "_".join(words).lstrip("0123456789_").removeprefix("mt_")
    return better or "my_network"


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OptionsError(
            f"nothing was written, since {folder} is there already and is no empty folder; "
            "move it away or name another one: mt new NAME --folder DIR"
        )


def _render(name: str, variant: str) -> Iterator[tuple[Path, str]]:
    """Path in the package and content of each file of the template."""
    words = _words(name)
    pattern = re.compile("|".join(map(re.escape, words)))

    def replaced(text: str) -> str:
        return pattern.sub(lambda match: words[match[0]], text)

    for part in ("common", variant):
        root = TEMPLATES / part
        for path in sorted(root.rglob("*")):
            # installers compile what looks like Python
            if path.is_file() and path.parent.name != "__pycache__":
                text = path.read_text(encoding="utf-8")
                yield Path(replaced(path.relative_to(root).as_posix())), replaced(text)


def _words(name: str) -> dict[str, str]:
    """What is replaced in the templates."""
    return {
        "my_network": name,
        "my-network": name.replace("_", "-"),
        "MyNetwork": "".join(map(str.capitalize, name.split("_"))),
        "YEAR": str(datetime.now(tz=timezone.utc).year),
        **_requirements(),
    }


def _requirements() -> dict[str, str]:
    """Each quoted dependency with its versions: those of mt-shared, and mt-shared as it is."""
    lines = [re.match(r"([\w-]+)([^;]*)", line) for line in requires("mt-shared") or []]
    of_shared = {match[1]: match[2].strip() for match in lines if match}
    ranges = {name: of_shared[name] for name in ("metatensor-torch", "metatomic-torch", "torch")}
    ranges["mt-shared"] = _sibling(version("mt-shared"))
    return {f'"{name}"': f'"{name}{_floor_first(each)}"' for name, each in ranges.items()}


def _floor_first(versions: str) -> str:
    return ",".join(sorted(versions.split(","), reverse=True))


def _sibling(release: str) -> str:
    """From this minor version to before the next one that may break: ``>=1.3,<2``."""
    major, minor = (int(part) for part in release.split(".")[:2])
    ceiling = f"{major + 1}" if major else f"0.{minor + 1}"
    return f">={major}.{minor},<{ceiling}"


def _write(folder: Path, texts: dict[Path, str]) -> None:
    made = not folder.exists()
    try:
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except BaseException:
        _take_back(folder, made)
        raise


def _take_back(folder: Path, made: bool) -> None:
    """Leave the folder as it was: empty, or not there."""
    for path in folder.iterdir() if folder.is_dir() else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if made and folder.is_dir():
        folder.rmdir()
