"""The PaiNN model. TorchScript reads this file.

An atom i has scalar features s_i (F) and vector features v_i (3, F), which turn with the structure.
Letters of shapes: A atoms, E edges, F features, R radial functions.
"""

from typing import Any, Dict

import torch
from metatomic.torch import ModelMetadata

from mt_painn.modules.layers import Message, RadialBasis, Update
from mt_shared.contract import DatasetInfo
from mt_shared.data import Graph
from mt_shared.mlip import MLIPModel


class Painn(MLIPModel):
    """Polarizable atom interaction neural network (Schütt, Unke, Gastegger, arXiv:2102.03150).

    Each layer is a message from the neighbors and an update of each atom by itself.
    """

    __checkpoint_version__ = 1
    __default_metadata__ = ModelMetadata(
        references={
            "architecture": ["PaiNN: https://arxiv.org/abs/2102.03150"],
            "implementation": ["mt-painn"],
        }
    )

    def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
        num_features, num_radial = hypers["num_features"], hypers["num_radial"]
        super().__init__(
            hypers,
            dataset_info,
            cutoff=hypers["cutoff"],
            zbl=hypers["zbl"],
            num_features=num_features,
            num_interactions=hypers["num_layers"],
        )
        self.embedding = torch.nn.Embedding(self.num_species, num_features)
        self.basis = RadialBasis(self.cutoff, num_radial)
        self.messages = torch.nn.ModuleList()
        self.updates = torch.nn.ModuleList()
        # what is zero in the first layer, or not read after the last one, has no weights: a
        # parameter without a gradient would stay at random
        last = hypers["num_layers"] - 1
        for layer in range(last + 1):
            self.messages.append(Message(num_features, num_radial, has_vectors=layer > 0))
            self.updates.append(Update(num_features, is_last=layer == last))

    def atomic_features(self, graph: Graph) -> torch.Tensor:
        """The scalar features (A, F) after the last layer."""
        basis_ER, directions_E3 = self.basis(graph.vectors)
        s_AF = self.embedding(graph.species)
        # no direction is known before an atom has heard of its neighbors
        v_A3F = torch.zeros_like(s_AF).unsqueeze(1).repeat(1, 3, 1)
        centers_E, neighbors_E = graph.centers, graph.neighbors
        for message, update in zip(self.messages, self.updates):
            s_AF, v_A3F = message(s_AF, v_A3F, basis_ER, directions_E3, centers_E, neighbors_E)
            s_AF, v_A3F = update(s_AF, v_A3F)
        return s_AF
