"""Layers with their own weights for each atomic species.

Atoms come sorted by species: the first counts[0] atoms are of species 0, and so on.

Legend: A atoms, I features in, O features out.
"""

import math
from typing import Final

import torch


class SpeciesLinear(torch.nn.Module):
    """y_i = W_t x_i + b_t, t the species of atom i; initialised as torch.nn.Linear is."""

    has_bias: Final[bool]

    def __init__(self, in_features: int, out_features: int, num_species: int, bias: bool) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.num_species = num_species
        self.has_bias = bias
        self.weight = torch.nn.Parameter(torch.empty(num_species, out_features, in_features))
        if bias:
            self.bias = torch.nn.Parameter(torch.empty(num_species, out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1.0 / math.sqrt(self.in_features)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x_AI: torch.Tensor, counts: list[int]) -> torch.Tensor:
        """(A, I) -> (A, O)."""
        results: list[torch.Tensor] = []
        for species, x in enumerate(x_AI.split(counts)):
            if x.shape[0] > 0:
                if self.has_bias:
                    y = torch.nn.functional.linear(x, self.weight[species], self.bias[species])
                else:
                    y = torch.nn.functional.linear(x, self.weight[species])
                results.append(y)
        if len(results) == 0:
            return x_AI.new_zeros((0, self.out_features))
        return torch.cat(results)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, num_species={self.num_species}"
