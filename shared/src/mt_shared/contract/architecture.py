"""An architecture as the registry hands it over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mt_shared.contract.model import ModelInterface
from mt_shared.contract.trainer import TrainerInterface


@dataclass(frozen=True)
class Architecture:
    """The two classes of an architecture and the people behind it.

    ``authors`` and ``maintainers`` are lists of ``("Name <mail>", "@handle")``.
    """

    name: str
    model_class: type[ModelInterface]
    trainer_class: type[TrainerInterface[Any]]
    authors: list[tuple[str, str]]
    maintainers: list[tuple[str, str]]
