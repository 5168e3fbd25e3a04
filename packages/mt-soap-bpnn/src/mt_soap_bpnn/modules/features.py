"""The whole way from edges to the features of atoms that heads read.

Legend: A atoms, E edges, F features of the descriptor, H neurons.
"""

from typing import Any

import torch

from mt_shared.model import SpeciesLinear, sort_by_species
from mt_soap_bpnn.modules.descriptor import EmbeddedDescriptor, OrthogonalDescriptor


class SoapFeatures(torch.nn.Module):
    """Edge vectors -> features of atoms, by a SOAP power spectrum and a network.

    ``legacy``: species are orthogonal, and each center species has a network. Otherwise species
    are embedded, and there is one network; heads then need one network as well
    (``num_networks``).
    """

    def __init__(
        self,
        num_species: int,
        num_layers: int,
        num_neurons: int,
        layernorm: bool,
        legacy: bool,
        **radial: Any,
    ) -> None:
        """``radial`` are the arguments of the radial functions, ``LaplacianEigenstates``."""
        super().__init__()
        descriptor = OrthogonalDescriptor if legacy else EmbeddedDescriptor
        self.descriptor = descriptor(num_species, layernorm, **radial)
        self.num_species = num_species
        self.num_networks = num_species if legacy else 1
        self.network = FeatureNetwork(
            self.descriptor.num_features, num_neurons, num_layers, self.num_networks, layernorm
        )
        self.num_features = self.network.num_features

    def forward(
        self,
        vectors: torch.Tensor,
        centers: torch.Tensor,
        neighbors: torch.Tensor,
        species: torch.Tensor,
    ) -> torch.Tensor:
        """Features (A, ``num_features``) of the atoms.

        ``vectors`` (E, 3) point from ``centers`` (E) to ``neighbors`` (E), in any order; species
        (A) counts from zero.
        """
        # The network has layers for each species. To sort the indices of edges before the
        # descriptors are made costs less than to sort the descriptors, which are much larger.
        order, slot, counts = sort_by_species(species, self.num_species)
        descriptors = self.descriptor(vectors, slot[centers], slot[neighbors], species[order])
        return self.network(descriptors, counts).index_select(0, slot)


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
        """(A, F) -> (A, H) of atoms sorted by species, or as it is without layers."""
        for layer in self.layers:
            # mypy knows a module of a list as no more than a module, and TorchScript knows no cast
            x = torch.nn.functional.silu(layer.by_counts(x, counts))  # type: ignore[operator]
        return x
