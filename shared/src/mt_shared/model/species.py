"""Layers with their own weights for each atomic species.

Atoms come sorted by species: the first counts[0] atoms are of species 0, and so on.

Legend: A atoms, T species, I features in, O features out.
"""

import math
from typing import Optional

import torch
from torch import Tensor

# Up to this many products an atom, computing the layers of all species and choosing one takes
# less time than the calls for each species would.
_CHEAP = 16384


class SpeciesLinear(torch.nn.Module):
    """y_i = W_t x_i + b_t, t the species of atom i; initialised as torch.nn.Linear is.

    With one species, it is the same layer for all atoms.
    """

    def __init__(
        self, in_features: int, out_features: int, num_species: int, bias: bool = False
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.num_species = num_species
        self.is_cheap = in_features * out_features * num_species <= _CHEAP
        self.weight = torch.nn.Parameter(torch.empty(num_species, out_features, in_features))
        self.register_parameter("bias", None)
        if bias:
            self.bias = torch.nn.Parameter(torch.empty(num_species, out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1.0 / math.sqrt(self.in_features)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x_AI: Tensor, counts: list[int]) -> Tensor:
        """(A, I) -> (A, O)."""
        if not self.is_cheap and self.num_species > 1:
            return self._one_by_one(x_AI, counts)
        # the layers of all species: (A, T O)
        bias: Optional[Tensor] = self.bias
        if bias is not None:
            bias = bias.flatten()
        y_ATO = torch.nn.functional.linear(x_AI, self.weight.flatten(0, 1), bias)
        return self._choose(y_ATO, counts) if self.num_species > 1 else y_ATO

    def _choose(self, y_ATO: Tensor, counts: list[int]) -> Tensor:
        """Of the layers of all species, that of each atom."""
        # Seen as (A T, O), row a T + t has what the layer of species t makes of atom a. The sizes
        # are given to repeat_interleave, which would wait for a GPU to learn them.
        num_atoms, device = y_ATO.shape[0], y_ATO.device
        labels = torch.arange(self.num_species, device=device)
        sizes = torch.tensor(counts, device=device)
        species_A = labels.repeat_interleave(sizes, output_size=num_atoms)
        rows_A = torch.arange(num_atoms, device=device) * self.num_species + species_A
        return y_ATO.view(-1, self.out_features).index_select(0, rows_A)

    def _one_by_one(self, x_AI: Tensor, counts: list[int]) -> Tensor:
        # unbind, because the gradient of each indexing would be as large as all weights
        weights = self.weight.unbind(0)
        results: list[Tensor] = []
        for species, x in enumerate(x_AI.split_with_sizes(counts)):
            bias: Optional[Tensor] = self.bias
            if bias is not None:
                bias = bias[species]
            results.append(torch.nn.functional.linear(x, weights[species], bias))
        return torch.cat(results)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, num_species={self.num_species}"
