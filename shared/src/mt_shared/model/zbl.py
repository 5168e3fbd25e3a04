"""Repulsion of nuclei at short distance, of Ziegler, Biersack and Littmark.

TorchScript reads this file: old-style annotations. Letters of shapes: A atoms, E edges,
N edges of near pairs, T atomic types.
"""

from typing import List

import torch
from ase.data import covalent_radii
from torch import Tensor

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Graph, conversion
from mt_shared.errors import OptionsError
from mt_shared.model.baseline import Float64Module

ENERGY_UNIT = "eV"
"""Of what :class:`ZBL` gives in a model, whatever the units of its targets."""

COEFFICIENTS = (0.18175, 0.50986, 0.28022, 0.02817)
EXPONENTS = (3.19980, 0.94229, 0.40290, 0.20162)
SCREENING_LENGTH = 0.8854
CHARGE_EXPONENT = 0.23

INNER_FRACTION = 0.4
"""Inner radius by outer radius; see :class:`ZBL`."""

LAST_COVALENT_RADIUS = 96
"""Curium: no heavier element is in the table of Cordero et al. (2008), which ASE ships."""


class ZBL(Float64Module):
    r"""Coulomb repulsion of two nuclei, screened by their electrons, and switched off at a bond.

    .. math::

        e_{ij}(r) = \frac{e^2}{4 \pi \epsilon_0} \frac{Z_i Z_j}{r} \phi(r / a_{ij}) \, S(r), \quad
        \phi(x) = \sum_{k=1}^4 c_k e^{-d_k x}, \quad
        a_{ij} = \frac{0.8854 \, a_0}{Z_i^{0.23} + Z_j^{0.23}}

    with the universal coefficients of J. F. Ziegler, J. P. Biersack and U. Littmark, The Stopping
    and Range of Ions in Solids (Pergamon, New York, 1985). The Bohr radius and the Hartree, whose
    product is the Coulomb constant times the elementary charge squared, are metatomic's (CODATA).

    :math:`S` is 1 up to the inner radius, where the energy is the published one exactly, and 0
    from the outer radius on. Between them, :math:`S(x) = (1 - x)^6 (1 + 6 x + 21 x^2)` for x from
    0 to 1: two derivatives are continuous at the inner radius and five at the outer one. As a
    product of two functions that fall, the energy repels at every distance.

    The outer radius is the sum of the covalent radii, about the length of a single bond, or the
    cutoff of the model if that is shorter. The inner one is 0.4 of it. Between the two stands what
    a bond may feel: what it feels was taken off the labels, and the network has to learn it anew.

    - At the inner radius two hydrogen atoms are at 23 eV, two carbon atoms at 71 eV: far above any
      chemistry. At half of the outer radius, 86 % of the published energy are still there.
    - A bond of at least 95 % of the outer radius feels less than 1e-4 eV in the molecules of ASE's
      G2 collection, and the shortest triple bonds, at 77 %, less than 0.5 eV.
    - With the switch of lowest order, :math:`1 - 10 x^3 + 15 x^4 - 6 x^5`, a carbon-carbon bond
      would meet in its vibrations a curvature as large as its own, which begins at once.

    All numbers are float64 whatever the dtype of the model, and none is a part of its state.

    :param atomic_types: T atomic numbers, in the order of the species
    :param length_unit: of the edge vectors and the cutoff
    :param energy_unit: of the result
    :param cutoff: of the model, which no outer radius exceeds
    """

    strengths: Tensor
    lengths: Tensor
    inner: Tensor
    outer: Tensor
    coefficients: Tensor
    exponents: Tensor

    def __init__(self, atomic_types: List[int], length_unit: str, energy_unit: str, cutoff: float):
        super().__init__()
        self.num_species = len(atomic_types)
        # Tables of pairs of species, flat: the pair of s and t is entry s T + t.
        charges = torch.tensor(atomic_types, dtype=torch.float64)
        coulomb = conversion("Hartree", energy_unit) * conversion("bohr", length_unit)
        powers = charges**CHARGE_EXPONENT
        sums = (powers[:, None] + powers).flatten()
        radii = torch.tensor(covalent_radii[atomic_types]) * conversion("A", length_unit)
        outer = (radii[:, None] + radii).flatten().clamp(max=cutoff)
        self.reach = float(outer.max())
        self._keep("strengths", coulomb * (charges[:, None] * charges).flatten())  # (T T,)
        self._keep("lengths", SCREENING_LENGTH * conversion("bohr", length_unit) / sums)  # (T T,)
        self._keep("inner", INNER_FRACTION * outer)  # (T T,)
        self._keep("outer", outer)  # (T T,)
        self._keep("coefficients", torch.tensor(COEFFICIENTS, dtype=torch.float64))
        self._keep("exponents", torch.tensor(EXPONENTS, dtype=torch.float64))

    def _keep(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values, persistent=False)

    def forward(self, graph: Graph) -> Tensor:
        """The repulsion energy of each atom (A,) in float64: half of that of each of its pairs."""
        # Few of the pairs within a cutoff are as near as a bond. Which ones is no matter of
        # derivatives: at the outer radius the energy goes to zero with five of them.
        near = torch.nonzero((graph.vectors.detach() ** 2).sum(1) < self.reach**2)[:, 0]
        atoms = graph.centers[near]
        species = graph.species
        pairs = species[atoms] * self.num_species + species[graph.neighbors[near]]
        distances = torch.linalg.vector_norm(graph.vectors[near].to(torch.float64), dim=1)
        energies = self.pair_energies(distances, pairs)
        zeros = torch.zeros(len(species), dtype=torch.float64, device=species.device)
        return zeros.index_add(0, atoms, 0.5 * energies)

    def pair_energies(self, distances: Tensor, pairs: Tensor) -> Tensor:
        """Energies (N,) of pairs at these distances (N,), in float64.

        :param pairs: (N,), T times the one species plus the other
        """
        reduced = (distances / self.lengths[pairs]).unsqueeze(1)
        screening = (self.coefficients * torch.exp(-self.exponents * reduced)).sum(1)
        return self.strengths[pairs] / distances * screening * self.switch(distances, pairs)

    def switch(self, distances: Tensor, pairs: Tensor) -> Tensor:
        """1 up to the inner radius of each pair, 0 from its outer one, (N,)."""
        inner = self.inner[pairs]
        # outside of the two radii the switch is constant, and the clamp has no gradient
        x = ((distances - inner) / (self.outer[pairs] - inner)).clamp(0.0, 1.0)
        return (1.0 - x) ** 6 * (1.0 + 6.0 * x + 21.0 * x**2)


