"""Compiled extensions: native libraries that the exported models of some architectures need.

An exported file names them by their paths below site-packages, and a folder of them has the same
paths. They fit one minor version of torch and one kind of machine.
"""

import filecmp
import io
import json
import logging
import shutil
import site
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from platform import machine, system
from shlex import quote

import torch

from mt_core.evaluation.result_files import result_file
from mt_shared.errors import CheckpointError, OptionsError

log = logging.getLogger("mt")

FOLDER = "extensions"
"""Beside an exported model, unless the user names another one."""


@dataclass(frozen=True)
class Extensions:
    """What an exported file says of the libraries that it needs.

    :param libraries: their paths in a folder of extensions, with what they depend on
    :param names: of the extensions alone, for people
    :param built_for: the torch and the machine that they fit
    """

    libraries: tuple[str, ...]
    names: str
    built_for: str


def needed_extensions(program: Path | bytes) -> Extensions:
    """What an exported file, or its content, needs."""
    with zipfile.ZipFile(io.BytesIO(program) if isinstance(program, bytes) else program) as archive:
        found = {name.partition("/")[2]: name for name in archive.namelist()}

        def extra(name: str, otherwise: str) -> str:
            place = found.get(f"extra/{name}")
            return otherwise if place is None else archive.read(place).decode()

        own, others = (
            [library["path"] for library in json.loads(extra(name, "[]"))]
            for name in ("extensions", "extensions-deps")
        )
        version = extra("torch-version", torch.__version__)
        platform = json.loads(extra("export-metadata", "{}")).get("platform", _PLATFORM)
    names = ", ".join(Path(library).name for library in own)
    return Extensions((*others, *own), names, _built_for(version, platform))


_PLATFORM = f"{machine()}-{system()}"


def _built_for(version: str, platform: str) -> str:
    return f"torch {'.'.join(version.split('.')[:2])} on {platform}"


def built_for_here() -> str:
    """The torch and the machine of this process."""
    return _built_for(torch.__version__, _PLATFORM)


def check_extensions(folder: str | Path | None) -> None:
    """Make the folder that a user names for extensions: before any work, since it may fail."""
    if folder is None:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionsError(
            f"-e {folder}: there cannot be a folder of extensions ({error.strerror}); name another"
        ) from error


def place_extensions(
    program: Path | bytes, model: Path, wanted: str | Path | None = None
) -> Path | None:
    """Copy what an exported file needs into a folder; other files there stay.

    :param model: where the exported model will be, beside which the folder is by default
    :param wanted: the folder that the user names
    :return: the folder; None where nothing is needed
    """
    libraries = needed_extensions(program).libraries
    if not libraries:
        return None
    folder = model.parent / FOLDER if wanted is None else Path(wanted)
    try:
        for library in libraries:
            _place(library, folder)
    except OSError as error:
        raise CheckpointError(
            f"cannot write the extensions of the model to '{folder}': {error.strerror}; name "
            "another folder with -e, and export the model from its checkpoint: mt export"
        ) from error
    return folder


def extensions_note(folder: Path, checkpoint: str | Path) -> str:
    """What to know of the extensions of a model that was exported here."""
    return (
        f"The model needs the compiled extensions in the folder '{folder}': take it along. They "
        f"fit {built_for_here()} alone; for another, export the model there: mt export "
        f"{quote(str(checkpoint))}"
    )


def _place(library: str, folder: Path) -> None:
    source = next((path for path in _installed(library) if path.is_file()), None)
    # metatomic names what is not below site-packages by its whole path, and loads it from there
    if source is None or Path(library).is_absolute():
        log.warning(
            f"note: the model needs {library}, which is no part of an installed package: it runs "
            "only where this file is"
        )
        return
    place = folder / library
    if place.is_file() and filecmp.cmp(source, place, shallow=False):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with result_file(place) as partial:
        shutil.copyfile(source, partial)


def _installed(library: str) -> Iterable[Path]:
    """Where metatomic may have found a library, whose path it shortens."""
    prefixes = [*site.getsitepackages(), site.getusersitepackages(), sys.prefix]
    return (Path(prefix, library) for prefix in prefixes)
