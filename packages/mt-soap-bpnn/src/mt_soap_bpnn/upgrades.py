"""Checkpoints of old versions, brought to the next one: a function a version."""

from typing import Any


def from_1_to_2(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Densities were sums of points that all counted as much, and no model had been extended."""
    hypers = checkpoint["model_hypers"]
    new = {"atomic_gaussian_width": 0.0, "radial_scaling": None}
    first = {"type_groups": [checkpoint["dataset_info"]["atomic_types"]]}
    return first | checkpoint | {"model_hypers": hypers | {"soap": hypers["soap"] | new}}
