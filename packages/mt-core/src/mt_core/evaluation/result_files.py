"""The files that a user gets: they appear whole, and what lay in their place is kept."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from mt_shared.contract import whole_file
from mt_shared.errors import CheckpointError, OptionsError

log = logging.getLogger("mt")


def check_output(output: Path) -> None:
    """Refuse a name for the exported model that its files could not have, before any work."""
    if output.suffix != ".pt":
        raise OptionsError(
            f"-o {output}: an exported model ends in .pt, which is how mt eval knows it; "
            f"write -o {output.with_suffix('.pt')}"
        )
    for path in (output, output.with_suffix(".ckpt")):
        if path.is_dir():
            raise OptionsError(f"-o {output}: '{path}' is a folder; name a file, such as model.pt")
    # folders that are not there will be made
    above = next(folder for folder in output.absolute().parents if folder.exists())
    if not above.is_dir():
        raise OptionsError(f"-o {output}: '{above}' is a file; name another folder for the model")
    if not os.access(above, os.W_OK):
        raise OptionsError(f"-o {output}: no right to write in '{above}'; name another folder")


def copy_result(source: Path, destination: Path) -> None:
    """Copy a file of the run to where the user wants it; what lies there is kept, and said."""
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with result_file(destination) as partial:
            shutil.copyfile(source, partial)
    except OSError as error:
        raise CheckpointError(
            f"cannot copy {source} to {destination}: {error.strerror}; the file in the folder of "
            "the run is whole, copy it by hand"
        ) from error


@contextmanager
def result_file(path: Path) -> Iterator[Path]:
    """A path to write to, renamed to ``path`` at the end; what lies there is renamed, and said.

    ``model.pt`` becomes ``model.1.pt``, or the first number that is free. After an error it is
    untouched.
    """
    with whole_file(path) as partial:
        yield partial
        # only now: until the new file is whole, the old one stays what it is
        if path.exists():
            names = (path.with_name(f"{path.stem}.{each}{path.suffix}") for each in count(1))
            backup = next(name for name in names if not name.exists())
            os.replace(path, backup)
            log.info(f"{path} was there before: it is now {backup}")
