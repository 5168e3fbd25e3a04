"""``mt export`` and ``load_model``: from a checkpoint to a model that engines run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt_core.lifecycle import first_party
from mt_core.logs import quiet_libraries
from mt_shared.contract import (
    ModelInterface,
    metadata_from_dict,
    metadata_to_dict,
    read_checkpoint,
)
from mt_shared.errors import CheckpointError, OptionsError, did_you_mean
from mt_shared.options import read_yaml
from mt_shared.registry import load

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel, ModelMetadata

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
    output = Path(output) if output is not None else Path(checkpoint).with_suffix(".pt").name
    model = model_from_checkpoint(read_checkpoint(checkpoint), "export")
    return save_model(model, Path(output), extensions, metadata)


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
    """Write the exported model beside its final name and rename it.

    :raises CheckpointError: when it cannot be written
    """
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    given = _metadata(model, metadata)
    try:
        with quiet_libraries():
            exported = model.export(given)
            exported.save(str(partial), collect_extensions=_prepared(extensions))
        os.replace(partial, output)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) or "write" in str(error) or "open" in str(error):
            raise CheckpointError(
                f"cannot write the model '{output}': {error}; choose another place with -o"
            ) from error
        raise
    return output


def _prepared(extensions: str | Path | None) -> str | None:
    """metatomic makes the folder anew; one that holds anything else is not ours to remove."""
    if extensions is None:
        return None
    folder = Path(extensions)
    if folder.is_dir():
        foreign = [
            item.name for item in folder.rglob("*") if item.is_file() and not _is_library(item)
        ]
        if foreign:
            raise OptionsError(
                f"the folder '{folder}' for extensions holds other files ({foreign[0]}), and it "
                "would be emptied; choose another folder with -e"
            )
        shutil.rmtree(folder)
    return str(folder)


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
    if path.suffix != ".pt":
        return model_from_checkpoint(read_checkpoint(path), "export").export()
    if not path.is_file():
        raise CheckpointError(f"there is no model '{path}'; check the path")
    try:
        with quiet_libraries():
            return load_atomistic_model(str(path), extensions_directory=extensions)
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"'{path}' cannot be loaded as an exported model: {str(error).splitlines()[0]}. "
            "If it needs extensions, name their folder with -e; if it was copied, copy it again"
        ) from error
