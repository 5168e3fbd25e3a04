"""``mt export``: from a checkpoint to a file that engines run."""

# metatomic's classes are TorchScript's, which know no | at run time
from __future__ import annotations

import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from metatomic.torch import ModelMetadata

from mt_core.console import logging_to, quiet_libraries
from mt_core.evaluation.extensions import check_extensions, extensions_note, place_extensions
from mt_core.evaluation.models import exported, model_from_checkpoint, open_checkpoint
from mt_core.evaluation.result_files import check_output, result_file
from mt_core.evaluation.torchscript_errors import explained
from mt_shared.contract import (
    ModelInterface,
    metadata_from_dict,
    metadata_to_dict,
)
from mt_shared.errors import CheckpointError, OptionsError, did_you_mean
from mt_shared.options import read_yaml

log = logging.getLogger("mt.export")

_REFUSED = "the model cannot be exported: its code is not what TorchScript understands."
# what was trained before is not lost
_FROM_CHECKPOINT = (
    "Once it is mended, a model that is trained already is exported from its checkpoint: mt export"
)
METADATA_FIELDS = ("name", "description", "authors", "references", "extra")


def export(
    checkpoint: str | Path,
    output: str | Path | None = None,
    extensions: str | Path | None = None,
    metadata: str | Path | dict[str, Any] | None = None,
) -> Path:
    """Export the best model of a checkpoint.

    :param output: file to write, by default the checkpoint's name with ``.pt``
    :param extensions: folder for compiled extensions, where the model needs any; by default
        ``extensions`` beside it
    :param metadata: a file, or its content: name, description, authors, references
    :return: the file that was written
    :raises UserError: says what happened, where and what to do: OptionsError, DataError,
        ArchitectureError, CheckpointError
    """
    path = Path(output if output is not None else Path(checkpoint).with_suffix(".pt").name)
    check_output(path)
    check_extensions(extensions)
    with logging_to(None):
        model = model_from_checkpoint(open_checkpoint(checkpoint), "export")
        folder = save_model(model, path, extensions, metadata)
        log.info(f"The model of {checkpoint} is {path}")
        if folder is not None:
            log.info(extensions_note(folder, checkpoint))
    return path


def save_model(
    model: ModelInterface[Any],
    output: Path,
    extensions: str | Path | None = None,
    metadata: str | Path | dict[str, Any] | None = None,
) -> Path | None:
    """Export a model to a file; what lies there is kept, and said.

    :param extensions: folder for what it needs beside it, see :func:`place_extensions`
    :return: that folder, None where there is none
    """
    whole_metadata = None if metadata is None else _join_metadata(model, metadata)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with quiet_libraries(), explained(model, _REFUSED, advice=_FROM_CHECKPOINT):
            program = _program(model, whole_metadata)
        # first: a model that is there can be run
        folder = place_extensions(program, output, extensions)
        with result_file(output) as partial:
            partial.write_bytes(program)
    except OSError as error:
        raise CheckpointError(
            f"cannot write the model '{output}': {error.strerror}; make room or choose another "
            "place with -o, and export it from its checkpoint: mt export"
        ) from error
    return folder


def try_export(model: ModelInterface[Any]) -> bytes:
    """The content of the file that a model would be exported to, which is not written."""
    with quiet_libraries(), explained(model, _REFUSED):
        return _program(model, None)


def try_compile(model: ModelInterface[Any]) -> None:
    """Tell whether TorchScript takes the code of a model: all that its author can be wrong in.

    This takes half of the time of an export, and a later export in the same process gets about half
    of it back: TorchScript keeps the methods that it has compiled.
    """
    with quiet_libraries(), explained(model, _REFUSED):
        torch.jit.script(model.export().module)


def _join_metadata(model: ModelInterface[Any], given: str | Path | dict[str, Any]) -> ModelMetadata:
    """The user's metadata over those of the architecture, whose references stay."""
    values = read_yaml(Path(given)) if isinstance(given, str | Path) else given
    if not isinstance(values, dict):
        raise OptionsError(f"the metadata {given} are no mapping of {', '.join(METADATA_FIELDS)}")
    for name in values:
        if name not in METADATA_FIELDS:
            raise OptionsError(
                f"the metadata have the field '{name}'{did_you_mean(name, METADATA_FIELDS)}; "
                f"known are {', '.join(METADATA_FIELDS)}"
            )
    # who uses the model has to cite its method too: references are added, the rest is replaced
    defaults = metadata_to_dict(model.__default_metadata__)
    references = {section: list(items) for section, items in defaults["references"].items()}
    for section, items in values.get("references", {}).items():
        references[section] = [*references.get(section, []), *items]
    return metadata_from_dict(defaults | values | {"references": references})


def _program(model: ModelInterface[Any], metadata: ModelMetadata | None) -> bytes:
    """The content of an exported file."""
    atomistic = exported(model, metadata)
    # metatomic saves to a path alone, and torch ends the whole process when the disk there is
    # full: so the path is one in memory, where the system has such, and Python writes to disk
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("model"), "rb") as file:
            atomistic.save(f"/proc/self/fd/{file.fileno()}")
            return file.read()
    with TemporaryDirectory() as temporary:
        atomistic.save(f"{temporary}/model.pt")
        return Path(temporary, "model.pt").read_bytes()