def zbl_of(dataset_info: DatasetInfo, cutoff: float) -> ZBL:
    """The repulsion in a model of these data, in :data:`ENERGY_UNIT`."""
    if not any(target.is_energy for target in dataset_info.targets.values()):
        raise OptionsError(
            "architecture.model.zbl is true, but no target is an energy to which a repulsion could "
            f"be added; the targets are {sorted(dataset_info.targets)}. Leave out zbl, or say "
            "'quantity: energy' of a target that is one"
        )
    if not dataset_info.length_unit:
        raise OptionsError(
            "architecture.model.zbl is true, and the repulsion needs to know the unit of length; "
            "give it: systems.length_unit"
        )
    unknown = [number for number in dataset_info.atomic_types if number > LAST_COVALENT_RADIUS]
    if unknown:
        raise OptionsError(
            "architecture.model.zbl is true, but its range is a sum of covalent radii, and the "
            f"atomic types {unknown} have none; radii are known up to {LAST_COVALENT_RADIUS}. "
            "Leave out zbl"
        )
    return ZBL(list(dataset_info.atomic_types), dataset_info.length_unit, ENERGY_UNIT, cutoff)


def repulsion_factor(name: str, target: TargetInfo) -> float:
    """What turns :data:`ENERGY_UNIT` into the unit of an energy target."""
    if not target.unit:
        raise OptionsError(
            "architecture.model.zbl is true, and the repulsion needs to know the unit of the "
            f"energy '{name}'; give it: targets.{name}.unit"
        )
    return conversion(ENERGY_UNIT, target.unit)
