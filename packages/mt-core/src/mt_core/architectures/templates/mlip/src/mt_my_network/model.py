"""The model. TorchScript reads this file. Letters of shapes: A atoms, E edges, F features."""

import torch
from metatomic.torch import ModelMetadata

from mt_shared.data import Graph
from mt_shared.mlip import MLIPModel, MLIPTrainer


class MyNetworkModel(MLIPModel):
    """E_i = v . silu(U x_i), x_i = e_i + sum over the neighbors j of e_j * W g(r_ij).

    e is an embedding of the atomic types, g are Gaussians that fade out at the cutoff.
    """

    __checkpoint_version__ = 1
    # what users of the model are asked to cite: your paper, and this package
    __default_metadata__ = ModelMetadata(
        references={"architecture": ["unpublished"], "implementation": ["mt-my-network"]}
    )

    def __init__(self, hypers, dataset_info):
        super().__init__(hypers, dataset_info, cutoff=hypers["cutoff"])
        self.num_radial: int = hypers["num_radial"]
        num_features = hypers["num_features"]
        self.embedding = torch.nn.Embedding(self.num_species, num_features)
        # no bias, which would not fade out at the cutoff
        self.filter = torch.nn.Linear(self.num_radial, num_features, bias=False)
        self.mix = torch.nn.Linear(num_features, num_features)
        # the energy of an atom by itself is in the baseline that is fitted before training
        self.readout = torch.nn.Linear(num_features, 1, bias=False)

    def radial(self, r_E1):
        """Gaussians of distances (E, 1), which are zero with their slope at the cutoff."""
        width = self.cutoff / self.num_radial
        steps = torch.arange(self.num_radial, dtype=r_E1.dtype, device=r_E1.device)
        fade_E1 = 0.5 + 0.5 * torch.cos(torch.pi / self.cutoff * r_E1)
        return torch.exp(-0.5 * (r_E1 / width - steps) ** 2) * fade_E1

    def energies(self, graph: Graph):
        """Energies (A,) of the atoms from the vectors (E, 3) to neighbors. YOUR IDEA GOES HERE."""
        r_E1 = torch.linalg.vector_norm(graph.vectors, dim=1, keepdim=True)
        e_AF = self.embedding(graph.species)
        pairs_EF = e_AF[graph.neighbors] * self.filter(self.radial(r_E1))
        x_AF = e_AF.index_add(0, graph.centers, pairs_EF)
        return self.readout(torch.nn.functional.silu(self.mix(x_AF))).squeeze(1)


class MyNetworkTrainer(MLIPTrainer):
    """The shared engine as it is; augment_with_rotations = True would turn structures at random."""

    __checkpoint_version__ = 1
