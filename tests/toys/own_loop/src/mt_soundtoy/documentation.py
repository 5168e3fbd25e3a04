"""The hypers, as authors of metatrain describe them."""

from typing import Any

from typing_extensions import TypedDict


class ModelHypers(TypedDict):
    """Hypers of the model."""

    cutoff: float
    """Radius of the neighborhoods."""
    num_features: int
    """Size of the embedding of the atomic types."""
    num_radial: int
    """How many functions of a distance there are."""


class TrainerHypers(TypedDict):
    """Hypers of the trainer."""

    num_epochs: int
    """How often each structure is seen."""
    batch_size: int
    """Structures of a step."""
    learning_rate: float
    """That of all steps."""
    checkpoint_interval: int
    """Epochs from one checkpoint to the next."""
    log_interval: int
    """Epochs from one line in the log to the next."""
    finetune: dict[str, Any]
    """Where the training starts from, if not from random weights."""
