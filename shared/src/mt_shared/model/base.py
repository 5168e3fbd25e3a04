"""The usual implementation of the model's contract. TorchScript reads this file.

A concrete architecture gives features of the atoms as a function of plain tensors; inputs,
heads, baselines, outputs, checkpoints and export are here. Letters of shapes: A atoms, E edges,
F features, P sub-targets, S systems, T atomic types.
"""

import copy
from pathlib import Path
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

from mt_shared.contract import (
    DatasetInfo,
    ModelInterface,
    Scalar,
    TargetInfo,
    checkpoint_header,
    metadata_from_dict,
    metadata_to_dict,
    upgrade_by_version,
    write_checkpoint,
)
from mt_shared.data.graph import Graph, graph_from_systems
from mt_shared.errors import DataError
from mt_shared.model.baseline import Baseline
from mt_shared.model.heads import Head
from mt_shared.model.outputs import atom_map, atom_samples, selection, system_map

LAST_LAYER = "mt::aux::{}_last_layer_features"


class BaseModel(ModelInterface):
    """A model whose predictions depend on positions through the edges within a cutoff.

    A subclass calls ``super().__init__``, builds its network, and then :meth:`add_targets`. Its
    hooks are :meth:`features` and :meth:`make_head`; in TorchScript a hook must be defined by the
    concrete class, and ``super()`` is unknown.

    :param cutoff: radius of the neighborhood, in the unit of length of the data
    """

    __jit_unused_properties__: ClassVar[List[str]] = ["dtype"]
    property_names: Dict[str, str]
    type_to_species: torch.Tensor

    def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo, cutoff: float):
        super().__init__(hypers, dataset_info)
        self.metadata = metadata_to_dict(self.__default_metadata__)
        self.cutoff = float(cutoff)
        self.neighbor_list = NeighborListOptions(cutoff=self.cutoff, full_list=True, strict=True)
        self.atomic_types: List[int] = list(dataset_info.atomic_types)
        self.num_species = len(self.atomic_types)
        type_to_species = torch.zeros(max(self.atomic_types) + 1, dtype=torch.int64)
        type_to_species[self.atomic_types] = torch.arange(self.num_species)
        self.register_buffer("type_to_species", type_to_species, persistent=False)
        self.heads = torch.nn.ModuleDict()
        self.baselines = torch.nn.ModuleDict()
        self.per_atom: Dict[str, bool] = {}
        self.outputs: Dict[str, ModelOutput] = {}
        self.property_names = {}

    # ---- hooks of the concrete class

    def features(self, vectors: torch.Tensor, graph: Graph) -> torch.Tensor:
        """Features (A, F) of the atoms, in the graph's order.

        :param vectors: (E, 3) from center to neighbor, in the unit of length of the data
        """
        raise NotImplementedError

    def make_head(self, name: str, target: TargetInfo) -> Head:
        """The layers that make a target from the features."""
        raise NotImplementedError

    # ---- targets

    def add_targets(self, targets: Dict[str, TargetInfo]) -> None:
        """Build head, baseline and outputs of each target that the model does not have yet."""
        for name, target in targets.items():
            if name not in self.heads:
                self._add_target(name, target)
        self.outputs["feature"] = ModelOutput(
            sample_kind="atom", description="features of each atom before the heads"
        )
        self.property_names["feature"] = "feature"

    def _add_target(self, name: str, target: TargetInfo) -> None:
        if not isinstance(target.type, Scalar):
            raise DataError(
                f"target '{name}' is {target.type.to_dict()}, but this model fits scalars only"
            )
        self.heads[name] = self.make_head(name, target)
        self.baselines[name] = Baseline(self.num_species, target.num_subtargets)
        self.per_atom[name] = target.per_atom
        # metatomic gives per-system values to whoever declares per-atom ones, not the reverse
        self.outputs[name] = ModelOutput(
            unit=target.unit, sample_kind="atom", description=target.description
        )
        self.property_names[name] = "energy" if target.is_energy else name.split("::")[-1]
        last_layer = LAST_LAYER.format(name)
        self.outputs[last_layer] = ModelOutput(
            sample_kind="atom", description=f"features before the last layer of '{name}'"
        )
        self.property_names[last_layer] = "feature"

    def restart(self, dataset_info: DatasetInfo) -> "BaseModel":
        """Heads for new targets; elements that the model has never seen are refused."""
        merged = self.dataset_info.union(dataset_info)
        new_types = sorted(set(merged.atomic_types) - set(self.atomic_types))
        if new_types:
            raise DataError(
                f"the data contain the atomic types {new_types}, which this model was not made "
                f"for; it knows {self.atomic_types}. Train a new model, or one whose option "
                "architecture.atomic_types names all of them from the start"
            )
        self.dataset_info = merged
        self.add_targets(merged.targets)
        return self

    # ---- prediction

    def predict(self, vectors: torch.Tensor, graph: Graph) -> Dict[str, torch.Tensor]:
        """Raw values of each atom, before scale and composition, in the graph's order.

        :param vectors: (E, 3) edge vectors
        :return: for each target (A, P) under its name, and features (A, F)
        """
        features = self.features(vectors, graph)
        results: Dict[str, torch.Tensor] = {"feature": features}
        for name, head in self.heads.items():
            last_layer, values = head(features, graph.counts)
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
        graph, vectors, slot = graph_from_systems(
            systems, self.neighbor_list, self.type_to_species, self.num_species
        )
        atomic = self.predict(vectors, graph)
        for name, baseline in self.baselines.items():
            atomic[name] = baseline(atomic[name], graph.species)

        samples = atom_samples(systems)
        selected = selection(samples, selected_atoms)
        owners = graph.system
        if selected is not None:
            samples = samples[selected]
            slot = slot[selected]
            owners = owners[slot]

        results: Dict[str, TensorMap] = {}
        for name, output in outputs.items():
            values = atomic[name]
            if output.sample_kind == "atom":
                results[name] = atom_map(
                    values[slot].to(vectors.dtype), samples, self.property_names[name]
                )
            else:
                # a sum over all atoms needs no order, and the gradient of one takes long
                if selected is not None:
                    values = values[slot]
                totals = torch.zeros(
                    (len(systems), values.shape[1]), dtype=values.dtype, device=values.device
                )
                totals = totals.index_add(0, owners, values)
                results[name] = system_map(totals.to(vectors.dtype), self.property_names[name])
        return results

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """Each target, the features, and the features before each target's last layer."""
        return self.outputs

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The one neighbor list that :meth:`forward` reads."""
        return [self.neighbor_list]

    # ---- checkpoints and export

    def get_checkpoint(self) -> Dict[str, Any]:
        """Tensors and plain values; ``best_state`` is None where the state is the best one."""
        return {
            **checkpoint_header(type(self)),
            "model_version": self.__checkpoint_version__,
            "model_hypers": copy.deepcopy(self.hypers),
            "dataset_info": self.dataset_info.to_dict(),
            "metadata": copy.deepcopy(self.metadata),
            "dtype": str(self.dtype).removeprefix("torch."),
            "state": {name: tensor.detach().clone() for name, tensor in self.state_dict().items()},
            "best_state": None,
        }

    def save_checkpoint(self, path: Path) -> None:
        """Write :meth:`get_checkpoint`, whole or not at all."""
        write_checkpoint(self.get_checkpoint(), path)

    @classmethod
    def load_checkpoint(cls, checkpoint: Dict[str, Any], context: str) -> "BaseModel":
        """The last state for ``restart``, the best one for ``finetune`` and ``export``."""
        dataset_info = DatasetInfo.from_dict(checkpoint["dataset_info"])
        make: Any = cls  # a concrete class, which has hypers and data set alone
        model = make(checkpoint["model_hypers"], dataset_info)
        model.metadata = checkpoint["metadata"]
        best = checkpoint["best_state"] if context != "restart" else None
        model.to(dtype=getattr(torch, checkpoint["dtype"]))
        model.load_state_dict(checkpoint["state"] if best is None else best)
        return model

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: Dict[str, Any]) -> Dict[str, Any]:
        """One step a version, with the functions of :meth:`checkpoint_upgrades`."""
        return upgrade_by_version(
            checkpoint, "model_version", cls.__checkpoint_version__, cls.checkpoint_upgrades()
        )

    @classmethod
    def checkpoint_upgrades(cls) -> Dict[int, Any]:
        """Hook: ``{1: from_1_to_2, ...}``, functions of the whole checkpoint."""
        return {}

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return next(self.parameters()).dtype

    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """A copy for the engines; the units and elements are those of the training data."""
        dtype = str(self.dtype).removeprefix("torch.")
        capabilities = ModelCapabilities(
            outputs=self.supported_outputs(),
            atomic_types=self.atomic_types,
            interaction_range=self.interaction_range(),
            length_unit=self.dataset_info.length_unit,
            supported_devices=list(self.__supported_devices__),
            dtype=dtype,
        )
        if metadata is None:
            metadata = metadata_from_dict(self.metadata)
        return AtomisticModel(copy.deepcopy(self).eval(), metadata, capabilities)

    def interaction_range(self) -> float:
        """How far away an atom can matter: the cutoff, unless messages travel further."""
        return self.cutoff
