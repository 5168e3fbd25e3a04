"""The usual implementation of the model's contract. TorchScript reads this file.

A concrete architecture gives features of the atoms as a function of plain tensors; inputs,
heads, baselines, outputs and export are here, checkpoints in ``persistence``. Letters of shapes:
A atoms, E edges, F features, P sub-targets, S systems, T atomic types.
"""

from typing import Any, Dict, List, Optional

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

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Graph, graph_from_systems, short_name
from mt_shared.errors import DataError, did_you_mean
from mt_shared.model.heads import Head
from mt_shared.model.lora import merged_copy
from mt_shared.model.outputs import collect, shares_of_mean, sum_over_atoms
from mt_shared.model.persistence import PersistentModel
from mt_shared.model.shapes import ANY, check_shape
from mt_shared.model.zbl import repulsion_factor, zbl_of

LAST_LAYER = "mt::aux::{}_last_layer_features"


class BaseModel(PersistentModel):
    """A model of the edges within a cutoff, whose features become targets by heads.

    A subclass calls ``super().__init__``, builds its network, and then :meth:`add_targets`. Its
    hooks are :meth:`features` and :meth:`make_head`; in TorchScript a hook must be defined by the
    concrete class, and ``super()`` is unknown. A model that reads positions as well declares it:
    ``reads_positions = True``, see :class:`~mt_shared.model.trainable.TrainableModel`.

    :param cutoff: radius of the neighborhood, in the unit of length of the data
    :param zbl: whether the repulsion of nuclei is a baseline of the energies
    """

    property_names: Dict[str, str]
    input_names: List[str]
    inputs: Dict[str, ModelOutput]

    def __init__(
        self, hypers: Dict[str, Any], dataset_info: DatasetInfo, cutoff: float, zbl: bool = False
    ):
        super().__init__(hypers, dataset_info)
        self.cutoff = float(cutoff)
        self.neighbor_list = NeighborListOptions(cutoff=self.cutoff, full_list=True, strict=True)
        self.input_names = list(dataset_info.inputs)
        self.inputs = {
            name: ModelOutput(unit=info.unit, sample_kind=info.sample_kind)
            for name, info in dataset_info.inputs.items()
        }
        if zbl:
            self.repulsion = zbl_of(dataset_info, self.cutoff)
        # by the forward below; a concrete class may have one of its own
        self.takes_float64 = type(self).forward is BaseModel.forward
        self.has_atomic_values = True
        self.per_atom: Dict[str, bool] = {}
        self.outputs: Dict[str, ModelOutput] = {}
        self.property_names = {}

    # ---- hooks of the concrete class

    def features(self, graph: Graph) -> Tensor:
        """Features (A, F) of the atoms."""
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
            self.add_baseline(name, target)
            head = self.make_head(name, target)
            if head is not None:
                self.heads[name] = head
                last_layer = f"features before the last layer of '{name}'"
                self._add_features("feature", "features of each atom before the heads")
                self._add_features(LAST_LAYER.format(name), last_layer)
            if self.repulsion is not None and target.is_energy:
                self.repelled[name] = repulsion_factor(name, target)
            self.per_atom[name] = target.per_atom
            self.outputs[name] = ModelOutput(
                unit=target.unit, sample_kind=sample_kind, description=target.description
            )
            self.property_names[name] = "energy" if target.is_energy else short_name(name)

    def remove_target(self, name: str) -> None:
        """Forget a target: head, baseline and outputs.

        :raises DataError: the model has no such target, or no energy left for its repulsion
        """
        if name not in self.baselines:
            raise DataError(
                f"the model has no target '{name}' to remove{did_you_mean(name, self.baselines)}; "
                f"it has {', '.join(self.baselines)}"
            )
        if list(self.repelled) == [name]:
            raise DataError(
                f"'{name}' is the only energy of a model with a repulsion of nuclei (zbl), and "
                "cannot be removed"
            )
        self.forget_baseline(name)
        for parts in (self.heads, self.repelled, self.per_atom):
            if name in parts:
                del parts[name]
        for output in (name, LAST_LAYER.format(name)):
            if output in self.outputs:
                del self.outputs[output], self.property_names[output]
        self.dataset_info = self.dataset_info.without(name)

    def _add_features(self, name: str, description: str) -> None:
        self.outputs[name] = ModelOutput(sample_kind="atom", description=description)
        self.property_names[name] = "feature"

    # ---- prediction

    def predict(self, graph: Graph, targets: Optional[List[str]] = None) -> Dict[str, Tensor]:
        """Raw values of each atom, before scale and composition.

        :param targets: heads of others are left out; None: all
        :return: for each target (A, P) under its name, and features (A, F)
        """
        features = self.features(graph)
        if not torch.jit.is_scripting():
            check_shape(self, "features", features, "(A, F)", (len(graph.species), ANY))
        return self.read_out(features, graph.species, targets)

    def read_out(
        self, features: Tensor, species: Tensor, targets: Optional[List[str]] = None
    ) -> Dict[str, Tensor]:
        """What the heads make of features (A, F) of atoms of these species (A,)."""
        results: Dict[str, Tensor] = {"feature": features}
        for name, head in self.heads.items():
            if targets is None or name in targets:
                last_layer, values = head(features, species)
                # LAST_LAYER once more: TorchScript does not see the globals of a module
                results["mt::aux::" + name + "_last_layer_features"] = last_layer
                results[name] = values
        return results

    def values(self, graph: Graph, targets: List[str]) -> Dict[str, Tensor]:
        """Raw values of targets: (A, P), or their sums or means (S, P) over each structure."""
        values = self.predict(graph, targets)
        for name in targets:
            if name in self.means:
                values[name] = shares_of_mean(values[name], graph)
            if not self.per_atom[name]:
                values[name] = sum_over_atoms(values[name], graph)
        return {name: values[name] for name in targets}

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predictions as metatomic wants them."""
        if selected_atoms is not None and not self.has_atomic_values:
            raise ValueError("this model gives energies of whole systems: no atoms can be selected")
        graph = graph_from_systems(
            systems,
            self.neighbor_list,
            self.type_to_species,
            self.input_names,
            self.reads_positions,
            self.reads_reverse,
            self.no_numbers.dtype,
        )
        atomic = self.predict(graph)
        # From here on in float64: energies of whole structures have more digits than float32.
        for name, baseline in self.baselines.items():
            atomic[name] = baseline(atomic[name], graph.species)
        for name in self.means:
            atomic[name] = shares_of_mean(atomic[name], graph)
        if self.repulsion is not None:
            repulsion = self.repulsion(graph)
            for name, factor in self.repelled.items():
                atomic[name] = atomic[name] + factor * repulsion.unsqueeze(1)
        return collect(systems, atomic, outputs, self.property_names, graph.system, selected_atoms)

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """Each target, the features, and the features before each target's last layer."""
        return self.outputs

    # exported, so that a model which is read from its file can be put into another one: metatomic
    # asks the parts of a model (WeightedSum)
    @torch.jit.export
    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The one neighbor list that :meth:`forward` reads."""
        return [self.neighbor_list]

    @torch.jit.export
    def requested_inputs(self) -> Dict[str, ModelOutput]:
        """The inputs of the data that the model was made for."""
        return self.inputs

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
            metadata = self.metadata
        return AtomisticModel(merged_copy(self).eval(), metadata, capabilities)

    def interaction_range(self) -> float:
        """How far away an atom can matter: the cutoff, unless messages travel further."""
        return self.cutoff
