"""The descriptors of an atom's neighborhood: what the networks read.

Legend: A atoms, E edges, K slots of an atom (expansion.py), T species, W channels, C coefficients,
F features.
"""

from typing import Any, Final

import torch

from mt_soap_bpnn.modules.expansion import (
    FixedExpansion,
    SphericalExpansion,
    slots_of_edges,
    to_slots,
)
from mt_soap_bpnn.modules.normalization import Normalization
from mt_soap_bpnn.modules.power_spectrum import (
    MAX_PADDED_SLOTS,
    PaddedPowerSpectrum,
    PowerSpectrum,
)

NUM_PSEUDO_SPECIES = 4


class OrthogonalDescriptor(torch.nn.Module):
    """The normalized power spectrum with one channel for each species of neighbors.

    There is nothing to be fitted. In training mode its derivatives are therefore taken by hand:
    forces in a loss need the gradient by the vectors, and how that changes with the gradient by
    the features. Both are linear; autograd, which does not know that the geometry is constant,
    takes several times longer. The second derivative by the vectors is left out there;
    evaluation mode and TorchScript have it.
    """

    one_hot: torch.Tensor
    normalize: Final[bool]

    def __init__(self, num_species: int, normalize: bool, **radial: Any) -> None:
        super().__init__()
        self.normalize = normalize
        self.expansion = SphericalExpansion(num_channels=num_species, **radial)
        self.spectrum = PowerSpectrum(self.expansion.density_sizes)
        self.padded = PaddedPowerSpectrum(self.expansion, self.spectrum)
        self.max_padded_slots = MAX_PADDED_SLOTS
        self.num_features = self.spectrum.num_features
        self.normalization = Normalization(self.num_features)
        one_hot = torch.eye(num_species, dtype=torch.float64)
        self.register_buffer("one_hot", one_hot, persistent=False)

    def forward(
        self,
        vectors_E3: torch.Tensor,
        centers_E: torch.Tensor,
        neighbors_E: torch.Tensor,
        species_A: torch.Tensor,
    ) -> torch.Tensor:
        """Features (A, F)."""
        slots_E, num_slots = slots_of_edges(centers_E, len(species_A))
        weights_EW = self.one_hot.index_select(0, species_A.index_select(0, neighbors_E))
        weights_AKW = to_slots(weights_EW, slots_E, len(species_A), num_slots, 0.0)
        # TorchScript cannot compile the derivatives by hand; it leaves out what is below a
        # condition of is_scripting() alone, and only that
        if torch.jit.is_scripting():
            features_AF = self.differentiable(vectors_E3, slots_E, weights_AKW)
        elif self.training:
            features_AF = _Features.apply(vectors_E3, slots_E, weights_AKW, self)
        else:
            features_AF = self.differentiable(vectors_E3, slots_E, weights_AKW)
        return features_AF

    def differentiable(
        self, vectors_E3: torch.Tensor, slots_E: torch.Tensor, weights_AKW: torch.Tensor
    ) -> torch.Tensor:
        """Features (A, F), with derivatives of any order."""
        num_atoms, num_slots, _ = weights_AKW.shape
        if num_atoms * num_slots <= self.max_padded_slots:
            features_AF = self.padded(vectors_E3, slots_E, weights_AKW)
        else:
            features_AF = self.spectrum(self.expansion(vectors_E3, slots_E, weights_AKW))
        return self.normalization(features_AF) if self.normalize else features_AF

    @torch.jit.unused
    def grow_from(self, old: "OrthogonalDescriptor", places: torch.Tensor) -> torch.Tensor:
        """Normalize the features of the old species as ``old`` does, and say where they are.

        :param places: (T_old,) the index of each old species
        :return: (F_old,) the index of each old feature
        """
        columns = self.spectrum.places(old.spectrum, places)
        # what is new is one more group, behind those that there are
        groups = old.normalization.groups.max() + torch.ones(self.num_features, dtype=torch.int64)
        groups[columns] = old.normalization.groups
        self.normalization.set_groups(groups)
        return columns


