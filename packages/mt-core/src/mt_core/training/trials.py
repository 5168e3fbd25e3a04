"""What a dry run tries of a model: its checkpoint, its export, a call of the exported model.

After a training it would be too late to learn that one of them fails.
"""

from __future__ import annotations

import io
import logging
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from mt_core.evaluation import explained, failing, needed_extensions, read_own, try_export
from mt_core.loading import Splits
from mt_core.training.summary import composition_errors, model_errors
from mt_shared.contract import (
    ModelInterface,
    TrainerInterface,
    TrainingCheckpoint,
    check_keys,
)
from mt_shared.data import Dataset
from mt_shared.engine import trained_info
from mt_shared.errors import ArchitectureError, is_out_of_memory

log = logging.getLogger("mt.train")


def try_delivery(model: ModelInterface[Any], splits: Splits, device: torch.device) -> None:
    """Export a model, load what engines would load, and call it as the final evaluation will.

    It is called on one structure of each data set and on two: the first, and the largest of the
    others.

    :raises ArchitectureError: with the line of the author's source
    """
    program = try_export(model)
    with explained(model, "the model is exported, and nothing can load it:"):
        # as engines do, but that extensions are there already
        exported = torch.jit.load(io.BytesIO(program))
    for number in (1, 2):
        some = {
            split: [data.subset(_first_and_largest(data)[:number]) for data in filter(len, parts)]
            for split, parts in splits.datasets.items()
        }
        datasets = [data for part in some.values() for data in part]
        info = trained_info(model.dataset_info, datasets)
        few = Splits(some, {})
        with explained(model, "the model is exported, and fails where an engine would call it:"):
            errors = model_errors(exported, few, info, device)
        for split, of_quantities in errors.items():
            for label, error in of_quantities.items():
                if error.number and not math.isfinite(error.rmse):
                    raise ArchitectureError(
                        f"the model is exported, and predicts {label} that are not finite for the "
                        f"{split} set, before any training; its forward and what trains are not "
                        "the same function, or atoms are in one place"
                    )
        composition_errors(few, info)
    needed = needed_extensions(program)
    if needed.libraries:
        log.info(
            f"An exported model needs compiled extensions ({needed.names}), which are put into a "
            f"folder beside it, and fit {needed.built_for} alone"
        )


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
        with failing(writer, "save_checkpoint"):
            if trainer is None:
                model.save_checkpoint(path)
            else:
                trainer.save_checkpoint(model, path)
        if not path.is_file():
            raise ArchitectureError(f"save_checkpoint of {writer.__name__} has written no file")
        loaded = {}
        for context in ("restart", "export"):
            with failing(model_class, "load_checkpoint", context):
                # read again for each: loading may change what it is given
                checkpoint = model_class.upgrade_checkpoint(read_own(path, writer))
                loaded[context] = model_class.load_checkpoint(checkpoint, context)
        changes = _differences(loaded["restart"], model)
        if changes:
            raise ArchitectureError(
                f"load_checkpoint of {model_class.__name__} for 'restart' gives another model than "
                f"the one that was saved: {'; '.join(changes[:3])}"
            )
        if trainer is not None:
            trainer_class = type(trainer)
            with failing(trainer_class, "load_checkpoint", "restart"):
                checkpoint = model_class.upgrade_checkpoint(read_own(path, writer))
                check_keys(checkpoint, TrainingCheckpoint, f"save_checkpoint of {writer.__name__}")
                checkpoint = trainer_class.upgrade_checkpoint(checkpoint)
                trainer_class.load_checkpoint(checkpoint, trainer.hypers, "restart")


def try_saving(model: ModelInterface[Any], trainer: TrainerInterface[Any]) -> None:
    """What of a checkpoint can be tried before each training: the model's part, and that of a
    trainer which can save before it has trained.

    :raises ArchitectureError: as :func:`try_checkpoint`, or something could not be read again
    """
    # a model that is loaded is made with random weights first
    with torch.random.fork_rng(devices=[]), TemporaryDirectory() as folder:
        try_checkpoint(model, None)
        path = Path(folder, "model.ckpt")
        try:
            trainer.save_checkpoint(model, path)
        except ArchitectureError:
            raise
        # most have nothing to save by now, and fail in ways of their own
        except Exception as error:
            if is_out_of_memory(error):
                raise
        if path.is_file():
            read_own(path, type(trainer))


def _first_and_largest(data: Dataset) -> np.ndarray:
    others = data.structures.atoms_per_system[1:]
    return np.array([0, 1 + int(np.argmax(others))] if len(others) else [0])


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
