"""SchNet. Letters of shapes: A atoms, E edges, F features, R radial functions."""

import torch
from metatomic.torch import ModelMetadata
from torch.nn.functional import silu

from mt_shared.data import Graph
from mt_shared.mlip import MLIPModel, MLIPTrainer


class Interaction(torch.nn.Module):
    """x_i += W2 silu(W1 sum over j of x_j * filter(r_ij))."""

    def __init__(self, num_features: int, num_radial: int):
        super().__init__()
        # no bias, which would not fade out at the cutoff
        self.filter = torch.nn.Linear(num_radial, num_features, bias=False)
        self.inner = torch.nn.Linear(num_features, num_features)
        self.outer = torch.nn.Linear(num_features, num_features)

    def forward(self, x_AF, radial_ER, centers_E, neighbors_E):
        messages_EF = x_AF[neighbors_E] * self.filter(radial_ER)
        sums_AF = torch.zeros_like(x_AF).index_add(0, centers_E, messages_EF)
        return x_AF + self.outer(silu(self.inner(sums_AF)))


class SchNet(MLIPModel):
    """Continuous-filter convolutions on embeddings of the atomic types."""

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata(
        references={
            "architecture": ["SchNet: https://doi.org/10.1063/1.5019779"],
            "implementation": ["mt-schnet"],
        }
    )

    def __init__(self, hypers, dataset_info):
        num_layers, num_features = hypers["num_layers"], hypers["num_features"]
        super().__init__(hypers, dataset_info, cutoff=hypers["cutoff"], num_interactions=num_layers)
        self.num_radial: int = hypers["num_radial"]
        self.embedding = torch.nn.Embedding(self.num_species, num_features)
        layers = [Interaction(num_features, self.num_radial) for _ in range(num_layers)]
        self.layers = torch.nn.ModuleList(layers)
        self.readout = torch.nn.Linear(num_features, 1)

    def energies(self, graph: Graph):
        """The energy of each atom, (A,)."""
        distances_E1 = torch.linalg.vector_norm(graph.vectors, dim=1, keepdim=True) / self.cutoff
        orders_R = torch.arange(1, self.num_radial + 1, device=graph.vectors.device)
        # zero with its slope where a neighbor leaves, so that forces have no jump
        fade_E1 = 0.5 + 0.5 * torch.cos(torch.pi * distances_E1)
        radial_ER = torch.sin(torch.pi * orders_R * distances_E1) / distances_E1 * fade_E1
        x_AF = self.embedding(graph.species)
        for layer in self.layers:
            x_AF = layer(x_AF, radial_ER, graph.centers, graph.neighbors)
        return self.readout(x_AF).squeeze(1)


class SchNetTrainer(MLIPTrainer):
    """The shared engine as it is."""

    __checkpoint_version__ = 1