class EmbeddedDescriptor(torch.nn.Module):
    """The power spectrum with four channels, into which species of neighbors are embedded.

    It is multiplied, feature by feature, by an embedding of the species of the center, and
    normalized after that. Both embeddings are fitted.
    """

    normalize: Final[bool]

    def __init__(self, num_species: int, normalize: bool, **radial: Any) -> None:
        super().__init__()
        self.normalize = normalize
        self.expansion = SphericalExpansion(num_channels=NUM_PSEUDO_SPECIES, **radial)
        self.spectrum = PowerSpectrum(self.expansion.density_sizes)
        self.num_features = self.spectrum.num_features
        self.normalization = Normalization(self.num_features)
        self.neighbor_embedding = torch.nn.Embedding(num_species, NUM_PSEUDO_SPECIES)
        self.center_embedding = torch.nn.Embedding(num_species, self.num_features)

    def forward(
        self,
        vectors_E3: torch.Tensor,
        centers_E: torch.Tensor,
        neighbors_E: torch.Tensor,
        species_A: torch.Tensor,
    ) -> torch.Tensor:
        """Features (A, F)."""
        slots_E, num_slots = slots_of_edges(centers_E, len(species_A))
        weights_EW = self.neighbor_embedding(species_A.index_select(0, neighbors_E))
        weights_AKW = to_slots(weights_EW, slots_E, len(species_A), num_slots, 0.0)
        features_AF = self.spectrum(self.expansion(vectors_E3, slots_E, weights_AKW))
        features_AF = features_AF * self.center_embedding(species_A)
        return self.normalization(features_AF) if self.normalize else features_AF


class _FixedGeometry:
    """The features of the orthogonal descriptor and their first derivatives, in both directions."""

    def __init__(
        self,
        descriptor: OrthogonalDescriptor,
        vectors_E3: torch.Tensor,
        slots_E: torch.Tensor,
        weights_AKW: torch.Tensor,
    ) -> None:
        self.spectrum = descriptor.spectrum
        self.normalization = descriptor.normalization if descriptor.normalize else None
        self.expansion = FixedExpansion(descriptor.expansion, vectors_E3, slots_E, weights_AKW)
        self.c_AC = self.expansion.coefficients()
        self.features_AF = self.spectrum(self.c_AC)
        if self.normalization is not None:
            self.features_AF, self.slopes = self.normalization.with_slope(self.features_AF)

    def gradient(self, g_AF: torch.Tensor) -> torch.Tensor:
        """Gradient by the features (A, F) -> gradient by the vectors (E, 3)."""
        if self.normalization is not None:
            g_AF = self.normalization.change(self.features_AF, self.slopes, g_AF)
        return self.expansion.gradient(self.spectrum.gradient(self.c_AC, g_AF))

    def change(self, dv_E3: torch.Tensor) -> torch.Tensor:
        """Change of the vectors (E, 3) -> change of the features (A, F)."""
        change_AF = self.spectrum.change(self.c_AC, self.expansion.change(dv_E3))
        if self.normalization is not None:
            change_AF = self.normalization.change(self.features_AF, self.slopes, change_AF)
        return change_AF


class _Features(torch.autograd.Function):
    """Vectors -> features."""

    @staticmethod
    def forward(ctx: Any, vectors_E3: Any, slots_E: Any, weights_AKW: Any, module: Any) -> Any:
        ctx.geometry = _FixedGeometry(module, vectors_E3, slots_E, weights_AKW)
        return ctx.geometry.features_AF

    @staticmethod
    def backward(ctx: Any, g_AF: torch.Tensor) -> Any:
        # a function of its own, so that a loss of forces can go back through this gradient
        return _Gradient.apply(g_AF, ctx.geometry), None, None, None


class _Gradient(torch.autograd.Function):
    """Gradient by the features -> gradient by the vectors, J^T g with the Jacobian J."""

    @staticmethod
    def forward(ctx: Any, g_AF: torch.Tensor, geometry: _FixedGeometry) -> torch.Tensor:
        ctx.geometry = geometry
        return geometry.gradient(g_AF)

    @staticmethod
    def backward(ctx: Any, dv_E3: torch.Tensor) -> Any:
        # the gradient is linear in g, so that this is J dv; J itself is taken as constant
        return ctx.geometry.change(dv_E3), None
