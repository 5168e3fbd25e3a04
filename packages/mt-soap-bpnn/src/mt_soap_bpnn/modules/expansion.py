"""Spherical expansion of the neighbor density around each atom.

Legend: A atoms, E edges, K slots of an atom (neighborhoods.py), S = A K slots, W channels (of
species), N radial functions (n_l of each l), D = W N densities, M spherical harmonics, C
coefficients.
"""

import torch

from mt_soap_bpnn.modules.angular import SphericalHarmonics
from mt_soap_bpnn.modules.neighborhoods import to_slots
from mt_soap_bpnn.modules.radial import LaplacianEigenstates


class SphericalExpansion(torch.nn.Module):
    """c_i(l, m, w, n) = sum over neighbors j of weight_j(w) R_nl(r_ij) f(r_ij) Y_lm(r_ij).

    The weights tell species apart: one-hot, or an embedding. The result is (A, C): for each l a
    block (2 l + 1, W, n_l), flattened.
    """

    radial_of_density: torch.Tensor
    channel_of_density: torch.Tensor

    def __init__(
        self,
        cutoff: float,
        width: float,
        max_radial: int,
        max_angular: int,
        num_channels: int,
        gaussian_width: float = 0.0,
        scaling: tuple[float, float] | None = None,
    ) -> None:
        """The parameters are those of :class:`LaplacianEigenstates`, but for the channels."""
        super().__init__()
        self.num_channels = num_channels
        self.radial = LaplacianEigenstates(
            cutoff, width, max_radial, max_angular, gaussian_width, scaling
        )
        self.angular = SphericalHarmonics(max_angular)
        self.radial_sizes: list[int] = self.radial.sizes
        self.angular_sizes: list[int] = [2 * degree + 1 for degree in range(max_angular + 1)]
        self.density_sizes: list[int] = [num_channels * n for n in self.radial_sizes]
        radial, channel = _densities(self.radial_sizes, num_channels)
        self.register_buffer("radial_of_density", radial, persistent=False)
        self.register_buffer("channel_of_density", channel, persistent=False)

    def forward(
        self, vectors_E3: torch.Tensor, slots_E: torch.Tensor, weights_AKW: torch.Tensor
    ) -> torch.Tensor:
        """The coefficients (A, C); the weights of empty slots are zero."""
        num_atoms, num_slots, _ = weights_AKW.shape
        # what fills the empty slots is of no weight, but must not be zero
        vectors_S3 = to_slots(vectors_E3, slots_E, num_atoms, num_slots, 1.0).flatten(0, 1)
        distances_S = (vectors_S3 * vectors_S3).sum(dim=1).sqrt()
        radial_NS = self.radial(distances_S)
        angular_MS = self.angular(vectors_S3 / distances_S.unsqueeze(1))
        weights_W1S = weights_AKW.flatten(0, 1).t().unsqueeze(1)
        angular = angular_MS.split_with_sizes(self.angular_sizes)
        coefficients: list[torch.Tensor] = []
        for degree, radial in enumerate(radial_NS.split_with_sizes(self.radial_sizes)):
            densities_ADK = by_atom(weights_W1S * radial, num_atoms, num_slots)
            angular_AMK = by_atom(angular[degree], num_atoms, num_slots)
            c_AMD = torch.bmm(angular_AMK, densities_ADK.transpose(1, 2))
            coefficients.append(c_AMD.flatten(1))
        return torch.cat(coefficients, dim=1)


def by_atom(x_XS: torch.Tensor, num_atoms: int, num_slots: int) -> torch.Tensor:
    """A view (A, X, K) of slots."""
    return x_XS.reshape(-1, num_atoms, num_slots).transpose(0, 1)


def _densities(sizes: list[int], num_channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The radial function and the channel of each density, ordered by l, channel, n."""
    functions = torch.arange(sum(sizes)).split(sizes)
    radial = torch.cat([f.repeat(num_channels) for f in functions])
    channels = torch.arange(num_channels)
    return radial, torch.cat([channels.repeat_interleave(size) for size in sizes])
