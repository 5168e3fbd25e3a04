"""Layers with their own weights for each atomic species.

Legend: A atoms, T species, I features in, O features out.
"""

import math
from typing import List, Optional, Tuple

import torch
from torch import Tensor

# Up to this many products an atom, or for all atoms together, computing the layers of all species
# and choosing one takes less time than the calls for each species would.
_CHEAP = 16384
_FEW = 2**21


def sort_by_species(species: Tensor, num_species: int) -> Tuple[Tensor, Tensor, List[int]]:
    """Order of the atoms by species, where each atom went, and how many each species has.

    :param species: (A,) int64
    :return: ``order`` (A,) with ``sorted = x[order]``, ``slot`` (A,) with ``x = sorted[slot]``,
        and the counts, one for each of ``num_species``. ``index_select`` goes back in half of the
        time that these brackets take
    """
    # stable: the same structures give the same sums to the last bit
    order = torch.argsort(species, stable=True)
    # the inverse permutation, by assignment: a second argsort would take longer
    slot = torch.empty_like(order)
    slot[order] = torch.arange(len(order), device=order.device)
    counts: List[int] = torch.bincount(species, minlength=num_species).tolist()
    return order, slot, counts


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
        products = in_features * out_features * num_species
        self.is_cheap = products <= _CHEAP
        # the sorting itself costs more than it saves for as few atoms as this
        self.num_few = _FEW // products
        self.weight = torch.nn.Parameter(torch.empty(num_species, out_features, in_features))
        self.register_parameter("bias", None)
        if bias:
            self.bias = torch.nn.Parameter(torch.empty(num_species, out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1.0 / math.sqrt(self.in_features)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x_AI: Tensor, species_A: Tensor) -> Tensor:
        """(A, I) -> (A, O), atoms in any order."""
        if self.num_species > 1 and not self.is_cheap and len(x_AI) > self.num_few:
            order, slot, counts = sort_by_species(species_A, self.num_species)
            x_sorted = x_AI.index_select(0, order)
            return self.by_counts(x_sorted, counts).index_select(0, slot)
        y_ATO = self._of_all_species(x_AI)
        return self._choose(y_ATO, species_A) if self.num_species > 1 else y_ATO

    def by_counts(self, x_AI: Tensor, counts: List[int]) -> Tensor:
        """(A, I) -> (A, O) of atoms that are sorted: the first counts[0] are of species 0, ..."""
        if self.num_species == 1:
            return self._of_all_species(x_AI)
        if self.is_cheap:
            # the sizes are given, which repeat_interleave would wait for a GPU to learn
            num_atoms, device = x_AI.shape[0], x_AI.device
            labels = torch.arange(self.num_species, device=device)
            sizes = torch.tensor(counts, device=device)
            species_A = labels.repeat_interleave(sizes, output_size=num_atoms)
            return self._choose(self._of_all_species(x_AI), species_A)
        # unbind, because the gradient of each indexing would be as large as all weights
        weights = self.weight.unbind(0)
        results: List[Tensor] = []
        for species, x in enumerate(x_AI.split_with_sizes(counts)):
            bias: Optional[Tensor] = self.bias
            if bias is not None:
                bias = bias[species]
            results.append(torch.nn.functional.linear(x, weights[species], bias))
        return torch.cat(results)

    def _of_all_species(self, x_AI: Tensor) -> Tensor:
        """The layers of all species, (A, T O)."""
        bias: Optional[Tensor] = self.bias
        if bias is not None:
            bias = bias.flatten()
        return torch.nn.functional.linear(x_AI, self.weight.flatten(0, 1), bias)

    def _choose(self, y_ATO: Tensor, species_A: Tensor) -> Tensor:
        """Of the layers of all species, that of each atom."""
        # seen as (A T, O), row a T + t has what the layer of species t makes of atom a
        rows_A = torch.arange(y_ATO.shape[0], device=y_ATO.device) * self.num_species + species_A
        return y_ATO.view(-1, self.out_features).index_select(0, rows_A)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, num_species={self.num_species}"
