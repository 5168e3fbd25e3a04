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
from mt_core.evaluation.models import model_from_checkpoint
from mt_core.evaluation.result_files import check_output, result_file
from mt_core.evaluation.torchscript_errors import explained
from mt_shared.contract import (
    ModelInterface,
    metadata_from_dict,
    metadata_to_dict,
    read_checkpoint,
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
    :param extensions: folder for compiled extensions, where the model needs any
    :param metadata: a file, or its content: name, description, authors, references
    :return: the file that was written
    :raises UserError: says what happened, where and what to do: OptionsError, DataError,
        ArchitectureError, CheckpointError
    """
    path = Path(output if output is not None else Path(checkpoint).with_suffix(".pt").name)
    check_output(path)
    model = model_from_checkpoint(read_checkpoint(checkpoint), "export")
    with logging_to(None):
        save_model(model, path, extensions, metadata)
        log.info(f"The model of {checkpoint} is {path}")
    return path


def save_model(
    model: ModelInterface[Any],
    output: Path,
    extensions: str | Path | None = None,
    metadata: str | Path | dict[str, Any] | None = None,
) -> None:
    """Export a model to a file; what lies there is kept, and said."""
    whole_metadata = None if metadata is None else _join_metadata(model, metadata)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        refused = explained(model, _REFUSED, advice=_FROM_CHECKPOINT)
        with result_file(output) as partial, quiet_libraries(), refused:
            partial.write_bytes(_program(model, whole_metadata, extensions))
    except OSError as error:
        raise CheckpointError(
            f"cannot write the model '{output}': {error.strerror}; make room or choose another "
            "place with -o, and export it from its checkpoint: mt export"
        ) from error


def try_export(model: ModelInterface[Any]) -> bytes:
    """The content of the file that a model would be exported to, which is not written."""
    with quiet_libraries(), explained(model, _REFUSED):
        return _program(model, None, None)


def try_compile(model: ModelInterface[Any]) -> None:
    """Tell whether TorchScript takes the code of a model: all that its author can be wrong in.

    This takes half of the time of an export, and a later export in the same process gets about half
    of it back: TorchScript keeps the methods that it has compiled.
    """
    with quiet_libraries(), explained(model, _REFUSED):
        torch.jit.script(model.export().module)


def check_extensions(extensions: str | Path | None) -> None:
    """Refuse a folder with anything else in it: metatomic makes it anew."""
    if extensions is None:
        return
    folder = Path(extensions)
    for item in folder.rglob("*"):
        is_library = item.suffix in (".so", ".dylib", ".dll") or ".so." in item.name
        if item.is_file() and not is_library:
            raise OptionsError(
                f"the folder '{folder}' for extensions holds other files ({item.name}), and it "
                "would be emptied; choose another folder with -e"
            )


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


def _program(
    model: ModelInterface[Any], metadata: ModelMetadata | None, extensions: str | Path | None
) -> bytes:
    """The content of an exported file, whose extensions metatomic writes into their folder."""
    folder = None if extensions is None else str(extensions)
    exported = model.export(metadata)
    check_extensions(folder)
    # metatomic saves to a path alone, and torch ends the whole process when the disk there is
    # full: so the path is one in memory, where the system has such, and Python writes to disk
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("model"), "rb") as file:
            exported.save(f"/proc/self/fd/{file.fileno()}", folder)
            return file.read()
    with TemporaryDirectory() as temporary:
        exported.save(f"{temporary}/model.pt", folder)
        return Path(temporary, "model.pt").read_bytes()
