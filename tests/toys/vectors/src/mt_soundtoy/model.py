"""Vectors of atoms, sums over neighbors of vectors along the edges. TorchScript reads this file.

Letters of shapes: A atoms, E edges, P sub-targets, R radial functions, T atomic types.
"""

import copy
import math
from typing import Any, Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)

from mt_shared.contract import (
    DatasetInfo,
    ModelInterface,
    checkpoint_header,
    metadata_from_dict,
    metadata_to_dict,
)
from mt_shared.data import refuse_coincident_atoms
from mt_shared.errors import DataError


class Vectors(ModelInterface[Dict[str, Any]]):
    """A weight for each radial function, each pair of atomic types, and each sub-target."""

    __checkpoint_version__ = 1
    __supported_devices__ = ["cpu"]
    __supported_dtypes__ = [torch.float64, torch.float32]
    __default_metadata__ = ModelMetadata(
        references={"architecture": ["none"], "implementation": ["mt-soundtoy"]}
    )

    def __init__(
        self,
        hypers: Dict[str, Any],
        dataset_info: DatasetInfo,
        metadata: Optional[ModelMetadata] = None,
    ):
        super().__init__(hypers, dataset_info, metadata)
        if len(dataset_info.targets) != 1:
            raise DataError(f"this architecture has one target, not {list(dataset_info.targets)}")
        self.name = next(iter(dataset_info.targets))
        self.unit = dataset_info.targets[self.name].unit
        self.cutoff = float(hypers["cutoff"])
        self.num_radial: int = hypers["num_radial"]
        self.neighbor_list = NeighborListOptions(cutoff=self.cutoff, full_list=True, strict=True)
        self.atomic_types: List[int] = list(dataset_info.atomic_types)
        self.num_types = len(self.atomic_types)
        num_subtargets = dataset_info.targets[self.name].num_subtargets
        # of the types of an edge's center and neighbor
        size = (self.num_types, self.num_types, self.num_radial, num_subtargets)
        self.weights = torch.nn.Parameter(0.1 * torch.randn(size))
        species = torch.zeros(max(self.atomic_types) + 1, dtype=torch.int64)
        species[self.atomic_types] = torch.arange(self.num_types)
        self.register_buffer("species", species, persistent=False)

    def of_system(self, system: System) -> torch.Tensor:
        """The vectors of the atoms, (A, 3, P)."""
        block = system.get_neighbor_list(self.neighbor_list)
        vectors_E3 = block.values[:, :, 0]
        r_E1 = torch.linalg.vector_norm(vectors_E3, dim=1, keepdim=True)
        width = self.cutoff / self.num_radial
        centers_R = width * torch.arange(
            self.num_radial, dtype=vectors_E3.dtype, device=vectors_E3.device
        )
        fade_E1 = 0.5 + 0.5 * torch.cos(math.pi / self.cutoff * r_E1)
        radial_ER = torch.exp(-0.5 * ((r_E1 - centers_R) / width) ** 2) * fade_E1
        centers, neighbors = block.samples.values[:, 0], block.samples.values[:, 1]
        species_A = self.species[system.types.to(torch.int64)]
        weights_ERP = self.weights[species_A[centers], species_A[neighbors]]
        size_EP = (radial_ER.unsqueeze(2) * weights_ERP).sum(1)
        terms_E3P = (vectors_E3 / r_E1).unsqueeze(2) * size_EP.unsqueeze(1)
        zeros_A3P = terms_E3P.new_zeros((len(system), 3, terms_E3P.shape[2]))
        return zeros_A3P.index_add(0, centers, terms_E3P)

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """The vectors of all or the selected atoms."""
        if self.name not in outputs:
            return torch.jit.annotate(Dict[str, TensorMap], {})
        refuse_coincident_atoms(systems)
        parts: List[torch.Tensor] = []
        rows: List[torch.Tensor] = []
        for number, system in enumerate(systems):
            parts.append(self.of_system(system))
            atoms = torch.arange(len(system), dtype=torch.int32)
            rows.append(torch.stack([torch.full_like(atoms, number), atoms], dim=1))
        values = torch.cat(parts)
        samples = Labels(["system", "atom"], torch.cat(rows))
        if selected_atoms is not None:
            chosen = samples.select(selected_atoms)
            values, samples = values[chosen], Labels(samples.names, samples.values[chosen])
        components = [Labels(["xyz"], numbers(3))]
        block = TensorBlock(
            values, samples, components, Labels(["vector"], numbers(values.shape[2]))
        )
        return {self.name: TensorMap(Labels(["_"], numbers(1)), [block])}

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """The one target."""
        return {self.name: ModelOutput(unit=self.unit, sample_kind="atom")}

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The one that :meth:`of_system` reads."""
        return [self.neighbor_list]

    def restart(self, dataset_info: DatasetInfo) -> "Vectors":
        """The same model, or a larger one for new atomic types, which keeps what it knows."""
        merged = self.dataset_info.union(dataset_info)
        if merged.atomic_types == self.dataset_info.atomic_types:
            self.dataset_info = merged
            return self
        larger = Vectors(self.hypers, merged, self.metadata).to(self.weights.dtype)
        places = larger.species[self.atomic_types]
        with torch.no_grad():
            larger.weights[places.unsqueeze(1), places] = self.weights
        return larger

    def get_checkpoint(self) -> Dict[str, Any]:
        """Tensors and plain values."""
        return {
            **checkpoint_header(type(self)),
            "model_version": self.__checkpoint_version__,
            "model_hypers": copy.deepcopy(self.hypers),
            "dataset_info": self.dataset_info.to_dict(),
            "metadata": metadata_to_dict(self.metadata),
            "dtype": str(self.weights.dtype).removeprefix("torch."),
            "weights": self.weights.detach().clone(),
            "best_weights": None,
        }

    @classmethod
    def load_checkpoint(cls, checkpoint: Dict[str, Any], context: str) -> "Vectors":
        """With the last weights for ``restart``, else with the best ones."""
        info = DatasetInfo.from_dict(checkpoint["dataset_info"])
        metadata = metadata_from_dict(checkpoint["metadata"])
        model = cls(checkpoint["model_hypers"], info, metadata)
        model.to(getattr(torch, checkpoint["dtype"]))
        best = checkpoint["best_weights"] if context != "restart" else None
        with torch.no_grad():
            model.weights.copy_(checkpoint["weights"] if best is None else best)
        return model

    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """A copy for the engines."""
        capabilities = ModelCapabilities(
            outputs=self.supported_outputs(),
            atomic_types=self.atomic_types,
            interaction_range=self.cutoff,
            length_unit=self.dataset_info.length_unit,
            supported_devices=self.__supported_devices__,
            dtype=str(self.weights.dtype).removeprefix("torch."),
        )
        return AtomisticModel(copy.deepcopy(self).eval(), metadata or self.metadata, capabilities)


def numbers(size: int) -> torch.Tensor:
    """The values of labels that count from 0, (size, 1)."""
    # Labels.range does the same, but TorchScript cannot save a call of it
    return torch.arange(size, dtype=torch.int32).unsqueeze(1)
