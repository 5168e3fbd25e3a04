"""Spherical expansion of the neighbor density around each atom.

Edges come in any order, and are put into a dense array with a row of slots for each center, since
products of small matrices are several times faster than sums over index lists.

Legend: A atoms, E edges, K slots of an atom, S = A K slots, X components, W channels (of species),
N radial functions (n_l of each l), D = W N densities, M spherical harmonics, C coefficients.
"""

from typing import Any

import torch

from mt_soap_bpnn.modules.angular import SphericalHarmonics
from mt_soap_bpnn.modules.radial import LaplacianEigenstates


def slots_of_edges(centers_E: torch.Tensor, num_atoms: int) -> tuple[torch.Tensor, int]:
    """A slot for each edge, and K: atom i owns the slots i K ... (i + 1) K - 1.

    K is the largest number of neighbors, at least one; other atoms have empty slots.
    """
    num_edges = centers_E.shape[0]
    ordered_E, order_E = torch.sort(centers_E)
    atoms = torch.arange(num_atoms + 1, device=centers_E.device)
    # in the order of the centers, the edges of atom i are the places starts[i] ... starts[i + 1]
    starts = torch.searchsorted(ordered_E, atoms)
    num_slots = 1
    if num_edges > 0:
        num_slots = int((starts[1:] - starts[:-1]).max())
    ranks_E = torch.arange(num_edges, device=centers_E.device) - starts[ordered_E]
    slots_E = torch.empty_like(ordered_E)
    slots_E[order_E] = ordered_E * num_slots + ranks_E
    return slots_E, num_slots


def to_slots(
    x_EX: torch.Tensor, slots_E: torch.Tensor, num_atoms: int, num_slots: int, empty: float
) -> torch.Tensor:
    """The rows of the edges in their slots, and ``empty`` in the others: (A, K, X)."""
    num_components = x_EX.shape[1]
    rows = torch.full(
        (num_atoms * num_slots, num_components), empty, dtype=x_EX.dtype, device=x_EX.device
    )
    return rows.index_copy(0, slots_E, x_EX).view(num_atoms, num_slots, num_components)


class SphericalExpansion(torch.nn.Module):
    """c_i(l, m, w, n) = sum over neighbors j of weight_j(w) R_nl(r_ij) f(r_ij) Y_lm(r_ij).

    The weights tell species apart: one-hot, or an embedding. The result is (A, C): for each l a
    block (2 l + 1, W, n_l), flattened. With m first, the power spectrum and its derivatives are
    products of such blocks as they lie.
    """

    radial_of_density: torch.Tensor
    channel_of_density: torch.Tensor

    def __init__(self, num_channels: int, **radial: Any) -> None:
        """``radial`` are the arguments of :class:`LaplacianEigenstates`."""
        super().__init__()
        self.num_channels = num_channels
        self.radial = LaplacianEigenstates(**radial)
        self.radial_sizes: list[int] = self.radial.sizes
        self.angular = SphericalHarmonics(len(self.radial_sizes) - 1)
        self.angular_sizes: list[int] = [2 * l + 1 for l in range(len(self.radial_sizes))]
        self.density_sizes: list[int] = [num_channels * n for n in self.radial_sizes]
        # the radial function and the channel of each density, ordered by l, channel, n
        functions = torch.arange(sum(self.radial_sizes)).split(self.radial_sizes)
        channels = torch.arange(num_channels)
        of_density = torch.cat([f.repeat(num_channels) for f in functions])
        self.register_buffer("radial_of_density", of_density, persistent=False)
        of_density = torch.cat([channels.repeat_interleave(n) for n in self.radial_sizes])
        self.register_buffer("channel_of_density", of_density, persistent=False)

    def forward(
        self, vectors_E3: torch.Tensor, slots_E: torch.Tensor, weights_AKW: torch.Tensor
    ) -> torch.Tensor:
        """The coefficients (A, C); the weights of empty slots are zero."""
        num_atoms, num_slots, _ = weights_AKW.shape
        # what fills the empty slots is of no weight, but must not be zero: a vector without a
        # length has no direction, and zero times NaN is NaN
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
    """A view (A, X, K) of slots; those of an atom are neighbors in memory."""
    return x_XS.reshape(-1, num_atoms, num_slots).transpose(0, 1)


