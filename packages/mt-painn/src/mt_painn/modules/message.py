"""What atoms learn from their neighbors. TorchScript reads this file.

Letters of shapes: A atoms, E edges, F features, R radial functions.
"""

from typing import Final, List, Tuple

import torch

FILTER_SCALE = 0.5
"""Of the weights of a new filter: a network that begins smooth generalizes from few structures."""


class Message(torch.nn.Module):
    r"""Sums over the neighbors, with gates that depend on their scalars and their distance.

    .. math::

        s_i \mathrel{+}= \sum_j a_{ij}, \quad
        v_i \mathrel{+}= \sum_j (v_j \circ b_{ij} + \hat{r}_{ij} \otimes c_{ij}), \quad
        (a, c, b)_{ij} = \phi(s_j) \circ W g(r_{ij})

    :param has_vectors: false in the first layer, where every :math:`v_j` is zero
    """

    has_vectors: Final[bool]

    def __init__(self, num_features: int, num_radial: int, has_vectors: bool):
        super().__init__()
        self.num_features = num_features
        self.has_vectors = has_vectors
        # a and c together, then b
        self.sizes: List[int] = [2 * num_features, num_features if has_vectors else 0]
        self.context = torch.nn.Sequential(
            torch.nn.Linear(num_features, num_features),
            torch.nn.SiLU(),
            torch.nn.Linear(num_features, sum(self.sizes)),
        )
        self.filter = torch.nn.Linear(1 + num_radial, sum(self.sizes), bias=False)
        with torch.no_grad():
            self.filter.weight.mul_(FILTER_SCALE)

    def forward(
        self,
        s_AF: torch.Tensor,
        v_A3F: torch.Tensor,
        basis_ER: torch.Tensor,
        directions_E3: torch.Tensor,
        centers: torch.Tensor,
        neighbors: torch.Tensor,
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        """Scalars (A, F) and vectors (A, 3, F) after the message."""
        of_atoms, of_vectors = self.context(s_AF).split(self.sizes, dim=1)
        filters, vector_filters = self.filter(basis_ER).split(self.sizes, dim=1)
        gates = of_atoms.index_select(0, neighbors) * filters
        a_EF, c_EF = gates.split(self.num_features, dim=1)
        messages_E3F = directions_E3.unsqueeze(2) * c_EF.unsqueeze(1)
        if self.has_vectors:
            # one factor at the atoms, which are fewer than the edges
            scaled_A3F = v_A3F * of_vectors.unsqueeze(1)
            carried_E3F = scaled_A3F.index_select(0, neighbors) * vector_filters.unsqueeze(1)
            messages_E3F = messages_E3F + carried_E3F
        return s_AF.index_add(0, centers, a_EF), v_A3F.index_add(0, centers, messages_E3F)
