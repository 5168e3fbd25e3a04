"""Models that are loaded: from a checkpoint, or from an exported file."""

# metatomic's classes are TorchScript's, which know no | at run time
from __future__ import annotations

import json
import logging
from dataclasses import fields
from pathlib import Path
from typing import Any

from metatomic.torch import AtomisticModel, ModelMetadata, load_atomistic_model

from mt_core.architectures import load_architecture
from mt_core.console import quiet_libraries
from mt_core.evaluation.author_errors import failing
from mt_core.evaluation.extensions import FOLDER, built_for_here, needed_extensions
from mt_shared.contract import (
    ModelInterface,
    TargetInfo,
    metadata_from_dict,
    metadata_to_dict,
    read_checkpoint,
)
from mt_shared.errors import CheckpointError
from mt_shared.user_files import (
    BINARY,
    CHECKPOINT,
    CUT_OFF,
    EMPTY,
    EXPORTED_MODEL,
    kind_of,
    missing,
    mistaken,
)

log = logging.getLogger("mt")

_TARGETS, _LARGEST_BATCH = "mt::targets", "mt::largest_batch"
_EXPORT_AGAIN = "export it again here, from its checkpoint: mt export"


def open_checkpoint(path: str | Path) -> dict[str, Any]:
    """The checkpoint of a file that a user names; see :func:`read_checkpoint`.

    :raises CheckpointError: says what the file is, if it is something else
    """
    if not Path(path).exists():
        raise CheckpointError(missing(path, "checkpoint"))
    kind = kind_of(path)
    # which of the first it is, or that it was cut off, is told where its content is read
    if kind not in (CHECKPOINT, EXPORTED_MODEL, BINARY, CUT_OFF, EMPTY):
        raise CheckpointError(mistaken(path, "a checkpoint (.ckpt) of mt train", kind))
    return read_checkpoint(path)


def model_from_checkpoint(checkpoint: dict[str, Any], context: str) -> ModelInterface[Any]:
    """The model of a checkpoint of any version, by the architecture that is named in it."""
    # a training that was stopped in its first epoch leaves one too
    if context == "export" and (checkpoint.get("trainer") or {}).get("epoch") == 0:
        log.warning(
            "note: the checkpoint was saved before the first epoch had ended; its model is hardly "
            "trained, and was never validated"
        )
    model_class = load_architecture(checkpoint["architecture"]).model_class
    with failing(model_class, "upgrade_checkpoint", checkpoint=checkpoint):
        current = model_class.upgrade_checkpoint(checkpoint)
    with failing(model_class, "load_checkpoint", context, checkpoint):
        return model_class.load_checkpoint(current, context)


def exported(model: ModelInterface[Any], metadata: ModelMetadata | None = None) -> AtomisticModel:
    """The model for engines, with what it was trained on among its metadata.

    The capabilities of metatomic do not say it: a value of each atom can be one, or a part of a sum
    over atoms; and how many atoms fit into memory at a time, who has trained it knows.
    """
    atomistic = model.export(metadata)
    targets = {name: target.to_dict() for name, target in model.dataset_info.targets.items()}
    largest = str(model.dataset_info.statistics.largest_batch)
    values = metadata_to_dict(atomistic.metadata())
    extra = values["extra"] | {_TARGETS: json.dumps(targets), _LARGEST_BATCH: largest}
    whole = metadata_from_dict(values | {"extra": extra})
    return AtomisticModel(atomistic, whole, atomistic.capabilities())


def trained_targets(model: AtomisticModel) -> dict[str, TargetInfo]:
    """What a model was trained on; of one that another program has exported, empty."""
    written = json.loads(model.metadata().extra.get(_TARGETS, "{}"))
    # a later version may have written more of each
    known = {each.name for each in fields(TargetInfo)}
    return {
        name: TargetInfo.from_dict({key: values[key] for key in values if key in known})
        for name, values in written.items()
    }


def largest_batch_of(model: AtomisticModel) -> int | None:
    """Atoms that a batch of its training may have held; None where it is not known."""
    return int(model.metadata().extra.get(_LARGEST_BATCH, "0")) or None


def load_model(path: str | Path, extensions: str | Path | None = None) -> AtomisticModel:
    """The model of an exported file or of a checkpoint, ready to be evaluated.

    :param extensions: folder of the compiled extensions of an exported model, if it has any; by
        default that beside it
    :raises UserError: CheckpointError for what is no model, ArchitectureError for a checkpoint of
        an architecture that is not installed
    """
    path = Path(path)
    if not path.exists():
        raise CheckpointError(missing(path, "model"))
    kind = kind_of(path)
    if kind not in (EXPORTED_MODEL, CHECKPOINT):
        expected = "a model that mt train or mt export has written, .pt or .ckpt"
        raise CheckpointError(mistaken(path, expected, kind))
    # by its content: users rename files
    if kind == CHECKPOINT:
        with quiet_libraries():
            return exported(model_from_checkpoint(read_checkpoint(path), "export"))
    folder = path.parent / FOLDER if extensions is None else Path(extensions)
    needed = needed_extensions(path)
    if needed.libraries and needed.built_for != built_for_here():
        raise CheckpointError(
            f"'{path}' needs compiled extensions ({needed.names}) that were built for "
            f"{needed.built_for}, and this is {built_for_here()}; {_EXPORT_AGAIN}"
        )
    try:
        with quiet_libraries():
            return load_atomistic_model(str(path), extensions_directory=folder)
    except (RuntimeError, ValueError) as error:
        lacking = [each for each in needed.libraries if not (folder / each).is_file()]
        if lacking:
            lacks = f"'{folder}' lacks {lacking[0]}"
            if not folder.is_dir():
                lacks = f"there is no folder '{folder}'"
            raise CheckpointError(
                f"'{path}' needs compiled extensions ({needed.names}), and {lacks}; copy their "
                f"folder from where the model was exported, or name it with -e, or {_EXPORT_AGAIN}"
            ) from error
        raise CheckpointError(
            f"'{path}' cannot be loaded as an exported model: {str(error).splitlines()[0]}. If it "
            f"was copied, copy it again, or {_EXPORT_AGAIN}"
        ) from error
