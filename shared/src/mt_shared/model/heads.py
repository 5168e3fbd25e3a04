"""From the features of an atom to a target. TorchScript reads this file.

Letters of shapes: A atoms, F features, P sub-targets, T atomic types.
"""

from typing import Optional, Tuple

import torch
from torch import Tensor

from mt_shared.model.species import SpeciesLinear


class Head(torch.nn.Module):
    """One target from the features, with or without a hidden layer.

    :param num_features: F, for the hidden layer too
    :param num_outputs: P, number of sub-targets
    :param num_species: T for weights of each species, 1 for weights that all species share
    :param hidden: whether a layer with a SiLU comes before the linear one
    """

    def __init__(self, num_features: int, num_outputs: int, num_species: int, hidden: bool):
        super().__init__()
        self.hidden: Optional[HiddenLayer] = None
        if hidden:
            self.hidden = HiddenLayer(num_features, num_species)
        self.linear = SpeciesLinear(num_features, num_outputs, num_species, bias=False)

    def forward(self, features: Tensor, species: Tensor) -> Tuple[Tensor, Tensor]:
        """Last-layer features (A, F) and values (A, P) from features (A, F) and species (A,)."""
        if self.hidden is not None:
            features = self.hidden(features, species)
        return features, self.linear(features, species)


class HiddenLayer(torch.nn.Module):
    """A linear layer and a SiLU."""

    def __init__(self, num_features: int, num_species: int):
        super().__init__()
        self.linear = SpeciesLinear(num_features, num_features, num_species, bias=False)

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        return torch.nn.functional.silu(self.linear(features, species))
