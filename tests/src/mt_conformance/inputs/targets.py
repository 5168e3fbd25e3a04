"""The targets that the suite trains on, of each kind one, and the labels of them in its files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ase
import torch

from mt_conformance.inputs import abilities
from mt_conformance.inputs.abilities import Ability, Capabilities
from mt_conformance.inputs.data import ETHANOL, ICE, with_harmonics, with_neighbors
from mt_shared.contract import Cartesian, Spherical, TargetInfo

ENERGY = "energy"
# with a hyphen, and with a variant, as users have them
OF_STRUCTURE = "mtt::of-structure"
OF_ATOM = "mtt::of_atom/neighbors"
VECTOR = "mtt::vector"
VECTOR_OF_ATOM = "mtt::vector_of_atom"
SPHERICAL = "mtt::spherical"
SPHERICAL_OF_ATOM = "mtt::spherical_of_atom"


def described(info: TargetInfo, key: str) -> dict[str, Any]:
    """A target or an input as an options file has it, without what is a matter of course.

    :param key: of the numbers in the file
    """
    usual = TargetInfo().to_dict() | {"gradients": list(info.gradients)}
    values = info.to_dict().items()
    return {"key": key} | {name: value for name, value in values if value != usual[name]}


@dataclass(frozen=True)
class LabelledTarget:
    """A target, and where its labels are.

    :param key: of the labels in a file
    :param ability: what an architecture has to be able to
    :param files: the examples that have such labels
    :param labelled: gives a frame labels that are not in the file
    """

    name: str
    info: TargetInfo
    key: str
    ability: Ability
    files: tuple[str, ...] = (ETHANOL, ICE)
    labelled: Callable[[str], str] = lambda frame: frame

    def options(self, stress: bool = False) -> dict[str, Any]:
        """The target as an options file has it, without what is a matter of course.

        :param stress: whether the structures have one
        """
        options = described(self.info, self.key)
        if self.info.is_energy:
            options["forces"] = "positions" in self.info.gradients
        if stress and "strain" in self.info.gradients:
            options["stress"] = True
        return options

    # ---- values (S, ..., P), or (A, ..., P) of a target of atoms

    def joined(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """The values of one structure that consists of parts which do not feel each other."""
        return torch.cat(list(parts)) if self.info.per_atom else torch.stack(list(parts)).sum(0)

    def by_atom(self, values: torch.Tensor, structures: Sequence[ase.Atoms]) -> torch.Tensor:
        """Those of structures by their number of atoms, so that large ones do not count more."""
        if self.info.per_atom:
            return values
        sizes = torch.tensor([len(atoms) for atoms in structures])
        return values / sizes.reshape(-1, *[1] * (values.dim() - 1))


# forces are a vector of each atom like any other, and the dipole is one of a structure
_LIKE_FORCES = TargetInfo(unit="eV/A", sample_kind="atom", type=Cartesian(1))
_LIKE_DIPOLE = TargetInfo(unit="e*A", type=Cartesian(1))
_DEGREE_1 = Spherical(((1, 1),))

_TARGETS = (
    LabelledTarget(ENERGY, TargetInfo(quantity="energy", unit="eV"), "energy", abilities.energies),
    LabelledTarget(
        OF_STRUCTURE,
        TargetInfo(unit="e*A", num_subtargets=3),
        "dipole",
        abilities.target("scalar", "system"),
        (ETHANOL,),
    ),
    LabelledTarget(
        OF_ATOM,
        TargetInfo(sample_kind="atom", num_subtargets=2),
        "neighbors",
        abilities.target("scalar", "atom"),
        labelled=with_neighbors,
    ),
    LabelledTarget(VECTOR_OF_ATOM, _LIKE_FORCES, "forces", abilities.target("cartesian", "atom")),
    LabelledTarget(
        VECTOR, _LIKE_DIPOLE, "dipole", abilities.target("cartesian", "system"), (ETHANOL,)
    ),
    LabelledTarget(
        SPHERICAL_OF_ATOM,
        replace(_LIKE_FORCES, type=_DEGREE_1),
        "harmonics_of_atom",
        abilities.target("spherical", "atom"),
        labelled=with_harmonics,
    ),
    LabelledTarget(
        SPHERICAL,
        replace(_LIKE_DIPOLE, type=_DEGREE_1),
        "harmonics",
        abilities.target("spherical", "system"),
        (ETHANOL,),
        with_harmonics,
    ),
)
SAMPLE_KINDS = {target.name: target.info.sample_kind for target in _TARGETS}
"""By name; the main target of a model is the first of these that it predicts."""


def targets_of(capabilities: Capabilities) -> dict[str, LabelledTarget]:
    """What an architecture is trained on: one target, and more beside it if it can have several.

    The first is the main one, which most tests are about: an energy where that is possible, else
    another scalar, else a vector or a spherical tensor.
    """
    able = [_of_quantity(each, capabilities) for each in _TARGETS if each.ability(capabilities)]
    number = len(able) if abilities.several_targets(capabilities) else 1
    return {each.name: each for each in able[:number]}


def _of_quantity(target: LabelledTarget, capabilities: Capabilities) -> LabelledTarget:
    """The target with the derivatives, or of the quantity, that the architecture is for."""
    if target.info.is_energy:
        gradients = tuple(sorted(capabilities["gradients"]))
        return replace(target, info=replace(target.info, gradients=gradients))
    if "quantities" not in capabilities:
        return target
    # of a quantity that is another's, the unit would not fit
    return replace(
        target, info=replace(target.info, quantity=capabilities["quantities"][0], unit="")
    )
