"""The model. TorchScript reads this file: old-style annotations, and no super() but in __init__.

Letters of shapes: A atoms, E edges, F features, R radial functions.
"""

import math
from typing import Any, Dict

import torch
from metatomic.torch import ModelMetadata

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Graph
from mt_shared.model import BaseModel, Head


class RadialBasis(torch.nn.Module):
    r"""Gaussians of a distance, which fade out at the cutoff together with their slope.

    .. math::

        g_n(r) = \exp\left(-\frac{(r - c_n)^2}{2 w^2}\right) \frac{1 + \cos(\pi r / r_c)}{2}

    The centers :math:`c_n` lie evenly from zero to the cutoff, a width :math:`w` apart.

    :param num_radial: R
    """

    centers_R: torch.Tensor

    def __init__(self, cutoff: float, num_radial: int):
        super().__init__()
        self.cutoff = cutoff
        self.width = cutoff / num_radial
        centers_R = self.width * torch.arange(num_radial, dtype=torch.get_default_dtype())
        # not in checkpoints, since it follows from the hypers
        self.register_buffer("centers_R", centers_R, persistent=False)

    def forward(self, r_E1: torch.Tensor) -> torch.Tensor:
        """Distances (E, 1) within the cutoff -> (E, R)."""
        fade_E1 = 0.5 + 0.5 * torch.cos(math.pi / self.cutoff * r_E1)
        return torch.exp(-0.5 * ((r_E1 - self.centers_R) / self.width) ** 2) * fade_E1


class PairFeatures(torch.nn.Module):
    r"""What an atom i knows of the distances to its neighbors j.

    .. math::

        x_i = \mathrm{silu}\left(U \left(e_i + \sum_j e_j \odot W g(r_{ij})\right)\right)

    with an embedding :math:`e` of the atomic types, and weights :math:`U` and :math:`W`.

    YOUR IDEA GOES HERE. Whatever is made of the edge vectors must be zero, with its derivatives,
    where a neighbor leaves the cutoff; what has one entry an atomic type, as the embedding has,
    grows by itself when a trained model meets new types. A model in which messages travel further
    than one cutoff overrides `interaction_range()`, and names `locality: message_passing` in
    capabilities.yaml.

    :param num_features: F
    :param num_radial: R
    """

    def __init__(self, cutoff: float, num_species: int, num_features: int, num_radial: int):
        super().__init__()
        self.embedding = torch.nn.Embedding(num_species, num_features)
        self.basis = RadialBasis(cutoff, num_radial)
        # no bias, which would not fade out at the cutoff
        self.filter = torch.nn.Linear(num_radial, num_features, bias=False)
        self.mix = torch.nn.Linear(num_features, num_features)

    def forward(
        self,
        vectors_E3: torch.Tensor,
        species_A: torch.Tensor,
        centers_E: torch.Tensor,
        neighbors_E: torch.Tensor,
    ) -> torch.Tensor:
        """Features (A, F) from vectors that point from the centers to the neighbors."""
        r_E1 = torch.linalg.vector_norm(vectors_E3, dim=1, keepdim=True)
        e_AF = self.embedding(species_A)
        pairs_EF = e_AF[neighbors_E] * self.filter(self.basis(r_E1))
        x_AF = e_AF.index_add(0, centers_E, pairs_EF)
        return torch.nn.functional.silu(self.mix(x_AF))


class MyNetworkModel(BaseModel):
    """Features of each atom, and a small network for each target on top of them."""

    __checkpoint_version__ = 1
    __supported_devices__ = ["cuda", "cpu"]
    __supported_dtypes__ = [torch.float32, torch.float64]
    # what users of the model are asked to cite: your paper, and this package
    __default_metadata__ = ModelMetadata(
        references={"architecture": ["unpublished"], "implementation": ["mt-my-network"]}
    )

    def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
        super().__init__(hypers, dataset_info, cutoff=hypers["cutoff"], zbl=hypers["zbl"])
        self.num_features: int = hypers["num_features"]
        self.pair_features = PairFeatures(
            self.cutoff, self.num_species, self.num_features, hypers["num_radial"]
        )
        self.add_targets(dataset_info.targets)

    def features(self, graph: Graph) -> torch.Tensor:
        """Features (A, F) of the atoms."""
        return self.pair_features(graph.vectors, graph.species, graph.centers, graph.neighbors)

    def make_head(self, name: str, target: TargetInfo) -> Head:
        """From the features to a target: a hidden layer and a linear one, for all types alike."""
        return Head(self.num_features, target.num_subtargets, num_species=1, hidden=True)
