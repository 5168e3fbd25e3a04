"""From the descriptor of an atom to the features that heads read.

Legend: A atoms, F features of the descriptor, H neurons.
"""

import torch

from mt_shared.model import SpeciesLinear


class FeatureNetwork(torch.nn.Module):
    """Linear layers, each followed by SiLU; for each species its own, or one for all (one species).

    Only the first layer may have a bias: it stands for the shift of a layer normalization.
    """

    def __init__(
        self, in_features: int, num_neurons: int, num_layers: int, num_species: int, bias: bool
    ) -> None:
        super().__init__()
        sizes = [in_features] + [num_neurons] * num_layers
        self.num_features = sizes[-1]
        self.layers = torch.nn.ModuleList(
            SpeciesLinear(sizes[i], sizes[i + 1], num_species, bias=bias and i == 0)
            for i in range(num_layers)
        )

    def forward(self, x: torch.Tensor, counts: list[int]) -> torch.Tensor:
        """(A, F) -> (A, H), or as it is without layers."""
        for layer in self.layers:
            x = torch.nn.functional.silu(layer(x, counts))
        return x
