"""How closely the labels are followed: the regularizers of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RELATIVE = 0.002
"""Noise of the labels by their typical size, where the options do not give it."""

RELATIVE_RESIDUAL = 0.01
"""The same where another model explains a part: its errors are in what is left."""


@dataclass(frozen=True)
class Noise:
    """What is expected to remain unexplained, in units of the target and of length.

    :param energy: of a structure, by the square root of its number of atoms
    :param forces: of each component
    :param virial: of each component of dE/d(strain), by the square root of the number of atoms
    """

    energy: float
    forces: float
    virial: float


def noise_of(hypers: dict[str, Any], typical: float, residual: bool) -> Noise:
    """What the options say; else, a small part of the typical size of the labels.

    ``regularizer`` is for all labels, and the other two are for theirs.

    :param residual: whether the labels are what another model does not explain
    """
    energy = hypers["regularizer"]
    if energy is None:
        energy = typical * (RELATIVE_RESIDUAL if residual else RELATIVE)
    forces = hypers["regularizer_forces"]
    if forces is None:
        forces = energy
    virial = hypers["regularizer_virial"]
    return Noise(energy, forces, forces if virial is None else virial)