class FixedExpansion:
    r"""The expansion of vectors that stay as they are, with its derivatives by hand, for training.

    A neighbor at the distance r in the direction u adds d(r) Y(u), d = weight R f, and

    .. math::

        \frac{\partial (d Y)}{\partial (r u)} = d' Y \, u + \frac{d}{r} (1 - u u^T) \nabla Y

    All that depends on the vectors is computed once; :meth:`gradient` and :meth:`change`, which
    are each other's transpose, are products of it.
    """

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
        # d and d' of the densities of all l at once
        radial_2NS = expansion.radial.value_and_derivative(self.r_S1.squeeze(1))
        radial_2DS = radial_2NS.index_select(1, expansion.radial_of_density)
        weights_WS = weights_AKW.flatten(0, 1).t()
        densities_2DS = radial_2DS * weights_WS.index_select(0, expansion.channel_of_density)
        angular_MS, gradient_3MS = expansion.angular.value_and_gradient(self.units_S3)
        # what is read element by element is copied into its new order, the rest goes into bmm,
        # which takes views
        self.densities_ADK = by_atom(densities_2DS[0], num_atoms, num_slots)
        self.slopes_ADK = by_atom(densities_2DS[1], num_atoms, num_slots).contiguous()
        self.angular_AMK = by_atom(angular_MS, num_atoms, num_slots)
        gradient_AXK = by_atom(gradient_3MS, num_atoms, num_slots).contiguous()
        self.gradient_A3MK = gradient_AXK.unflatten(1, (3, -1))

    def coefficients(self) -> torch.Tensor:
        """The coefficients (A, C)."""
        return self._contract(self.densities_ADK, self.angular_AMK)

    def gradient(self, g_AC: torch.Tensor) -> torch.Tensor:
        """Gradient by the coefficients (A, C) -> gradient by the vectors (E, 3)."""
        shapes = list(zip(self.angular_sizes, self.density_sizes))
        densities = self.densities_ADK.split_with_sizes(self.density_sizes, dim=1)
        angular = self.angular_AMK.split_with_sizes(self.angular_sizes, dim=1)
        blocks = g_AC.split_with_sizes([m * d for m, d in shapes], dim=1)
        by_densities, by_angular = [], []
        for block, (m, d), density_ADK, angular_AMK in zip(blocks, shapes, densities, angular):
            g_AMD = block.view(-1, m, d)
            by_densities.append(torch.bmm(g_AMD.mT, angular_AMK))
            by_angular.append(torch.bmm(g_AMD, density_ADK))
        by_density_ADK, by_angular_AMK = torch.cat(by_densities, 1), torch.cat(by_angular, 1)
        by_r_S1 = (by_density_ADK * self.slopes_ADK).sum(dim=1).view(-1, 1)
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
        # d(d Y) = dd Y + d dY: twice the slots in one product of matrices instead of two products
        return self._contract(
            torch.cat([self.slopes_ADK * dr_A1K, self.densities_ADK], dim=2),
            torch.cat([self.angular_AMK, d_angular_AMK], dim=2),
        )

    def _tangential(self, x_S3: torch.Tensor) -> torch.Tensor:
        """From space to the unit sphere and back: (1 - u u^T) x / r."""
        along_S1 = (x_S3 * self.units_S3).sum(dim=1, keepdim=True)
        return torch.addcmul(x_S3, self.units_S3, along_S1, value=-1.0) / self.r_S1

    def _contract(self, densities_ADK: torch.Tensor, angular_AMK: torch.Tensor) -> torch.Tensor:
        """Sums over the slots of all products of each l: (A, C)."""
        densities = densities_ADK.split_with_sizes(self.density_sizes, dim=1)
        angular = angular_AMK.split_with_sizes(self.angular_sizes, dim=1)
        return torch.cat([torch.bmm(y, d.mT).flatten(1) for d, y in zip(densities, angular)], dim=1)
