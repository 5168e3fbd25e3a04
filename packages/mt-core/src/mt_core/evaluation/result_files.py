"""The files that a user gets: they appear whole, and what lay in their place is kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mt_shared.contract import whole_file
from mt_shared.errors import CheckpointError, OptionsError


def check_output(output: Path) -> None:
    """Refuse a name for the exported model that its files could not have, before any work.

    :raises OptionsError: another ending than ``.pt``, or a folder of that name
    """
    if output.suffix != ".pt":
        raise OptionsError(
            f"-o {output}: an exported model ends in .pt, which is how mt eval knows it; "
            f"write -o {output.with_suffix('.pt')}"
        )
    for path in (output, output.with_suffix(".ckpt")):
        if path.is_dir():
            raise OptionsError(f"-o {output}: '{path}' is a folder; name a file, such as model.pt")


def copy_result(source: Path, destination: Path) -> str | None:
    """Copy a file of the run to where the user wants it; what lies there is kept, and said.

    :return: a line that says what was kept, if anything was
    :raises CheckpointError: when the copy fails; the file of the run is whole
    """
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(destination) as partial:
            shutil.copyfile(source, partial)
            said = keep_existing(destination)
    except OSError as error:
        raise CheckpointError(
            f"cannot copy {source} to {destination}: {error.strerror}; the file in the folder of "
            "the run is whole, copy it by hand"
        ) from error
    return said


def keep_existing(path: Path) -> str | None:
    """Rename a file that lies where another one is to be written.

    :return: a line that says so, if there was one
    """
    if not path.exists():
        return None
    backup = _free_name(path)
    os.replace(path, backup)
    return f"{path} was there before: it is now {backup}"


def _free_name(path: Path) -> Path:
    """``model.pt`` to ``model.1.pt``, or the first number that is free."""
    number = 1
    while (backup := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return backup
