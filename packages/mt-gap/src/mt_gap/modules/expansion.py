"""Densities of the neighbors of each atom, expanded in spherical harmonics (by featomic).

TorchScript reads this file. Letters of shapes: A atoms, C channels, L largest degree.
"""

from typing import Any, Dict, List, Optional

import torch
from featomic.torch import SphericalExpansion
from metatensor.torch import Labels, TensorMap
from metatomic.torch import System


class Expansion(torch.nn.Module):
    """Coefficients of the densities around each atom.

    A channel is a radial function of the density of one neighbor type; there are as many of them
    for each degree l = 0 ... L. featomic takes the neighbor list of the systems.

    :param soap: hypers of featomic's spherical expansion
    :param atomic_types: types that an atom or a neighbor can have
    """

    keys: torch.Tensor

    def __init__(self, soap: Dict[str, Any], atomic_types: List[int]):
        super().__init__()
        self.calculator = SphericalExpansion(**soap)
        self.max_angular: int = soap["basis"]["max_angular"]
        num_radial = soap["basis"]["radial"]["max_radial"] + 1
        self.num_channels = num_radial * len(atomic_types)
        keys = [
            [degree, 1, center, neighbor]
            for degree in range(self.max_angular + 1)
            for center in atomic_types
            for neighbor in atomic_types
        ]
        self.register_buffer("keys", torch.tensor(keys, dtype=torch.int32), persistent=False)

    def forward(self, systems: List[System]) -> List[torch.Tensor]:
        """Coefficients (A, 2 l + 1, C) for l = 0 ... L, atoms in the order of the systems."""
        gradients: List[str] = []
        expansion = self.compute(systems, gradients, None).keys_to_samples("center_type")
        # as keys, the types of centers lie one after the other; as samples, in the atoms' order
        coefficients: List[torch.Tensor] = []
        for block in expansion.blocks():
            coefficients.append(block.values)
        return coefficients

    def compute(
        self, systems: List[System], gradients: List[str], selected_atoms: Optional[Labels]
    ) -> TensorMap:
        """A block for each degree and type of the center.

        :param gradients: of ``positions`` and ``cell``
        """
        # all keys, so that the channels of a type are there where no neighbor is of that type
        names = ["o3_lambda", "o3_sigma", "center_type", "neighbor_type"]
        keys = Labels(names, self.keys)
        expansion = self.calculator(
            systems, gradients=gradients, selected_samples=selected_atoms, selected_keys=keys
        )
        return expansion.keys_to_properties("neighbor_type")
