"""``mt export`` and ``load_model``: from a checkpoint to a model that engines run."""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mt_core.architectures import first_party
from mt_core.console import is_out_of_memory, logging_to, quiet_libraries
from mt_core.evaluation.result_files import check_output, keep_existing
from mt_shared.contract import (
    ModelInterface,
    metadata_from_dict,
    metadata_to_dict,
    read_checkpoint,
    whole_file,
)
from mt_shared.errors import (
    ArchitectureError,
    CheckpointError,
    OptionsError,
    UserError,
    did_you_mean,
)
from mt_shared.options import read_yaml
from mt_shared.registry import load

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel, ModelMetadata

log = logging.getLogger("mt.export")

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
    """
    path = Path(output if output is not None else Path(checkpoint).with_suffix(".pt").name)
    check_output(path)
    model = model_from_checkpoint(read_checkpoint(checkpoint), "export")
    with logging_to(None):
        save_model(model, path, extensions, metadata)
        log.info(f"The model of {checkpoint} is {path}")
    return path


def model_from_checkpoint(checkpoint: dict[str, Any], context: str) -> ModelInterface:
    """The model of a checkpoint of any version, by the architecture that is named in it."""
    architecture = load(checkpoint["architecture"], known=first_party())
    model_class = architecture.model_class
    return model_class.load_checkpoint(model_class.upgrade_checkpoint(checkpoint), context)


def save_model(
    model: ModelInterface,
    output: Path,
    extensions: str | Path | None = None,
    metadata: str | Path | dict[str, Any] | None = None,
) -> Path:
    """Write the exported model beside its final name and rename it; what lies there is kept.

    :raises CheckpointError: when it cannot be written
    """
    given = _metadata(model, metadata)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(output) as partial:
            with quiet_libraries():
                partial.write_bytes(_program(model, given, extensions))
            said = keep_existing(output)
    except OSError as error:
        raise CheckpointError(
            f"cannot write the model '{output}': {error.strerror}; make room or choose another "
            "place with -o, and export it from its checkpoint: mt export"
        ) from error
    if said is not None:
        log.info(said)
    return output


def try_export(model: ModelInterface) -> None:
    """Export a model to nowhere.

    :raises ArchitectureError: where TorchScript refuses its code
    """
    with quiet_libraries():
        _program(model, None, None)


def _program(
    model: ModelInterface, metadata: ModelMetadata | None, extensions: str | Path | None
) -> bytes:
    """The content of an exported file.

    :raises ArchitectureError: where TorchScript refuses the code of the model
    """
    try:
        return _saved(model.export(metadata), extensions)
    except (OSError, UserError):
        raise
    # TorchScript's errors have no class in common
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ArchitectureError(
            "the model cannot be exported: its code is not what TorchScript understands.\n"
            f"{type(error).__name__}: {error}\n"
            "Once it is mended, a model that is trained already is exported from its checkpoint: "
            "mt export"
        ) from error


def _saved(exported: AtomisticModel, extensions: str | Path | None) -> bytes:
    """What metatomic writes.

    metatomic saves to a path alone, and torch ends the whole process when the disk there is full.
    So the path is one in memory, where the system has such, and Python writes to the disk.
    """
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("model"), "rb") as file:
            exported.save(f"/proc/self/fd/{file.fileno()}", _prepared(extensions))
            return file.read()
    with TemporaryDirectory() as folder:
        exported.save(f"{folder}/model.pt", _prepared(extensions))
        return Path(folder, "model.pt").read_bytes()


def check_extensions(extensions: str | Path | None) -> None:
    """metatomic makes the folder anew; one that holds anything else is not ours to remove.

    :raises OptionsError: for such a folder
    """
    folder = Path(extensions) if extensions is not None else None
    if folder is not None and folder.is_dir():
        foreign = [
            item.name for item in folder.rglob("*") if item.is_file() and not _is_library(item)
        ]
        if foreign:
            raise OptionsError(
                f"the folder '{folder}' for extensions holds other files ({foreign[0]}), and it "
                "would be emptied; choose another folder with -e"
            )


def _prepared(extensions: str | Path | None) -> str | None:
    if extensions is None:
        return None
    check_extensions(extensions)
    shutil.rmtree(extensions, ignore_errors=True)
    return str(extensions)


def _is_library(path: Path) -> bool:
    return path.suffix in (".so", ".dylib", ".dll") or ".so." in path.name


def _metadata(
    model: ModelInterface, given: str | Path | dict[str, Any] | None
) -> ModelMetadata | None:
    """The user's metadata over those of the architecture, whose references stay."""
    if given is None:
        return None
    values = read_yaml(Path(given)) if isinstance(given, str | Path) else given
    if not isinstance(values, dict):
        raise OptionsError(f"the metadata {given} are no mapping of {', '.join(METADATA_FIELDS)}")
    for name in values:
        if name not in METADATA_FIELDS:
            raise OptionsError(
                f"the metadata have the field '{name}'{did_you_mean(name, METADATA_FIELDS)}; "
                f"known are {', '.join(METADATA_FIELDS)}"
            )
    defaults = metadata_to_dict(model.__default_metadata__)
    references = {section: list(items) for section, items in defaults["references"].items()}
    for section, items in values.get("references", {}).items():
        references[section] = [*references.get(section, []), *items]
    return metadata_from_dict(defaults | values | {"references": references})


def load_model(path: str | Path, extensions: str | Path | None = None) -> AtomisticModel:
    """The model of an exported file or of a checkpoint, ready to be evaluated.

    :param extensions: folder of the compiled extensions of an exported model, if it has any
    """
    from metatomic.torch import load_atomistic_model

    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no model '{path}'; check the path")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"'{path}' is no model: neither an exported one (.pt) nor a checkpoint (.ckpt), or it "
            "is cut off; name what mt train has written, or copy it again"
        )
    if not _is_program(path):
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


def _is_program(path: Path) -> bool:
    """Whether a file is a TorchScript program, whatever its name; else it may be a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())
