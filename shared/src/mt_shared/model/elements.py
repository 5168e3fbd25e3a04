"""Modules of their own for each element. TorchScript reads this file.

Letters of shapes: A atoms, F features in, O features out.
"""

from typing import Callable, List

import torch
from torch import Tensor

from mt_shared.model.species import sort_by_species


class ElementModules(torch.nn.ModuleDict):
    """``y_i = f_t(x_i)``, with a module ``f_t`` for each atomic type t of the atom i.

    A module is known by its atomic number, ``networks.8.weight`` is oxygen's: when a model grows
    by new elements, each keeps the weights that it had. In a ``ModuleList``, known by their places,
    they would pass on to other elements.

    :param atomic_types: of the model, in the order of its species (``self.atomic_types``)
    :param make: makes the module of one atomic type: (N, F) -> (N, O), for any N, zero too
    """

    def __init__(self, atomic_types: List[int], make: Callable[[int], torch.nn.Module]):
        super().__init__({str(number): make(number) for number in atomic_types})
        self.num_species = len(atomic_types)

    def forward(self, x_AF: Tensor, species: Tensor) -> Tensor:
        """(A, F) -> (A, O), atoms in any order.

        :param species: (A,) int64, index of each atom's type among the model's
        """
        order, slot, counts = sort_by_species(species, self.num_species)
        parts = x_AF.index_select(0, order).split_with_sizes(counts)
        results: List[Tensor] = []
        for i, module in enumerate(self.values()):
            results.append(module(parts[i]))
        return torch.cat(results).index_select(0, slot)
