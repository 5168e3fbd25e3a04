"""``mt new``: the package of a new architecture, which trains and passes the suite as it is.

The templates are real files of an architecture ``my_network``, whose name is replaced.
"""

import keyword
import re
import shlex
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path

from mt_core.architectures.lifecycle import first_party
from mt_shared.errors import OptionsError
from mt_shared.registry import distribution_name, installed, requirements

TEMPLATES = Path(__file__).with_name("templates")
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# taken by our own distributions, by a base class of the template, or by YAML
_RESERVED = {"base", "conformance", "core", "false", "null", "shared", "true"}


def create(name: str, folder: str | None = None, mlip: bool = False) -> list[Path]:
    """Write the package of the architecture ``name``, whole or not at all.

    :param folder: a new or empty folder; None: ``mt-name`` in the current one
    :param mlip: the short form, of energies and forces alone
    """
    _check_name(name)
    target = Path(distribution_name(name) if folder is None else folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OptionsError(
            f"nothing was written, since {target} is there already and is no empty folder; "
            "move it away or name another one: mt new NAME --folder DIR"
        )
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
        words = "_".join(re.findall(r"[a-z0-9]+", name.lower()))
        suggestion = words.lstrip("0123456789_").removeprefix("mt_") or "my_network"
        raise OptionsError(
            f"'{name}' cannot be the name of an architecture: expected small letters and digits, "
            f"beginning with a letter, in words joined by single underscores, such as {suggestion}"
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


def _render(name: str, variant: str) -> Iterator[tuple[Path, str]]:
    """Path in the package and content of each file of the template."""
    words = {
        "my_network": name,
        "my-network": name.replace("_", "-"),
        "MyNetwork": "".join(map(str.capitalize, name.split("_"))),
        "YEAR": str(datetime.now(tz=timezone.utc).year),
        **_requirements(),
    }
    # all in one pass, so that nothing is replaced in what was put in: a name may hold another word
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


def _requirements() -> dict[str, str]:
    """Each quoted dependency with its versions: those of mt-shared, and mt-shared as it is."""
    of_shared = {each.name: str(each.specifier) for each in requirements(distribution("mt-shared"))}
    ranges = {name: of_shared[name] for name in ("metatensor-torch", "metatomic-torch", "torch")}
    # from this minor version to before the next one that may break: >=0.3,<0.4 and >=1.3,<2
    major, minor = (int(part) for part in version("mt-shared").split(".")[:2])
    ceiling = f"{major + 1}" if major else f"0.{minor + 1}"
    ranges["mt-shared"] = f">={major}.{minor},<{ceiling}"
    # metadata have the bounds in any order, people write the lower one first ('>' is after '<')
    return {
        f'"{name}"': f'"{name}{",".join(sorted(bounds.split(","), reverse=True))}"'
        for name, bounds in ranges.items()
    }


def _write(folder: Path, texts: dict[Path, str]) -> None:
    made = not folder.exists()
    try:
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except BaseException:
        # leave the folder as it was: empty, or not there
        for path in folder.iterdir() if folder.is_dir() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if made and folder.is_dir():
            folder.rmdir()
        raise
