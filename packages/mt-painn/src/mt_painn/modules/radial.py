"""Distances as smooth functions. TorchScript reads this file. E edges, R radial functions."""

import math
from typing import Tuple

import torch


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
        waves_ER = torch.sin(self.orders_R * x_E1) * (self.weights_R * (fade_E1 / x_E1))
        return torch.cat([fade_E1, waves_ER], dim=1), vectors_E3 / r_E1
