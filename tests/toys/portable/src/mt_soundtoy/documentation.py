"""The hypers, as authors of metatrain describe them."""

from typing_extensions import TypedDict


class ModelHypers(TypedDict):
    """Hypers of the model."""

    cutoff: float
    """Radius of the neighborhoods."""
    num_features: int
    """Size of the embedding of the atomic types."""
    num_radial: int
    """How many functions of a distance there are."""
