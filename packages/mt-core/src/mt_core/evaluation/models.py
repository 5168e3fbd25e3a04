"""Models that are loaded: from a checkpoint, or from an exported file."""

import zipfile
from pathlib import Path
from typing import Any

from metatomic.torch import AtomisticModel, load_atomistic_model

from mt_core.architectures import load_architecture
from mt_core.console import quiet_libraries
from mt_shared.contract import ModelInterface, read_checkpoint
from mt_shared.errors import CheckpointError


def model_from_checkpoint(checkpoint: dict[str, Any], context: str) -> ModelInterface[Any]:
    """The model of a checkpoint of any version, by the architecture that is named in it."""
    model_class = load_architecture(checkpoint["architecture"]).model_class
    return model_class.load_checkpoint(model_class.upgrade_checkpoint(checkpoint), context)


def load_model(path: str | Path, extensions: str | Path | None = None) -> AtomisticModel:
    """The model of an exported file or of a checkpoint, ready to be evaluated.

    :param extensions: folder of the compiled extensions of an exported model, if it has any
    :raises UserError: CheckpointError for what is no model, ArchitectureError for a checkpoint of
        an architecture that is not installed
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no model '{path}'; check the path")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"'{path}' is no model: neither an exported one (.pt) nor a checkpoint (.ckpt), or it "
            "is cut off; name what mt train has written, or copy it again"
        )
    # torch writes both as archives; by its name no file is known, users rename them
    with zipfile.ZipFile(path) as archive:
        is_program = any("/code/" in name for name in archive.namelist())
    if not is_program:
        with quiet_libraries():
            return model_from_checkpoint(read_checkpoint(path), "export").export()
    try:
        with quiet_libraries():
            return load_atomistic_model(str(path), extensions_directory=extensions)
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"'{path}' cannot be loaded as an exported model: {str(error).splitlines()[0]}. "
            "If it needs extensions, name their folder with -e; if it was copied, copy it again"
        ) from error
