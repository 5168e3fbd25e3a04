"""What a dry run tries of a model: its checkpoint, its export, a call of the exported model.

After a training it would be too late to learn that one of them fails.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from mt_core.evaluation import explained, try_export
from mt_core.loading import Splits
from mt_core.training.summary import model_errors
from mt_shared.contract import (
    ModelInterface,
    TrainerInterface,
    TrainingCheckpoint,
    check_keys,
    read_checkpoint,
)
from mt_shared.engine import trained_info
from mt_shared.errors import ArchitectureError, UserError
from mt_shared.registry import place_in_source


def try_delivery(model: ModelInterface[Any], splits: Splits) -> None:
    """Export a model, and call what engines would load on the first structure of each data set.

    :raises ArchitectureError: with the line of the author's source
    """
    # as they load it, but that extensions are there already
    exported = torch.jit.load(io.BytesIO(try_export(model)))
    sets = [data.subset(np.arange(1)) for data in splits.datasets["training"] if len(data)]
    info = trained_info(model.dataset_info, sets)
    with explained(model, "the model is exported, and fails where an engine would call it:"):
        model_errors(exported, Splits({"training": sets}, {}), info)


def try_checkpoint(model: ModelInterface[Any], trainer: TrainerInterface[Any] | None) -> None:
    """Save, read and load a model, and its trainer where it has something to save.

    :param trainer: None: it has nothing to save before it has trained, and the model is saved alone
    :raises ArchitectureError: names the method that fails and the line of the author's source, or
        what comes back otherwise than it was
    """
    model_class = type(model)
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.ckpt")
        writer = model_class if trainer is None else type(trainer)
        with _told(writer, "save_checkpoint"):
            if trainer is None:
                model.save_checkpoint(path)
            else:
                trainer.save_checkpoint(model, path)
        if not path.is_file():
            raise ArchitectureError(f"save_checkpoint of {writer.__name__} has written no file")
        loaded = {}
        for context in ("restart", "export"):
            with _told(model_class, "load_checkpoint", context):
                # read again for each: loading may change what it is given
                checkpoint = model_class.upgrade_checkpoint(read_checkpoint(path))
                loaded[context] = model_class.load_checkpoint(checkpoint, context)
        changes = _differences(loaded["restart"], model)
        if changes:
            raise ArchitectureError(
                f"load_checkpoint of {model_class.__name__} for 'restart' gives another model than "
                f"the one that was saved: {'; '.join(changes[:3])}"
            )
        if trainer is not None:
            trainer_class = type(trainer)
            with _told(trainer_class, "load_checkpoint", "restart"):
                checkpoint = model_class.upgrade_checkpoint(read_checkpoint(path))
                check_keys(checkpoint, TrainingCheckpoint, f"save_checkpoint of {writer.__name__}")
                checkpoint = trainer_class.upgrade_checkpoint(checkpoint)
                trainer_class.load_checkpoint(checkpoint, trainer.hypers, "restart")


@contextmanager
def _told(owner: type, method: str, context: str | None = None) -> Iterator[None]:
    """Tell what fails in a method of an architecture's class, with its place."""
    when = "" if context is None else f" for '{context}'"
    what = f"the checkpoint does not come back: {method} of {owner.__name__}{when} failed"
    try:
        yield
    except UserError as error:
        raise ArchitectureError(f"{what}: {error}") from error
    # whatever an author's code raises is told as that code's fault
    except Exception as error:
        place = place_in_source(error, owner.__module__.partition(".")[0])
        where = "" if place is None else f" ({place})"
        raise ArchitectureError(f"{what}: {type(error).__name__}: {error}{where}") from error


def _differences(found: ModelInterface[Any], expected: ModelInterface[Any]) -> list[str]:
    """Parameters and buffers that are missing, new or changed."""
    ours, theirs = found.state_dict(), expected.state_dict()
    changes = [f"it lacks '{name}'" for name in theirs if name not in ours]
    changes += [f"'{name}' is new" for name in ours if name not in theirs]
    for name in ours.keys() & theirs.keys():
        left, right = ours[name].cpu(), theirs[name].cpu()
        if (left.shape, left.dtype) != (right.shape, right.dtype):
            kinds = [f"{each.dtype} {tuple(each.shape)}" for each in (right, left)]
            changes.append(f"'{name}' was {kinds[0]} and is {kinds[1]}")
        # what is not a number equals itself here
        elif not torch.equal(left.nan_to_num(), right.nan_to_num()):
            changes.append(f"'{name}' has other values")
    return sorted(changes)
