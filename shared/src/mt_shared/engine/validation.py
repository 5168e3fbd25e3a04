"""Whether there is something to choose the best model by."""

from __future__ import annotations

import logging
from typing import Any

from mt_shared.data import GraphStore
from mt_shared.errors import OptionsError

log = logging.getLogger("mt.train")


def check_validation(store: GraphStore, hypers: dict[str, Any]) -> None:
    """Say that without labels in the validation set no model is better than another.

    :raises OptionsError: an option waits for progress on it
    """
    if store.has_labels:
        return
    waiting = {
        "scheduler.type: plateau": hypers["scheduler"]["type"] == "plateau",
        "early_stopping_patience": hypers["early_stopping_patience"] is not None,
    }
    lacking = "has no labels of what is trained" if len(store) > 0 else "is empty"
    for option, waits in waiting.items():
        if waits:
            raise OptionsError(
                f"architecture.training.{option} waits for progress on the validation set, which "
                f"{lacking}; give it structures with labels, or leave the option out"
            )
    if len(store) > 0:
        log.warning(f"The validation set {lacking}: the last model is kept, not the best one")
