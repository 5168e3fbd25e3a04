"""The power spectrum of few atoms.

Legend: A atoms, E edges, K slots of an atom (neighborhoods.py), S = A K slots, W channels (of
species), L = max_angular + 1, N the largest number of radial functions of an l, M = 2 L - 1,
D = W N densities, X = A L, F features.
"""

import torch

from mt_soap_bpnn.modules.angular import SphericalHarmonics
from mt_soap_bpnn.modules.expansion import SphericalExpansion
from mt_soap_bpnn.modules.neighborhoods import to_slots
from mt_soap_bpnn.modules.power_spectrum import PowerSpectrum

# Up to this many slots, the time goes into the number of calls and not into what they compute.
MAX_SLOTS = 512


class PaddedPowerSpectrum(torch.nn.Module):
    """What ``PowerSpectrum`` makes of a ``SphericalExpansion``, with all l at once.

    Every l has as many radial functions and m as the largest; those too many are zero, and of
    their products none is a feature. Three times the products, a third of the calls.
    """

    series: torch.Tensor
    places: torch.Tensor
    weights: torch.Tensor

    def __init__(self, expansion: SphericalExpansion, spectrum: PowerSpectrum) -> None:
        super().__init__()
        sizes, num_channels = expansion.radial_sizes, expansion.num_channels
        self.num_degrees = len(sizes)
        self.num_functions = max(sizes)
        self.radial = expansion.radial
        self.angular = SphericalHarmonics(len(sizes) - 1, padded=True)
        self.register_buffer("series", _padded_series(expansion), persistent=False)
        self.register_buffer("places", _places(sizes, num_channels), persistent=False)
        self.register_buffer("weights", spectrum.weights.clone(), persistent=False)

    def forward(
        self, vectors_E3: torch.Tensor, slots_E: torch.Tensor, weights_AKW: torch.Tensor
    ) -> torch.Tensor:
        """Features (A, F); the weights of empty slots are zero."""
        num_atoms, num_slots, _ = weights_AKW.shape
        # what fills the empty slots is of no weight, but must not be zero
        vectors_S3 = to_slots(vectors_E3, slots_E, num_atoms, num_slots, 1.0).flatten(0, 1)
        distances_S = torch.linalg.vector_norm(vectors_S3, dim=1)
        radial = self.series @ self.radial.polynomials(distances_S).t()
        radial_L1NAK = radial.view(self.num_degrees, 1, self.num_functions, num_atoms, num_slots)
        densities_LWNAK = radial_L1NAK * weights_AKW.permute(2, 0, 1).unsqueeze(1)
        angular = self.angular(vectors_S3 / distances_S.unsqueeze(1))
        angular_LMAK = angular.view(self.num_degrees, -1, num_atoms, num_slots)
        c_XMD = torch.bmm(
            angular_LMAK.permute(2, 0, 1, 3).flatten(0, 1),
            densities_LWNAK.permute(3, 0, 4, 1, 2).flatten(3, 4).flatten(0, 1),
        )
        products = torch.bmm(c_XMD.transpose(1, 2), c_XMD).view(num_atoms, -1)
        return products.index_select(1, self.places) * self.weights


def _padded_series(expansion: SphericalExpansion) -> torch.Tensor:
    """The series of the radial functions, (L N, Chebyshev polynomials)."""
    sizes = expansion.radial_sizes
    rows = [
        torch.nn.functional.pad(series, (0, 0, 0, max(sizes) - len(series)))
        for series in expansion.radial.series.split(sizes)
    ]
    return torch.cat(rows)


def _places(sizes: list[int], num_channels: int) -> torch.Tensor:
    """The place of each feature among the products (L, D, D)."""
    num_functions = max(sizes)
    num_densities = num_channels * num_functions
    channels = torch.arange(num_channels).unsqueeze(1) * num_functions
    places = []
    for degree, size in enumerate(sizes):
        densities = (channels + torch.arange(size)).flatten()
        a, b = torch.triu_indices(len(densities), len(densities))
        rows = degree * num_densities + densities[a]
        places.append(rows * num_densities + densities[b])
    return torch.cat(places)
