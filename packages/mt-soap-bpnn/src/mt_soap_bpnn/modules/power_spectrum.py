"""Power spectrum: the invariants of second order of the spherical expansion, in two layouts.

Legend: A atoms, E edges, K slots of an atom (expansion.py), S = A K slots, W channels (of species),
N radial functions, D = W N densities of one l, L = max_angular + 1, M = 2 L - 1, X = A L,
C coefficients, G products of any two densities of one l, F features (each product once).
"""

import math

import torch

from mt_soap_bpnn.modules.angular import SphericalHarmonics
from mt_soap_bpnn.modules.expansion import SphericalExpansion, to_slots

# Up to this many slots, the time goes into the number of calls and not into what they compute.
MAX_PADDED_SLOTS = 512


class PowerSpectrum(torch.nn.Module):
    """p_i(l, a, b) = sum over m of c_i(l, a, m) c_i(l, b, m), for a <= b.

    The product of a and b is that of b and a: it is one feature, times the square root of two,
    which keeps the norm that all products have.
    """

    upper: torch.Tensor
    lower: torch.Tensor
    full: torch.Tensor
    weights: torch.Tensor
    full_weights: torch.Tensor

    def __init__(self, sizes: list[int]) -> None:
        """``sizes`` are the numbers of densities of each l."""
        super().__init__()
        self.sizes = sizes
        self.coefficient_sizes: list[int] = [d * (2 * l + 1) for l, d in enumerate(sizes)]
        self.product_sizes: list[int] = [d * d for d in sizes]
        uppers, lowers, start = [], [], 0
        for size in sizes:
            upper = _upper_triangle(torch.arange(size), size)
            # the mirror image of the place a D + b is b D + a
            a, b = upper // size, upper % size
            uppers.append(start + upper)
            lowers.append(start + b * size + a)
            start += size * size
        upper, lower = torch.cat(uppers), torch.cat(lowers)
        self.num_features = len(upper)
        # the feature of each product: both places of a pair have the same one
        full = torch.empty(start, dtype=torch.int64)
        full[upper] = torch.arange(len(upper))
        full[lower] = torch.arange(len(lower))
        self.register_buffer("upper", upper, persistent=False)
        self.register_buffer("lower", lower, persistent=False)
        self.register_buffer("full", full, persistent=False)
        twice = torch.full_like(upper, math.sqrt(2.0), dtype=torch.float64)
        weights = torch.where(upper == lower, 1.0, twice)
        # for the gradient: c_a c_a has the derivative 2 c_a, and c_a c_b has one by each of the two
        full_weights = torch.where(upper == lower, 2.0, twice)[full]
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("full_weights", full_weights, persistent=False)

    def forward(self, c_AC: torch.Tensor) -> torch.Tensor:
        """Features (A, F) of the coefficients (A, C), for each l a block (2 l + 1, D)."""
        return self._products(c_AC, c_AC).index_select(1, self.upper) * self.weights

    @torch.jit.unused
    def change(self, c_AC: torch.Tensor, dc_AC: torch.Tensor) -> torch.Tensor:
        """The change of the features (A, F) when the coefficients ``c`` change by ``dc``."""
        # d(c_a c_b) = c_a dc_b + c_b dc_a: both are among the products of c and dc
        products_AG = self._products(c_AC, dc_AC)
        both_AF = products_AG.index_select(1, self.upper)
        both_AF += products_AG.index_select(1, self.lower)
        return both_AF.mul_(self.weights)

    @torch.jit.unused
    def gradient(self, c_AC: torch.Tensor, g_AF: torch.Tensor) -> torch.Tensor:
        """Gradient by the features -> gradient by the coefficients (A, C): <g, change> / dc."""
        # as a symmetric matrix of all products, each block's gradient is one product c g
        g_AG = g_AF.index_select(1, self.full).mul_(self.full_weights)
        matrices = g_AG.split_with_sizes(self.product_sizes, dim=1)
        blocks = [
            torch.bmm(c, g.view(-1, d, d)).flatten(1)
            for g, c, d in zip(matrices, self._split(c_AC), self.sizes)
        ]
        return torch.cat(blocks, dim=1)

    @torch.jit.unused
    def places(self, fewer: "PowerSpectrum", channels: torch.Tensor) -> torch.Tensor:
        """The features here that are those of a spectrum of fewer channels, (F_fewer,).

        :param channels: the channel here of each channel there
        """
        places, start = [], 0
        for size, size_here in zip(fewer.sizes, self.sizes):
            radial = torch.arange(size // len(channels))
            densities = (channels.unsqueeze(1) * len(radial) + radial).flatten()
            # new channels may come between old ones, so that a pair can lie below the diagonal
            # here: full knows the feature of either place
            places.append(self.full[start + _upper_triangle(densities, size_here)])
            start += size_here**2
        return torch.cat(places)

    def _products(self, a_AC: torch.Tensor, b_AC: torch.Tensor) -> torch.Tensor:
        products: list[torch.Tensor] = []
        for a, b in zip(self._split(a_AC), self._split(b_AC)):
            products.append(torch.bmm(a.transpose(1, 2), b).flatten(1))
        return torch.cat(products, dim=1)

    def _split(self, c_AC: torch.Tensor) -> list[torch.Tensor]:
        """The coefficients of each l: (A, 2 l + 1, D)."""
        blocks: list[torch.Tensor] = []
        for l, block in enumerate(c_AC.split_with_sizes(self.coefficient_sizes, dim=1)):
            blocks.append(block.view(-1, 2 * l + 1, self.sizes[l]))
        return blocks


class PaddedPowerSpectrum(torch.nn.Module):
    """What ``PowerSpectrum`` makes of a ``SphericalExpansion``, with all l at once, for few atoms.

    Every l has as many radial functions and m as the largest; those too many are zero, and of
    their products none is a feature. Three times the products, a third of the calls.
    """

    series: torch.Tensor
    places: torch.Tensor
    weights: torch.Tensor

    def __init__(self, expansion: SphericalExpansion, spectrum: PowerSpectrum) -> None:
        super().__init__()
        sizes = expansion.radial_sizes
        self.num_degrees = len(sizes)
        self.num_functions = max(sizes)
        self.radial = expansion.radial
        self.angular = SphericalHarmonics(self.num_degrees - 1, padded=True)
        # the series of the radial functions, and rows of zeros: (L N, Chebyshev polynomials)
        rows = [
            torch.nn.functional.pad(series, (0, 0, 0, self.num_functions - len(series)))
            for series in expansion.radial.series.split(sizes)
        ]
        self.register_buffer("series", torch.cat(rows), persistent=False)
        # where each feature is among the products (L, D, D)
        channels = torch.arange(expansion.num_channels).unsqueeze(1) * self.num_functions
        num_densities = expansion.num_channels * self.num_functions
        places = [
            degree * num_densities**2
            + _upper_triangle((channels + torch.arange(size)).flatten(), num_densities)
            for degree, size in enumerate(sizes)
        ]
        self.register_buffer("places", torch.cat(places), persistent=False)
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
        # one product (M, K) (K, D) for each atom and degree, X of them in one call
        c_XMD = torch.bmm(
            angular_LMAK.permute(2, 0, 1, 3).flatten(0, 1),
            densities_LWNAK.permute(3, 0, 4, 1, 2).flatten(3, 4).flatten(0, 1),
        )
        products = torch.bmm(c_XMD.transpose(1, 2), c_XMD).view(num_atoms, -1)
        return products.index_select(1, self.places) * self.weights


def _upper_triangle(densities: torch.Tensor, width: int) -> torch.Tensor:
    """Where the products a <= b of some densities are in a matrix of ``width`` densities."""
    a, b = densities[torch.triu_indices(len(densities), len(densities))]
    return a * width + b
