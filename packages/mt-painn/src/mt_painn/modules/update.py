"""What scalars and vectors of an atom learn from each other. TorchScript reads this file.

Letters of shapes: A atoms, F features.
"""

from typing import Final, Tuple

import torch


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
