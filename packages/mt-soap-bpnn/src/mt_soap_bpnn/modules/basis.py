"""The spherical expansion with its derivatives by hand, for training.

Legend: A atoms, E edges, K slots of an atom (neighborhoods.py), S = A K slots, W channels (of
species), N radial functions (n_l of each l), D = W N densities, M spherical harmonics, C
coefficients.
"""

import torch

from mt_soap_bpnn.modules.expansion import SphericalExpansion, by_atom
from mt_soap_bpnn.modules.neighborhoods import to_slots


class Basis:
    """The basis functions of all slots, and what their derivatives are made of."""

    def __init__(
        self,
        expansion: SphericalExpansion,
        vectors_E3: torch.Tensor,
        slots_E: torch.Tensor,
        weights_AKW: torch.Tensor,
    ) -> None:
        self.slots_E = slots_E
        self.angular_sizes = expansion.angular_sizes
        self.density_sizes = expansion.density_sizes
        num_atoms, num_slots, _ = weights_AKW.shape
        vectors_S3 = to_slots(vectors_E3, slots_E, num_atoms, num_slots, 1.0).flatten(0, 1)
        self.r_S1 = torch.linalg.vector_norm(vectors_S3, dim=1, keepdim=True)
        self.units_S3 = vectors_S3 / self.r_S1
        radial_2NS = expansion.radial.value_and_derivative(self.r_S1.squeeze(1))
        weights_WS = weights_AKW.flatten(0, 1).t()
        densities_2DS = _weighted(radial_2NS, weights_WS, expansion)
        angular_MS, gradient_3MS = expansion.angular.value_and_gradient(self.units_S3)
        self.densities_ADK = by_atom(densities_2DS[0], num_atoms, num_slots)
        self.slopes_ADK = by_atom(densities_2DS[1], num_atoms, num_slots).contiguous()
        self.angular_AMK = by_atom(angular_MS, num_atoms, num_slots)
        self.gradient_A3MK = (
            by_atom(gradient_3MS, num_atoms, num_slots).contiguous().unflatten(1, (3, -1))
        )

    def coefficients(self) -> torch.Tensor:
        """(A, C)."""
        return self._contract(self.densities_ADK, self.angular_AMK)

    def gradient(self, g_AC: torch.Tensor) -> torch.Tensor:
        """Gradient by the coefficients (A, C) -> gradient by the vectors (E, 3)."""
        by_densities_ADK, by_angular_AMK = self._by_factors(g_AC)
        by_r_S1 = (by_densities_ADK * self.slopes_ADK).sum(dim=1).view(-1, 1)
        by_unit_A3K = (self.gradient_A3MK * by_angular_AMK.unsqueeze(1)).sum(dim=2)
        by_unit_S3 = by_unit_A3K.mT.reshape(-1, 3)
        by_vector_S3 = torch.addcmul(self._tangential(by_unit_S3), by_r_S1, self.units_S3)
        return by_vector_S3.index_select(0, self.slots_E)

    def change(self, dv_E3: torch.Tensor) -> torch.Tensor:
        """Change of the vectors (E, 3) -> change of the coefficients (A, C)."""
        num_atoms, _, num_slots = self.slopes_ADK.shape
        dv_S3 = to_slots(dv_E3, self.slots_E, num_atoms, num_slots, 0.0).flatten(0, 1)
        dr_A1K = (dv_S3 * self.units_S3).sum(dim=1).view(num_atoms, 1, num_slots)
        du_A3K = self._tangential(dv_S3).view(num_atoms, num_slots, 3).mT
        d_angular_AMK = (self.gradient_A3MK * du_A3K.unsqueeze(2)).sum(dim=1)
        return self._contract(
            torch.cat([self.slopes_ADK * dr_A1K, self.densities_ADK], dim=2),
            torch.cat([self.angular_AMK, d_angular_AMK], dim=2),
        )

    def _tangential(self, x_S3: torch.Tensor) -> torch.Tensor:
        """From space to the unit sphere and back: (1 - u u^T) x / r."""
        along_S1 = (x_S3 * self.units_S3).sum(dim=1, keepdim=True)
        return torch.addcmul(x_S3, self.units_S3, along_S1, value=-1.0) / self.r_S1

    def _contract(self, densities_ADK: torch.Tensor, angular_AMK: torch.Tensor) -> torch.Tensor:
        densities = densities_ADK.split_with_sizes(self.density_sizes, dim=1)
        angular = angular_AMK.split_with_sizes(self.angular_sizes, dim=1)
        return torch.cat([torch.bmm(y, d.mT).flatten(1) for d, y in zip(densities, angular)], dim=1)

    def _by_factors(self, g_AC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients by the densities (A, D, K) and by the harmonics (A, M, K)."""
        densities = self.densities_ADK.split_with_sizes(self.density_sizes, dim=1)
        angular = self.angular_AMK.split_with_sizes(self.angular_sizes, dim=1)
        by_densities, by_angular = [], []
        for g_AMD, d, y in zip(self._split(g_AC), densities, angular):
            by_densities.append(torch.bmm(g_AMD.mT, y))
            by_angular.append(torch.bmm(g_AMD, d))
        return torch.cat(by_densities, dim=1), torch.cat(by_angular, dim=1)

    def _split(self, c_AC: torch.Tensor) -> list[torch.Tensor]:
        shapes = list(zip(self.angular_sizes, self.density_sizes))
        blocks = c_AC.split_with_sizes([m * d for m, d in shapes], dim=1)
        return [block.view(-1, m, d) for block, (m, d) in zip(blocks, shapes)]


def _weighted(
    radial_2NS: torch.Tensor, weights_WS: torch.Tensor, expansion: SphericalExpansion
) -> torch.Tensor:
    """The densities and their derivatives by the distance: (2, D, S)."""
    return radial_2NS.index_select(1, expansion.radial_of_density) * weights_WS.index_select(
        0, expansion.channel_of_density
    )
