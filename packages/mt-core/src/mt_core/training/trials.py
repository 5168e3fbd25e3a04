"""What a dry run tries of a model: its checkpoint, its export, a call of the exported model.

After a training it would be too late to learn that one of them fails.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import torch

from mt_core.evaluation import torchscript_cause, try_export
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
from mt_shared.errors import ArchitectureError, UserError, is_out_of_memory
from mt_shared.registry import place_in_source

Loaded = TypeVar("Loaded")


def try_delivery(model: ModelInterface[Any], splits: Splits) -> None:
    """Export a model, and call what engines would load on the first structure of each data set.

    :raises ArchitectureError: with the line of the author's source
    """
    # as they load it, but that extensions are there already
    exported = torch.jit.load(io.BytesIO(try_export(model)))
    sets = [data.subset(np.arange(1)) for data in splits.datasets["training"] if len(data)]
    try:
        model_errors(
            exported, Splits({"training": sets}, {}), trained_info(model.dataset_info, sets)
        )
    except UserError:
        raise
    # TorchScript's errors have no class in common
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ArchitectureError(
            "the model is exported, and fails where an engine would call it:\n"
            f"{torchscript_cause(model, error)}"
        ) from error


def try_checkpoint(model: ModelInterface[Any], trainer: TrainerInterface[Any] | None) -> None:
    """Save, read and load a model, and its trainer where it has something to save.

    :param trainer: None: it has nothing to save before it has trained, and the model is saved alone
    :raises ArchitectureError: names the method that fails and the line of the author's source, or
        what comes back otherwise than it was
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.ckpt")
        if trainer is None:
            _call(type(model), "save_checkpoint", "", lambda: model.save_checkpoint(path))
        else:
            save = trainer.save_checkpoint
            _call(type(trainer), "save_checkpoint", "", lambda: save(model, path))
        if not path.is_file():
            writer = type(model if trainer is None else trainer).__name__
            raise ArchitectureError(f"save_checkpoint of {writer} has written no file")
        restarted = _loaded(type(model), path, "restart")
        changes = _differences(restarted, model)
        if changes:
            raise ArchitectureError(
                f"load_checkpoint of {type(model).__name__} for 'restart' gives another model than "
                f"the one that was saved: {'; '.join(changes[:3])}"
            )
        _loaded(type(model), path, "export")
        if trainer is not None:
            made, hypers = type(trainer), trainer.hypers

            def load() -> TrainerInterface[Any]:
                checkpoint = type(model).upgrade_checkpoint(read_checkpoint(path))
                check_keys(checkpoint, TrainingCheckpoint, f"save_checkpoint of {made.__name__}")
                return made.load_checkpoint(made.upgrade_checkpoint(checkpoint), hypers, "restart")

            _call(made, "load_checkpoint", " for 'restart'", load)


def _loaded(
    model_class: type[ModelInterface[Any]], path: Path, context: str
) -> ModelInterface[Any]:
    def load() -> ModelInterface[Any]:
        # read again for each context: loading may change what it is given
        checkpoint = model_class.upgrade_checkpoint(read_checkpoint(path))
        return model_class.load_checkpoint(checkpoint, context)

    return _call(model_class, "load_checkpoint", f" for '{context}'", load)


def _call(owner: type, method: str, when: str, action: Callable[[], Loaded]) -> Loaded:
    """Call a method of an architecture's class; what fails is told with its place."""
    what = f"the checkpoint does not come back: {method} of {owner.__name__}{when} failed"
    try:
        return action()
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
