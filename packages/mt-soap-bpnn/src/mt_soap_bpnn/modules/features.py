"""The whole way from edges to the features of atoms."""

import torch

from mt_soap_bpnn.modules.descriptor import EmbeddedDescriptor, OrthogonalDescriptor
from mt_soap_bpnn.modules.networks import FeatureNetwork


class SoapFeatures(torch.nn.Module):
    """Edge vectors -> features of atoms, by a SOAP power spectrum and a network.

    ``legacy``: species are orthogonal, and each center species has a network. Otherwise species
    are embedded, and there is one network; heads then need one network as well
    (``num_networks``).
    """

    def __init__(
        self,
        cutoff: float,
        width: float,
        max_radial: int,
        max_angular: int,
        num_species: int,
        num_layers: int,
        num_neurons: int,
        layernorm: bool,
        legacy: bool,
        gaussian_width: float = 0.0,
        scaling: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        descriptor = OrthogonalDescriptor if legacy else EmbeddedDescriptor
        self.descriptor = descriptor(
            num_species,
            layernorm,
            cutoff=cutoff,
            width=width,
            max_radial=max_radial,
            max_angular=max_angular,
            gaussian_width=gaussian_width,
            scaling=scaling,
        )
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
        counts: list[int],
    ) -> torch.Tensor:
        """Features (A, ``num_features``) of atoms sorted by species.

        ``vectors`` (E, 3) point from ``centers`` (E) to ``neighbors`` (E), in any order; species
        (A) counts from zero, and ``counts`` tells how many atoms each species has.
        """
        return self.network(self.descriptor(vectors, centers, neighbors, species), counts)

    @torch.jit.unused
    def grow_from(
        self, old: "SoapFeatures", places: torch.Tensor
    ) -> dict[tuple[int, int], torch.Tensor]:
        """Where the features of fewer species are, by their number there and here."""
        descriptor, before = self.descriptor, old.descriptor
        if not isinstance(descriptor, OrthogonalDescriptor):
            return {}
        assert isinstance(before, OrthogonalDescriptor)
        columns = descriptor.grow_from(before, places)
        return {(before.num_features, descriptor.num_features): columns}
