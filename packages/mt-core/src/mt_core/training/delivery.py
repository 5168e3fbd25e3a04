"""What a training has made, brought to where the user wants it before it is tried on anything."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_core.evaluation import (
    copy_result,
    failing,
    model_from_checkpoint,
    place_extensions,
    read_own,
    save_model,
)
from mt_shared.contract import ModelInterface, TrainerInterface
from mt_shared.errors import ArchitectureError


@dataclass(frozen=True)
class Delivered:
    """What a user has of a training.

    :param extensions: folder of what the exported model needs, if anything
    :param best: the model that was exported
    """

    model: Path
    checkpoint: Path
    extensions: Path | None
    best: ModelInterface[Any]


def deliver(
    model: ModelInterface[Any],
    trainer: TrainerInterface[Any],
    folder: Path,
    output: Path,
    extensions: str | Path | None,
) -> Delivered:
    """Save the checkpoint of a training and export its best model, and copy both to their place.

    :param folder: of the run, which keeps both
    :raises UserError: what could not be done; whatever is in the folder by then is whole
    """
    checkpoint = output.with_suffix(".ckpt")
    try:
        with failing(type(trainer), "save_checkpoint"):
            trainer.save_checkpoint(model, folder / "model.ckpt")
        # from the file, so that what is delivered is what was saved
        saved = read_own(folder / "model.ckpt", type(trainer))
        with failing(type(model), "load_checkpoint", "export"):
            best = model_from_checkpoint(saved, "export")
    except ArchitectureError as error:
        # what is in memory is all that is left of the training
        rescued = ""
        with suppress(Exception):
            save_model(model, folder / "model.pt")
            place_extensions(folder / "model.pt", output, extensions)
            copy_result(folder / "model.pt", output)
            rescued = f". The model as the training left it is {output}, without a checkpoint"
        raise ArchitectureError(f"{error}{rescued}") from error
    # whole in the folder of the run, before a place that may not be written to is tried
    save_model(best, folder / "model.pt")
    copy_result(folder / "model.ckpt", checkpoint)
    placed = place_extensions(folder / "model.pt", output, extensions)
    copy_result(folder / "model.pt", output)
    return Delivered(output, checkpoint, placed, best)
