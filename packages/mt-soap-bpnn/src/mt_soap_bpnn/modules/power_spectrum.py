"""Power spectrum: the invariants of second order of the spherical expansion.

Legend: A atoms, D densities (channels times radial functions) of one l, C coefficients, G products
of any two densities of one l, F features (each product once).
"""

import math

import torch


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
        upper, lower, full = _symmetric_layout(sizes)
        self.num_features = len(upper)
        self.register_buffer("upper", upper, persistent=False)
        self.register_buffer("lower", lower, persistent=False)
        self.register_buffer("full", full, persistent=False)
        twice = torch.full_like(upper, math.sqrt(2.0), dtype=torch.float64)
        weights = torch.where(upper == lower, 1.0, twice)
        full_weights = torch.where(upper == lower, 2.0, twice)[full]
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("full_weights", full_weights, persistent=False)

    def forward(self, c_AC: torch.Tensor) -> torch.Tensor:
        """Features (A, F) of the coefficients (A, C), for each l a block (2 l + 1, D)."""
        return self._products(c_AC, c_AC).index_select(1, self.upper) * self.weights

    @torch.jit.unused
    def change(self, c_AC: torch.Tensor, dc_AC: torch.Tensor) -> torch.Tensor:
        """The change of the features (A, F) when the coefficients ``c`` change by ``dc``."""
        products_AG = self._products(c_AC, dc_AC)
        both_AF = products_AG.index_select(1, self.upper)
        both_AF += products_AG.index_select(1, self.lower)
        return both_AF.mul_(self.weights)

    @torch.jit.unused
    def gradient(self, c_AC: torch.Tensor, g_AF: torch.Tensor) -> torch.Tensor:
        """Gradient by the features -> gradient by the coefficients (A, C): <g, change> / dc."""
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
            a, b = densities[torch.triu_indices(size, size)]
            places.append(self.full[start + a * size_here + b])
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


def _symmetric_layout(sizes: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where features are among all products, and where products are among the features.

    The places (F) of the products a <= b, those (F) of their mirror images b, a, and the feature
    (G) of each product.
    """
    uppers, lowers = [], []
    start = 0
    for size in sizes:
        a, b = torch.triu_indices(size, size)
        uppers.append(start + a * size + b)
        lowers.append(start + b * size + a)
        start += size * size
    upper, lower = torch.cat(uppers), torch.cat(lowers)
    full = torch.empty(start, dtype=torch.int64)
    full[upper] = torch.arange(len(upper))
    full[lower] = torch.arange(len(lower))
    return upper, lower, full
