"""The parts of the network, equation by equation. TorchScript reads this file.

Letters of shapes: A atoms, E edges, F features, R radial functions.
"""

import math
from typing import Final, List, Tuple

import torch

FILTER_SCALE = 0.5
"""Of the weights of a new filter: a network that begins smooth generalizes from few structures."""


class RadialBasis(torch.nn.Module):
    r"""Sine waves of a distance, and a constant, all of which fade out at the cutoff.

    .. math::

        g_0(r) = f(r), \quad g_n(r) = \frac{\sin(n \pi x)}{\sqrt{n} \, x} f(r), \quad
        f(r) = \frac{1 + \cos \pi x}{2}, \quad x = r / r_c

    The paper has :math:`\sin(n \pi x) / r`. The factor :math:`1 / \sqrt{n}` makes the network begin
    with smooth functions of the distance; with many waves of one size, few structures are learnt by
    heart. :math:`g_0` is what the bias of the paper's linear layer becomes.

    :param num_radial: R, number of waves
    """

    orders_R: torch.Tensor
    weights_R: torch.Tensor

    def __init__(self, cutoff: float, num_radial: int):
        super().__init__()
        self.cutoff = cutoff
        orders = torch.arange(1, num_radial + 1, dtype=torch.get_default_dtype())
        self.register_buffer("orders_R", math.pi * orders, persistent=False)
        self.register_buffer("weights_R", orders.rsqrt(), persistent=False)

    def forward(self, vectors_E3: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """The functions (E, 1 + R), and the directions (E, 3) of length one."""
        r_E1 = torch.linalg.vector_norm(vectors_E3, dim=1, keepdim=True)
        x_E1 = r_E1 / self.cutoff
        fade_E1 = 0.5 + 0.5 * torch.cos(math.pi * x_E1)
        # f / x first: a column for each edge, and not R of them
        waves_ER = torch.sin(self.orders_R * x_E1) * (self.weights_R * (fade_E1 / x_E1))
        return torch.cat([fade_E1, waves_ER], dim=1), vectors_E3 / r_E1


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
        # no bias: it would not fade out at the cutoff, as the constant of the basis does
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


class Update(torch.nn.Module):
    r"""Mixes the features of each atom, with gates from its scalars and lengths of its vectors.

    .. math::

        s_i \mathrel{+}= a_i + b_i \circ \langle U v_i, V v_i \rangle, \quad
        v_i \mathrel{+}= c_i \circ U v_i, \quad
        (a, b, c)_i = \psi(s_i, \lVert V v_i \rVert)

    :param is_last: whether nothing reads the vectors afterwards: there is no :math:`c` then
    """

    is_last: Final[bool]

    def __init__(self, num_features: int, is_last: bool):
        super().__init__()
        self.num_features = num_features
        self.is_last = is_last
        # the square root has no derivative at zero
        self.smallest_square = 1e-8
        # U and V in one product; without a bias, which would be a direction that does not turn
        self.mix = torch.nn.Linear(num_features, 2 * num_features, bias=False)
        self.gates = torch.nn.Sequential(
            torch.nn.Linear(2 * num_features, num_features),
            torch.nn.SiLU(),
            torch.nn.Linear(num_features, (2 if is_last else 3) * num_features),
        )

    def forward(self, s_AF: torch.Tensor, v_A3F: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Scalars (A, F) and vectors (A, 3, F) after the update."""
        u_A3F, w_A3F = self.mix(v_A3F).split(self.num_features, dim=2)
        lengths_AF = (w_A3F.square().sum(1) + self.smallest_square).sqrt()
        gates = self.gates(torch.cat([s_AF, lengths_AF], dim=1)).split(self.num_features, dim=1)
        products_AF = (u_A3F * w_A3F).sum(1)
        s_AF = s_AF + gates[0] + gates[1] * products_AF
        if not self.is_last:
            v_A3F = v_A3F + u_A3F * gates[2].unsqueeze(1)
        return s_AF, v_A3F
