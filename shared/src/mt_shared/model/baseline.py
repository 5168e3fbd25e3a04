"""What is taken off a target before training and put back afterwards.

TorchScript reads this file: old-style annotations.
"""

from typing import Any, Callable

import torch
from torch import Tensor


class Float64Module(torch.nn.Module):
    """A module whose buffers follow the model to another device, but never to another dtype."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # All of to(), cuda(), float() end here. What they would do to a tensor tells the device.
        here = next(self.buffers()).device
        device = fn(torch.zeros((), dtype=torch.float64, device=here)).device
        return super()._apply(lambda tensor: tensor.to(device), recurse)


class Baseline(Float64Module):
    """``value = scale * raw + composition[species]``, for each atom.

    The network learns ``raw``, a number of order one. ``composition`` (T, P) is the mean
    contribution of an atom of each species, so large that float32 would lose digits: both stay
    float64 whatever the dtype of the model.
    """

    composition: Tensor
    scale: Tensor

    def __init__(self, num_species: int, num_properties: int):
        super().__init__()
        composition = torch.zeros(num_species, num_properties, dtype=torch.float64)
        self.register_buffer("composition", composition)
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def forward(self, raw: Tensor, species: Tensor) -> Tensor:
        """Atomic values (A, P) in float64 from the raw ones (A, P) and the species (A,)."""
        return raw.to(torch.float64) * self.scale + self.composition[species]
