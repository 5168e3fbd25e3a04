"""What a test needs of an architecture, read off its capabilities: ``@needs(forces)``.

An ability is a function of the capabilities. A test of which one is missing is not collected for
that architecture: it says nothing about it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Capabilities = dict[str, Any]
Ability = Callable[[Capabilities], bool]

# What is taken for granted of a package without capabilities.yaml: a potential, trained over
# epochs, whose energy does not depend on where a structure is and how its atoms are numbered.
DEFAULT_CAPABILITIES: Capabilities = {
    "targets": {"scalar": ["system"]},
    "gradients": ["positions"],
    "multiple_targets": False,
    "symmetries": {
        "translation": "exact",
        "rotation": "none",
        "inversion": "none",
        "permutation": "exact",
    },
    "locality": "global",
    "long_range": False,
    "finetuning": [],
    "distributed": False,
    "devices": ["cpu"],
    "dtypes": ["float64", "float32"],
    "fit": "gradient",
}


def needs(*abilities: Ability) -> pytest.MarkDecorator:
    """Mark a test as one for architectures with all of these abilities."""
    return pytest.mark.needs.with_args(*abilities)


def needs_option(name: str) -> pytest.MarkDecorator:
    """Mark a test as one for architectures whose section ``model`` has an option of that name."""
    return pytest.mark.needs_option.with_args(name)


def forces(capabilities: Capabilities) -> bool:
    return "positions" in capabilities["gradients"]


def stress(capabilities: Capabilities) -> bool:
    return "strain" in capabilities["gradients"]


def targets_of_atoms(capabilities: Capabilities) -> bool:
    return "atom" in capabilities["targets"].get("scalar", [])


def several_targets(capabilities: Capabilities) -> bool:
    """Of any quantity: the tests have a charge beside the energy."""
    return bool(capabilities["multiple_targets"]) and "quantities" not in capabilities


def finite_range(capabilities: Capabilities) -> bool:
    """Atoms far apart do not feel each other."""
    return capabilities["locality"] != "global" and not capabilities["long_range"]


def local(capabilities: Capabilities) -> bool:
    """An atom sees its neighbors within one cutoff, and nothing else."""
    return capabilities["locality"] == "local" and not capabilities["long_range"]


def distributed(capabilities: Capabilities) -> bool:
    """It can be trained by several processes."""
    return bool(capabilities["distributed"])


def epochs(capabilities: Capabilities) -> bool:
    """It is trained over epochs, unlike a fit in closed form."""
    return bool(capabilities["fit"] == "gradient")


def closed_form(capabilities: Capabilities) -> bool:
    """It is fitted in one step."""
    return bool(capabilities["fit"] == "closed_form")


def finetuning(capabilities: Capabilities) -> bool:
    return "full" in capabilities["finetuning"]


def double_precision(capabilities: Capabilities) -> bool:
    return "float64" in capabilities["dtypes"]


def both_precisions(capabilities: Capabilities) -> bool:
    return {"float32", "float64"} <= set(capabilities["dtypes"])


def names_dtype(name: str) -> Ability:
    """It runs in this floating-point type."""
    return lambda capabilities: name in capabilities["dtypes"]


def names_device(name: str) -> Ability:
    """It runs on this kind of device."""
    return lambda capabilities: name in capabilities["devices"]


def names_target(kind: str, sample_kind: str) -> Ability:
    """It predicts targets of this type, of structures (``system``) or of atoms."""
    return lambda capabilities: sample_kind in capabilities["targets"].get(kind, [])


def augmented(symmetry: str) -> Ability:
    """The symmetry is learnt, from training data in many guises."""
    return lambda capabilities: bool(capabilities["symmetries"][symmetry] == "augmentation")


def exact(symmetry: str) -> Ability:
    """The symmetry is kept by construction, not by augmentation of the training data."""
    return lambda capabilities: bool(capabilities["symmetries"][symmetry] == "exact")
