"""The usual implementation of the model's contract. TorchScript reads this file.

A concrete architecture gives features of the atoms as a function of plain tensors; inputs,
heads, baselines, outputs and export are here, checkpoints in ``persistence``. Letters of shapes:
A atoms, E edges, F features, P sub-targets, S systems, T atomic types.
"""

import inspect
from typing import Any, ClassVar, Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)
from torch import Tensor

from mt_shared.contract import DatasetInfo, Scalar, TargetInfo, metadata_from_dict
from mt_shared.data import Graph, graph_from_systems
from mt_shared.errors import DataError
from mt_shared.model.baseline import Baseline
from mt_shared.model.heads import Head
from mt_shared.model.outputs import collect
from mt_shared.model.persistence import PersistentModel
from mt_shared.model.shapes import ANY, check_shape
from mt_shared.model.zbl import ZBL, repulsion_factor, zbl_of

LAST_LAYER = "mt::aux::{}_last_layer_features"


class BaseModel(PersistentModel):
    """A model whose predictions depend on positions through the edges within a cutoff.

    A subclass calls ``super().__init__``, builds its network, and then :meth:`add_targets`. Its
    hooks are :meth:`features` and :meth:`make_head`; in TorchScript a hook must be defined by the
    concrete class, and ``super()`` is unknown.

    :param cutoff: radius of the neighborhood, in the unit of length of the data
    :param zbl: whether the repulsion of nuclei is a baseline of the energies
    """

    __jit_unused_properties__: ClassVar[List[str]] = ["dtype"]
    property_names: Dict[str, str]
    repelled: Dict[str, float]
    type_to_species: Tensor

    def __init__(
        self, hypers: Dict[str, Any], dataset_info: DatasetInfo, cutoff: float, zbl: bool = False
    ):
        super().__init__(hypers, dataset_info)
        self.cutoff = float(cutoff)
        self.neighbor_list = NeighborListOptions(cutoff=self.cutoff, full_list=True, strict=True)
        # a table by atomic number: one look-up for all atoms, on whatever device they are
        type_to_species = torch.zeros(max(self.atomic_types) + 1, dtype=torch.int64)
        type_to_species[self.atomic_types] = torch.arange(self.num_species)
        self.register_buffer("type_to_species", type_to_species, persistent=False)
        self.heads = torch.nn.ModuleDict()
        self.baselines = torch.nn.ModuleDict()
        self.repulsion: Optional[ZBL] = zbl_of(dataset_info, self.cutoff) if zbl else None
        # energies to which the repulsion is added, and the factor that brings it to their unit
        self.repelled = {}
        self.has_atomic_values = True
        self.per_atom: Dict[str, bool] = {}
        self.outputs: Dict[str, ModelOutput] = {}
        self.property_names = {}

    def __init_subclass__(cls) -> None:
        """TorchScript reads the annotations of the concrete class alone: give it the inherited."""
        # without them it could not tell the type of an empty dictionary
        super().__init_subclass__()
        annotations: Dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            annotations.update(inspect.get_annotations(base))
        cls.__annotations__ = annotations

    # ---- hooks of the concrete class

    def features(self, vectors: Tensor, graph: Graph) -> Tensor:
        """Features (A, F) of the atoms, in the graph's order, from the edge vectors (E, 3)."""
        raise NotImplementedError

    def make_head(self, name: str, target: TargetInfo) -> Optional[Head]:
        """The layers that make a target from the features; None where :meth:`predict` makes it."""
        raise NotImplementedError

    # ---- targets

    def add_targets(self, targets: Dict[str, TargetInfo]) -> None:
        """Build head, baseline and outputs of each target that the model does not have yet."""
        # metatomic gives per-system values to whoever declares per-atom ones, not the reverse
        sample_kind = "atom" if self.has_atomic_values else "system"
        for name, target in targets.items():
            if name in self.baselines:
                continue
            if not isinstance(target.type, Scalar):
                raise DataError(
                    f"target '{name}' is {target.type.to_dict()}, but this model fits scalars only"
                )
            head = self.make_head(name, target)
            if head is not None:
                self.heads[name] = head
                last_layer = f"features before the last layer of '{name}'"
                self._add_features("feature", "features of each atom before the heads")
                self._add_features(LAST_LAYER.format(name), last_layer)
            self.baselines[name] = Baseline(self.num_species, target.num_subtargets)
            if self.repulsion is not None and target.is_energy:
                self.repelled[name] = repulsion_factor(name, target)
            self.per_atom[name] = target.per_atom
            self.outputs[name] = ModelOutput(
                unit=target.unit, sample_kind=sample_kind, description=target.description
            )
            self.property_names[name] = "energy" if target.is_energy else name.split("::")[-1]

    def _add_features(self, name: str, description: str) -> None:
        self.outputs[name] = ModelOutput(sample_kind="atom", description=description)
        self.property_names[name] = "feature"

    # ---- prediction

    def predict(
        self, vectors: Tensor, graph: Graph, targets: Optional[List[str]] = None
    ) -> Dict[str, Tensor]:
        """Raw values of each atom, before scale and composition, in the graph's order.

        :param vectors: (E, 3) edge vectors
        :param targets: heads of others are left out; None: all
        :return: for each target (A, P) under its name, and features (A, F)
        """
        features = self.features(vectors, graph)
        if not torch.jit.is_scripting():
            check_shape(self, "features", features, "(A, F)", (len(graph.species), ANY))
        return self.read_out(features, graph.counts, targets)

    def read_out(
        self, features: Tensor, counts: List[int], targets: Optional[List[str]] = None
    ) -> Dict[str, Tensor]:
        """What the heads make of features (A, F) of atoms sorted by species."""
        results: Dict[str, Tensor] = {"feature": features}
        for name, head in self.heads.items():
            if targets is None or name in targets:
                last_layer, values = head(features, counts)
                # LAST_LAYER once more: TorchScript does not see the globals of a module
                results["mt::aux::" + name + "_last_layer_features"] = last_layer
                results[name] = values
        return results

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predictions as metatomic wants them."""
        if selected_atoms is not None and not self.has_atomic_values:
            raise ValueError("this model gives energies of whole systems: no atoms can be selected")
        graph, vectors, slot = graph_from_systems(
            systems, self.neighbor_list, self.type_to_species, self.num_species
        )
        atomic = self.predict(vectors, graph)
        # From here on in float64: energies of whole structures have more digits than float32.
        for name, baseline in self.baselines.items():
            atomic[name] = baseline(atomic[name], graph.species)
        if self.repulsion is not None:
            repulsion = self.repulsion(vectors, graph.species, graph.centers, graph.neighbors)
            for name, factor in self.repelled.items():
                atomic[name] = atomic[name] + factor * repulsion.unsqueeze(1)
        return collect(
            systems, atomic, outputs, self.property_names, graph.system, slot, selected_atoms
        )

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """Each target, the features, and the features before each target's last layer."""
        return self.outputs

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The one neighbor list that :meth:`forward` reads."""
        return [self.neighbor_list]

    # ---- export

    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """A copy for the engines; the units and elements are those of the training data."""
        capabilities = ModelCapabilities(
            outputs=self.supported_outputs(),
            atomic_types=self.atomic_types,
            interaction_range=self.interaction_range(),
            length_unit=self.dataset_info.length_unit,
            supported_devices=list(self.__supported_devices__),
            dtype=str(self.dtype).removeprefix("torch."),
        )
        if metadata is None:
            metadata = metadata_from_dict(self.metadata)
        return AtomisticModel(self.without_updates().eval(), metadata, capabilities)

    def interaction_range(self) -> float:
        """How far away an atom can matter: the cutoff, unless messages travel further."""
        return self.cutoff
