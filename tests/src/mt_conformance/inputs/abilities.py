"""What a test needs of an architecture, read off its capabilities: ``@needs(abilities.forces)``.

An ability is a function of the capabilities. A test of which one is missing is not collected for
that architecture: it says nothing about it.
"""

from collections.abc import Callable
from typing import Any

import pytest

from mt_shared.options import STANDARD_INPUTS

Capabilities = dict[str, Any]
Ability = Callable[[Capabilities], bool]

# What is taken for granted of a package without capabilities.yaml: a potential, trained over
# epochs, whose energy does not depend on where a structure is and how its atoms are numbered.
DEFAULT_CAPABILITIES: Capabilities = {
    "targets": {"scalar": ["system"]},
    "inputs": [],
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
    "extensions": False,
    "fit": "gradient",
}


def needs(*abilities: Ability) -> pytest.MarkDecorator:
    """Mark a test as one for architectures with all of these abilities."""
    return pytest.mark.needs.with_args(*abilities)


def needs_option(name: str) -> pytest.MarkDecorator:
    """Mark a test as one for architectures whose section ``model`` has an option of that name."""
    return pytest.mark.needs_option.with_args(name)


needs_shared_trainer = pytest.mark.needs_shared_trainer
"""Mark a test as one that calls the trainer of the shared engine."""


def target(kind: str, sample_kind: str) -> Ability:
    """It predicts targets of this type, of structures (``system``) or of atoms."""
    return lambda capabilities: sample_kind in capabilities["targets"].get(kind, [])


def _listed(section: str, name: str) -> Ability:
    return lambda capabilities: name in capabilities[section]


def dtype(name: str) -> Ability:
    """It runs in this floating-point type."""
    return _listed("dtypes", name)


def device(name: str) -> Ability:
    """It runs on this kind of device."""
    return _listed("devices", name)


def finetuning(method: str = "full") -> Ability:
    """It can be fine-tuned by this method."""
    return _listed("finetuning", method)


def symmetry(name: str, kind: str = "exact") -> Ability:
    """The symmetry is kept by construction, or learnt by ``augmentation`` of the training data."""
    return lambda capabilities: bool(capabilities["symmetries"][name] == kind)


def energies(capabilities: Capabilities) -> bool:
    """It predicts energies of structures."""
    of_energies = "energy" in capabilities.get("quantities", ["energy"])
    return of_energies and target("scalar", "system")(capabilities)


def no_energies(capabilities: Capabilities) -> bool:
    """It predicts something else, which no simulation runs on."""
    return not energies(capabilities)


def forces(capabilities: Capabilities) -> bool:
    """It predicts energies with forces."""
    return energies(capabilities) and "positions" in capabilities["gradients"]


def stress(capabilities: Capabilities) -> bool:
    """It predicts energies with the stress."""
    return energies(capabilities) and "strain" in capabilities["gradients"]


def inputs(capabilities: Capabilities) -> bool:
    """It reads something of structures or atoms beside positions and types."""
    return bool(capabilities["inputs"])


def inputs_in_ase(capabilities: Capabilities) -> bool:
    """It reads such inputs as ASE finds in a file of extended xyz, and keeps in ``atoms.info``."""
    of_structures = {
        name for name, each in STANDARD_INPUTS.items() if each.sample_kinds[0] == "system"
    }
    return inputs(capabilities) and of_structures.issuperset(capabilities["inputs"])


def no_inputs(capabilities: Capabilities) -> bool:
    """It reads positions and types alone, so that an engine without inputs can run it."""
    return not inputs(capabilities)


def directions(capabilities: Capabilities) -> bool:
    """It predicts something that turns with a structure, first of all."""
    return forces(capabilities) or "scalar" not in capabilities["targets"]


double_precision = dtype("float64")


def several_targets(capabilities: Capabilities) -> bool:
    """Of any quantity: the tests have one target of each kind that it can predict."""
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
    """It is trained over epochs."""
    return bool(capabilities["fit"] == "gradient")


def closed_form(capabilities: Capabilities) -> bool:
    """It is fitted in one step."""
    return bool(capabilities["fit"] == "closed_form")
