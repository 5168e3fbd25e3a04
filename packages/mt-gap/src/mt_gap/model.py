"""The GAP model: what is particular to it. TorchScript reads this file.

Letters of shapes: A atoms, F features.
"""

from typing import Any, ClassVar, Dict, List, Optional, cast

import torch
from metatensor.torch import Labels, TensorMap
from metatomic.torch import ModelMetadata, ModelOutput, NeighborListOptions, System

from mt_gap.modules.expansion import Expansion
from mt_gap.modules.kernel import SparseSum
from mt_gap.modules.spectrum import PowerSpectrum
from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import graph_from_systems, refuse_coincident_atoms
from mt_shared.errors import DataError
from mt_shared.model import BaseModel, Head, collect


class Gap(BaseModel):
    """A sum over sparse points for each element, on SOAP power spectra.

    A new model has no sparse points: it predicts the composition. The trainer makes them.
    """

    __jit_unused_properties__: ClassVar[List[str]] = ["dtype", "is_fitted"]
    __checkpoint_version__ = 1
    __supported_devices__ = ["cpu"]
    __supported_dtypes__ = [torch.float64]
    __default_metadata__ = ModelMetadata(
        references={
            "architecture": [
                "GAP: https://doi.org/10.1103/PhysRevLett.104.136403",
                "SOAP: https://doi.org/10.1103/PhysRevB.87.184115",
            ],
            "implementation": ["mt-gap", "featomic: https://github.com/metatensor/featomic"],
        }
    )

    def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
        soap = hypers["soap"]
        super().__init__(hypers, dataset_info, soap["cutoff"]["radius"], zbl=hypers["zbl"])
        self.expansion = Expansion(soap, self.atomic_types)
        self.spectrum = PowerSpectrum(soap["basis"]["max_angular"], self.expansion.num_channels)
        # a kernel compares atoms of the same type: each has sparse points of its own
        sums = [SparseSum(hypers["krr"]["degree"]) for _ in self.atomic_types]
        self.sums = torch.nn.ModuleList(sums)
        self.energy_name = ""
        self.add_targets(dataset_info.targets)

    def make_head(self, name: str, target: TargetInfo) -> Optional[Head]:
        """None: the sparse points make the one target."""
        if target.per_atom or target.is_mean or target.num_subtargets != 1:
            mean = ", a mean over atoms" if target.is_mean else ""
            raise DataError(
                f"target '{name}' has {target.num_subtargets} numbers for each "
                f"{target.sample_kind}{mean}, but gap fits one number for each structure, a sum "
                "over its atoms"
            )
        if self.energy_name != "":
            raise DataError(
                f"gap fits one target, '{self.energy_name}', and cannot get '{name}' beside it; "
                "give the energy of the data the same name"
            )
        self.energy_name = name
        return None

    def restart(self, dataset_info: DatasetInfo) -> "Gap":
        """Other data of the same elements and target.

        :raises DataError: for a new element, which no descriptor of the model would see
        """
        new = sorted(set(dataset_info.atomic_types) - set(self.atomic_types))
        if new:
            raise DataError(
                f"the data contain the atomic types {new}, which this model was not made for; it "
                f"knows {self.atomic_types}. Its descriptors cannot see other elements: fit a new "
                "model to old and new data together, or one whose option "
                "architecture.atomic_types names all of them from the start"
            )
        self.dataset_info = self.dataset_info.union(dataset_info)
        self.add_targets(self.dataset_info.targets)
        return self

    def sparse_sums(self) -> List[SparseSum]:
        """The sum over sparse points of each element."""
        return cast(List[SparseSum], list(self.sums))

    @property
    def is_fitted(self) -> bool:
        """Whether there are sparse points."""
        return any(len(sparse_sum.weights) > 0 for sparse_sum in self.sparse_sums())

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predictions as metatomic wants them."""
        refuse_coincident_atoms(systems)
        types: List[torch.Tensor] = []
        owners: List[torch.Tensor] = []
        for i, system in enumerate(systems):
            types.append(system.types)
            owners.append(torch.full_like(system.types, i))
        species = self.type_to_species[torch.cat(types).to(torch.int64)]
        owner = torch.cat(owners).to(torch.int64)

        features = self.spectrum(self.expansion(systems))
        raw = torch.zeros(len(species), dtype=features.dtype, device=features.device)
        for kind, sparse_sum in enumerate(self.sums):
            atoms = torch.nonzero(species == kind)[:, 0]
            raw = raw.index_add(0, atoms, sparse_sum(features[atoms]))
        atomic: Dict[str, torch.Tensor] = {}
        for name, baseline in self.baselines.items():
            atomic[name] = baseline(raw.unsqueeze(1), species)
        if self.repulsion is not None:
            graph = graph_from_systems(
                systems,
                self.neighbor_list,
                self.type_to_species,
                self.input_names,
                reads_positions=False,
                reads_reverse=False,
            )
            repulsion = self.repulsion(graph)
            for name, factor in self.repelled.items():
                atomic[name] = atomic[name] + factor * repulsion.unsqueeze(1)
        return collect(systems, atomic, outputs, self.property_names, owner, selected_atoms)

    @torch.jit.export
    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The list of the repulsion; metatomic asks featomic itself for the other one."""
        lists: List[NeighborListOptions] = []
        if self.repulsion is not None:
            lists.append(self.neighbor_list)
        return lists
