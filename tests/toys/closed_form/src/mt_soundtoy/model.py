"""Energies linear in sums over neighbors. TorchScript reads this file.

Letters of shapes: A atoms, E edges, F features, R radial functions, T atomic types.
"""

import math
from typing import Any, ClassVar, Dict, List, Optional

import torch
from metatomic.torch import ModelMetadata

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Graph
from mt_shared.errors import DataError
from mt_shared.model import BaseModel, Head


class Ridge(BaseModel):
    """A weight for each radial function and each pair of atomic types."""

    __jit_unused_properties__: ClassVar[List[str]] = ["dtype"]
    __checkpoint_version__ = 1
    __supported_devices__ = ["cpu"]
    __supported_dtypes__ = [torch.float64]
    __default_metadata__ = ModelMetadata(
        references={"architecture": ["none"], "implementation": ["mt-soundtoy"]}
    )

    def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
        super().__init__(hypers, dataset_info, cutoff=hypers["cutoff"])
        self.num_radial: int = hypers["num_radial"]
        self.num_pairs: int = self.num_species**2
        num_features = self.num_pairs * self.num_radial
        self.register_buffer("weights", torch.zeros(num_features, 1, dtype=torch.float64))
        self.energy_name = ""
        self.add_targets(dataset_info.targets)

    def make_head(self, name: str, target: TargetInfo) -> Optional[Head]:
        """None: the weights make the one target."""
        if self.energy_name != "":
            raise DataError(f"this architecture fits one target, and has '{self.energy_name}'")
        self.energy_name = name
        return None

    def features(self, graph: Graph) -> torch.Tensor:
        """Sums of Gaussians of distances, by the types of both atoms: (A, F)."""
        r_E1 = torch.linalg.vector_norm(graph.vectors, dim=1, keepdim=True).to(torch.float64)
        width = self.cutoff / self.num_radial
        centers_R = width * torch.arange(self.num_radial, dtype=r_E1.dtype)
        fade_E1 = 0.5 + 0.5 * torch.cos(math.pi / self.cutoff * r_E1)
        radial_ER = torch.exp(-0.5 * ((r_E1 - centers_R) / width) ** 2) * fade_E1
        # a row for each atom and pair of types, so that one sum over the edges fills them all
        pairs_E = graph.species[graph.centers] * self.num_species + graph.species[graph.neighbors]
        rows = len(graph.species) * self.num_pairs
        x_APR = torch.zeros((rows, self.num_radial), dtype=r_E1.dtype)
        x_APR = x_APR.index_add(0, graph.centers * self.num_pairs + pairs_E, radial_ER)
        return x_APR.reshape(len(graph.species), -1)

    def predict(self, graph: Graph, targets: Optional[List[str]] = None) -> Dict[str, torch.Tensor]:
        """Raw energies (A, 1)."""
        return {self.energy_name: self.features(graph) @ self.weights}

    def restart(self, dataset_info: DatasetInfo) -> "Ridge":
        """Other data of the same elements and target.

        :raises DataError: for a new element
        """
        new = sorted(set(dataset_info.atomic_types) - set(self.atomic_types))
        if new:
            raise DataError(f"the data contain the atomic types {new}, which have no weights")
        self.dataset_info = self.dataset_info.union(dataset_info)
        self.add_targets(self.dataset_info.targets)
        return self

    @property
    def dtype(self) -> torch.dtype:
        """The only one."""
        return torch.float64
