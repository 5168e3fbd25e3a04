"""Energies of atoms that feel the total charge. TorchScript reads this file.

Letters of shapes: A atoms, E edges, F features, R radial functions, S structures.
"""

from typing import Any, Dict

import torch
from metatomic.torch import ModelMetadata

from mt_shared.contract import DatasetInfo
from mt_shared.data import Graph
from mt_shared.errors import DataError
from mt_shared.mlip import MLIPModel, MLIPTrainer

NUM_FEATURES = 16


class Charged(MLIPModel):
    """A small network of the neighbors of an atom, and of the charge of its structure."""

    __checkpoint_version__ = 1
    __supported_devices__ = ["cpu"]
    __supported_dtypes__ = [torch.float64, torch.float32]
    __default_metadata__ = ModelMetadata(
        references={"architecture": ["none"], "implementation": ["mt-soundtoy"]}
    )

    def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
        super().__init__(hypers, dataset_info, cutoff=hypers["cutoff"])
        if list(dataset_info.inputs) != ["charge"]:
            raise DataError("this architecture reads the charge: give it, below extra_data")
        self.num_radial: int = hypers["num_radial"]
        self.embedding = torch.nn.Embedding(self.num_species, NUM_FEATURES)
        self.filter = torch.nn.Linear(self.num_radial, NUM_FEATURES, bias=False)
        self.charge = torch.nn.Linear(1, NUM_FEATURES, bias=False)
        self.mix = torch.nn.Linear(NUM_FEATURES, NUM_FEATURES)
        self.readout = torch.nn.Linear(NUM_FEATURES, 1)

    def energies(self, graph: Graph) -> torch.Tensor:
        """The energy of each atom, (A,)."""
        r_E1 = torch.linalg.vector_norm(graph.vectors, dim=1, keepdim=True) / self.cutoff
        orders_R = torch.arange(1, self.num_radial + 1, dtype=r_E1.dtype, device=r_E1.device)
        fade_E1 = 0.5 + 0.5 * torch.cos(torch.pi * r_E1)
        radial_ER = torch.sin(torch.pi * orders_R * r_E1) / r_E1 * fade_E1
        x_AF = self.embedding(graph.species)
        x_AF = x_AF.index_add(0, graph.centers, x_AF[graph.neighbors] * self.filter(radial_ER))
        charge_S1 = graph.inputs["charge"]
        x_AF = x_AF + self.charge(charge_S1)[graph.system]
        return self.readout(torch.nn.functional.silu(self.mix(x_AF))).squeeze(1)


class ChargedTrainer(MLIPTrainer):
    """The shared one."""

    __checkpoint_version__ = 1
