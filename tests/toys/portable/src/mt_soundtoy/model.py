"""A network for each target on sums over pairs, as authors of metatrain write models."""

import copy
import math
from dataclasses import replace
from typing import Any, Dict, List, Literal, Optional

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
    TargetInfo,
    checkpoint_header,
    upgrade_by_version,
)
from mt_shared.data import refuse_coincident_atoms
from mt_shared.model import Baseline
from mt_soundtoy.documentation import ModelHypers


class PairModel(ModelInterface[ModelHypers]):
    """Predicts numbers of order one, times a scale, and adds a composition.

    A trainer of its own fits both. The shared trainer leaves them at one and zero, since it has a
    scale and a composition of its own around the model.
    """

    __checkpoint_version__ = 1
    __supported_devices__ = ["cuda", "cpu"]
    __supported_dtypes__ = [torch.float32, torch.float64]
    __default_metadata__ = ModelMetadata(
        references={"architecture": ["none"], "implementation": ["mt-soundtoy"]}
    )

    def __init__(self, hypers: ModelHypers, dataset_info: DatasetInfo) -> None:
        super().__init__(hypers, dataset_info, self.__default_metadata__)
        self.atomic_types = list(dataset_info.atomic_types)
        self.cutoff = float(self.hypers["cutoff"])
        self.num_radial = int(self.hypers["num_radial"])
        self.requested_nl = NeighborListOptions(cutoff=self.cutoff, full_list=True, strict=True)
        self.reads_charge = "charge" in dataset_info.inputs
        num_features = self.hypers["num_features"]
        types = torch.zeros(max(self.atomic_types) + 1, dtype=torch.int64)
        types[self.atomic_types] = torch.arange(len(self.atomic_types))
        self.register_buffer("species_of_types", types, persistent=False)
        self.embedding = torch.nn.Embedding(len(self.atomic_types), num_features)
        self.filter = torch.nn.Linear(self.num_radial, num_features, bias=False)
        self.mix = torch.nn.Linear(num_features, num_features)
        self.last_layers = torch.nn.ModuleDict()
        self.additive = torch.nn.ModuleDict()
        self.outputs: Dict[str, ModelOutput] = {}
        self.property_names: Dict[str, str] = {}
        for name, target in dataset_info.targets.items():
            self._add_output(name, target)

    def _add_output(self, name: str, target: TargetInfo) -> None:
        num_features = self.embedding.embedding_dim
        self.last_layers[name] = torch.nn.Linear(num_features, target.num_subtargets)
        self.additive[name] = Baseline(len(self.atomic_types), target.num_subtargets)
        self.outputs[name] = ModelOutput(unit=target.unit, sample_kind="atom", description=name)
        # a name of labels has no hyphen, that of a target may
        short_name = name.split("::")[-1].split("/")[0].replace("-", "_")
        self.property_names[name] = "energy" if target.is_energy else short_name

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        return [self.requested_nl]

    def requested_inputs(self) -> Dict[str, ModelOutput]:
        return {
            name: ModelOutput(unit=info.unit, sample_kind=info.sample_kind)
            for name, info in self.dataset_info.inputs.items()
        }

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        return self.outputs

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        refuse_coincident_atoms(systems)
        types: List[torch.Tensor] = []
        samples: List[torch.Tensor] = []
        pairs: List[torch.Tensor] = []
        vectors: List[torch.Tensor] = []
        charges: List[torch.Tensor] = []
        num_atoms = 0
        for number, system in enumerate(systems):
            neighbors = system.get_neighbor_list(self.requested_nl)
            indices = neighbors.samples.values.to(torch.int64)
            centers, others = indices[:, 0], indices[:, 1]
            # from positions, as many models have it, rather than from the values of the list
            shifts = indices[:, 2:].to(system.cell.dtype) @ system.cell
            vectors.append(system.positions[others] - system.positions[centers] + shifts)
            pairs.append(torch.stack([centers, others]) + num_atoms)
            types.append(system.types)
            atoms = torch.arange(len(system), dtype=torch.int32, device=system.types.device)
            samples.append(torch.stack([torch.full_like(atoms, number), atoms], dim=1))
            num_atoms += len(system)
            if self.reads_charge:
                charge = system.get_data("charge").block().values
                charges.append(charge.expand(len(system), 1))

        species = self.species_of_types[torch.cat(types).to(torch.int64)]
        edges = torch.cat(pairs, dim=1)
        distances = torch.linalg.vector_norm(torch.cat(vectors), dim=1, keepdim=True)
        width = self.cutoff / self.num_radial
        steps = torch.arange(self.num_radial, dtype=distances.dtype, device=distances.device)
        fade = 0.5 + 0.5 * torch.cos(math.pi / self.cutoff * distances)
        radial = torch.exp(-0.5 * (distances / width - steps) ** 2) * fade
        embedded = self.embedding(species)
        if self.reads_charge:
            embedded = embedded + torch.cat(charges)
        messages = embedded[edges[1]] * self.filter(radial)
        sums = embedded.index_add(0, edges[0], messages)
        features = torch.nn.functional.silu(self.mix(sums))

        labels = Labels(["system", "atom"], torch.cat(samples), assume_unique=True)
        if selected_atoms is not None:
            chosen = labels.select(selected_atoms.to(labels.device))
            labels = Labels(labels.names, labels.values[chosen], assume_unique=True)
            features, species = features[chosen], species[chosen]
        atomic: Dict[str, torch.Tensor] = {}
        for name, layer in self.last_layers.items():
            if name in outputs:
                atomic[name] = layer(features)
        for name, additive in self.additive.items():
            # a trainer takes both off its labels
            if name in outputs and not self.training:
                # in float64, which energies of whole structures need
                atomic[name] = additive(atomic[name], species)

        results: Dict[str, TensorMap] = {}
        for name, values in atomic.items():
            of_values = labels
            if outputs[name].sample_kind == "system":
                owners = labels.values[:, 0].to(torch.int64)
                zeros = values.new_zeros((len(systems), values.size(1)))
                values = zeros.index_add(0, owners, values)
                numbers = torch.arange(len(systems), dtype=torch.int32, device=values.device)
                of_values = Labels(["system"], numbers.unsqueeze(1))
            columns = torch.arange(values.size(1), dtype=torch.int32, device=values.device)
            block = TensorBlock(
                values=values.to(distances.dtype),
                samples=of_values,
                components=torch.jit.annotate(List[Labels], []),
                properties=Labels([self.property_names[name]], columns.unsqueeze(1)),
            )
            results[name] = TensorMap(Labels(["_"], columns[:1].unsqueeze(1)), [block])
        return results

    def restart(
        self, dataset_info: DatasetInfo, model_hypers: Optional[Dict[str, Any]] = None
    ) -> "PairModel":
        merged = self.dataset_info.union(dataset_info)
        model = self
        if merged.atomic_types != self.dataset_info.atomic_types:
            model = self._with_types(replace(self.dataset_info, atomic_types=merged.atomic_types))
        for name, target in merged.targets.items():
            if name not in model.last_layers:
                model._add_output(name, target)
        model.dataset_info = merged
        return model

    def _with_types(self, dataset_info: DatasetInfo) -> "PairModel":
        model = PairModel(self.hypers, dataset_info).to(self.embedding.weight)
        model.metadata = self.metadata
        places = [model.atomic_types.index(each) for each in self.atomic_types]
        tensors = model.state_dict()
        for name, old in self.state_dict().items():
            # what has grown has a row for each type
            rows = ... if old.shape == tensors[name].shape else places
            tensors[name][rows] = old
        return model

    def remove_target(self, name: str) -> None:
        for parts in (self.last_layers, self.additive, self.outputs, self.property_names):
            del parts[name]
        targets = {each: info for each, info in self.dataset_info.targets.items() if each != name}
        self.dataset_info = replace(self.dataset_info, targets=targets)

    def get_checkpoint(self) -> Dict[str, Any]:
        return {
            **checkpoint_header(type(self)),
            "model_ckpt_version": self.__checkpoint_version__,
            "model_hypers": self.hypers,
            "dataset_info": self.dataset_info.to_dict(),
            "model_state_dict": copy.deepcopy(self.state_dict()),
            "best_model_state_dict": None,
        }

    @classmethod
    def load_checkpoint(
        cls,
        checkpoint: Dict[str, Any],
        context: Literal["restart", "finetune", "export"],
    ) -> "PairModel":
        model = cls(checkpoint["model_hypers"], DatasetInfo.from_dict(checkpoint["dataset_info"]))
        state = checkpoint["model_state_dict"]
        if context != "restart" and checkpoint["best_model_state_dict"] is not None:
            state = checkpoint["best_model_state_dict"]
        model.to(state["embedding.weight"].dtype).load_state_dict(state)
        return model

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: Dict[str, Any]) -> Dict[str, Any]:
        return upgrade_by_version(checkpoint, "model_ckpt_version", cls.__checkpoint_version__, {})

    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        capabilities = ModelCapabilities(
            outputs=self.outputs,
            atomic_types=self.atomic_types,
            interaction_range=self.cutoff,
            length_unit=self.dataset_info.length_unit,
            supported_devices=self.__supported_devices__,
            dtype=str(self.embedding.weight.dtype).removeprefix("torch."),
        )
        if metadata is None:
            metadata = self.metadata
        return AtomisticModel(copy.deepcopy(self).eval(), metadata, capabilities)
