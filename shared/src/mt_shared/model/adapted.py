"""The shared trainer's protocol for any model of the contract, through its ``forward``.

TorchScript reads this file: old-style annotations. Letters of shapes: A atoms, E edges, N samples,
P sub-targets, S structures, T atomic types.
"""

from functools import partial
from typing import Any, ClassVar, Dict, List, Optional, Type

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)
from torch import Tensor

from mt_shared.contract import DatasetInfo, ModelInterface, TargetInfo, upgrade_by_version
from mt_shared.data import (
    Graph,
    add_input,
    refuse_coincident_atoms,
    requested_neighbor_lists,
    shortest_reach,
    starts_of,
)
from mt_shared.errors import ArchitectureError, DataError, UserError, is_out_of_memory
from mt_shared.model.adapted_upgrades import OF_AUTHOR, upgrade_states
from mt_shared.model.growth import places_of_types
from mt_shared.model.lora import merged_copy
from mt_shared.model.outputs import atom_samples, selection
from mt_shared.model.trainable import TrainableModel
from mt_shared.registry import place_in_source


class AdaptedModel(TrainableModel[Any]):
    """A model that only has ``forward(systems, outputs, selected_atoms)``, ready to be trained.

    What the model inside predicts is a number of order one: scale and composition of each target
    are fitted by the trainer and added here, in training and in the exported model alike. It is
    slower than a :class:`~mt_shared.model.base.BaseModel`, since each structure of each batch
    becomes a ``System``.

    :param model: the author's model, made from the hypers if there is none yet
    """

    model_class: ClassVar[Type[ModelInterface[Any]]]
    """The author's class; see :func:`adapted_class`."""

    reads_positions = True
    types: Tensor
    """(T,) int32, the atomic type of each species."""

    def __init__(
        self,
        hypers: Any,
        dataset_info: DatasetInfo,
        metadata: Optional[ModelMetadata] = None,
        model: Optional[ModelInterface[Any]] = None,
    ):
        super().__init__(hypers, dataset_info, metadata)
        self.takes_float64 = True
        if model is None:
            model = self.model_class(hypers, dataset_info)
        self.model = model
        self.metadata = model.metadata if metadata is None else metadata
        self.neighbor_lists = list(requested_neighbor_lists(model))
        unit = dataset_info.length_unit
        cutoffs = [each.engine_cutoff(unit) for each in self.neighbor_lists]
        # without a list there are no edges: two atoms in one place are refused
        self.cutoff = max([shortest_reach(unit), *cutoffs])
        types = torch.tensor(dataset_info.atomic_types, dtype=torch.int32)
        self.register_buffer("types", types, persistent=False)
        for name, target in dataset_info.targets.items():
            self.add_baseline(name, target)

    # ---- training

    def values(self, graph: Graph, targets: List[str]) -> Dict[str, Tensor]:
        """What the author's ``forward`` gives, (S, P) or (A, P).

        :raises ArchitectureError: it fails, or gives something else than was asked for
        """
        infos = self.dataset_info.targets
        outputs = {
            name: ModelOutput(
                unit=infos[name].unit, sample_kind=infos[name].sample_kind, description=""
            )
            for name in targets
        }
        method = f"forward of {self.model_class.__name__}"
        results = self._results(self._systems(graph), outputs, method)
        absent = [name for name in targets if name not in results]
        if absent:
            raise ArchitectureError(
                f"{method} was asked for {targets} and gave {sorted(results)}: "
                f"{', '.join(absent)} is missing"
            )
        return {
            name: _in_order(name, infos[name], results[name], graph, method) for name in targets
        }

    def _results(
        self, systems: List[System], outputs: Dict[str, ModelOutput], method: str
    ) -> Dict[str, TensorMap]:
        """What the author's ``forward`` gives; its failures are told with their line."""
        try:
            results: Dict[str, TensorMap] = self.model(systems, outputs, None)
        except UserError:
            raise
        except Exception as error:
            # memory that runs out is no fault of the author's
            if is_out_of_memory(error):
                raise
            place = place_in_source(error, self.model_class.__module__.partition(".")[0])
            where = "" if place is None else f" ({place})"
            raise ArchitectureError(
                f"{method} failed{where}: {type(error).__name__}: {error}"
            ) from error
        return results

    def _systems(self, graph: Graph) -> List[System]:
        """A system for each structure, with its neighbor lists and inputs.

        Positions, cells and edge vectors of the systems are slices of those of the graph, so that
        what is differentiated by these is differentiated by all that the model reads.
        """
        counts = graph.num_atoms.tolist()
        owners = graph.system[graph.centers]
        edges_of_systems = torch.bincount(owners, minlength=len(counts)).tolist()
        starts = starts_of(graph.num_atoms)[owners]
        ends = torch.stack([graph.centers, graph.neighbors], dim=1) - starts.unsqueeze(1)
        samples = torch.cat([ends, graph.shifts], dim=1).to(torch.int32)
        systems = []
        parts = zip(
            self.types[graph.species].split(counts),
            graph.positions.split(counts),
            graph.cells,
            graph.pbc,
            samples.split(edges_of_systems),
            graph.vectors.split(edges_of_systems),
        )
        for number, (types, positions, cell, pbc, pairs, vectors) in enumerate(parts):
            system = System(types=types, positions=positions, cell=cell, pbc=pbc)
            for options in self.neighbor_lists:
                block = _neighbor_block(options, self.dataset_info.length_unit, pairs, vectors)
                system.add_neighbor_list(options, block)
            for name, info in self.dataset_info.inputs.items():
                of_systems = graph.inputs[name].split(counts if info.per_atom else 1)
                kind, unit = info.sample_kind, info.unit
                add_input(system, name, of_systems[number], kind, info.type, unit)
            systems.append(system)
        return systems

    # ---- prediction

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """What the author's ``forward`` gives, with scale and composition."""
        dtype = systems[0].positions.dtype
        refuse_coincident_atoms(systems)
        in_own = [system.to(self.no_numbers.dtype) for system in systems]
        results = self.model(in_own, outputs, selected_atoms)
        atoms = atom_samples(systems)
        types: List[Tensor] = []
        counts: List[int] = []
        for system in systems:
            types.append(system.types)
            counts.append(len(system))
        species = self.type_to_species[torch.cat(types).to(torch.int64)]
        num_atoms = torch.tensor(counts, device=species.device)
        starts = starts_of(num_atoms)
        selected = selection(atoms, selected_atoms)
        if selected is None:
            selected = torch.arange(len(species), device=species.device)
        for name, baseline in self.baselines.items():
            if name in results:
                block = results[name].block()
                # rows of the block are in an order of the author's
                rows = block.samples.values.to(torch.int64)
                nothing = block.values.new_zeros((len(species), block.values.size(1)))
                composition = baseline(nothing, species)
                if name in self.means:
                    composition = composition / num_atoms[atoms[:, 0].to(torch.int64)].unsqueeze(1)
                values = block.values.to(torch.float64) * baseline.scale
                if "atom" in block.samples.names:
                    values = values + composition[starts[rows[:, 0]] + rows[:, 1]]
                else:
                    totals = composition.new_zeros((len(systems), composition.size(1)))
                    owners = atoms[selected, 0].to(torch.int64)
                    totals = totals.index_add(0, owners, composition[selected])
                    values = values + totals[rows[:, 0]]
                whole = TensorBlock(
                    values=values.to(dtype),
                    samples=block.samples,
                    components=block.components,
                    properties=block.properties,
                )
                results[name] = TensorMap(results[name].keys, [whole])
        return results

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """Those of the author's model."""
        return self.model.supported_outputs()

    # ---- other data

    def restart(self, dataset_info: DatasetInfo) -> "AdaptedModel":
        """The author's model as its own ``restart`` makes it; baselines of old targets are kept."""
        merged = self.dataset_info.union(dataset_info)
        try:
            inner = self.model.restart(dataset_info)
        except UserError:
            raise
        # what models of metatrain refuse data with
        except ValueError as error:
            learner = self.model_class.__name__
            raise DataError(f"{learner} cannot learn these data: {error}") from error
        if merged == self.dataset_info:
            self.model = inner
            return self
        model = type(self)(self.hypers, merged, self.metadata, inner)
        model.to(device=self.types.device, dtype=self.dtype)
        places = places_of_types(
            list(self.dataset_info.atomic_types), list(merged.atomic_types)
        ).to(self.types.device)
        for name, old in self.baselines.items():
            new: Any = model.baselines[name]
            new.composition[places] = old.composition
            new.scale.copy_(old.scale)
        return model

    def remove_target(self, name: str) -> None:
        """As the author's model does it."""
        self.model.remove_target(name)
        self.forget_baseline(name)
        self.dataset_info = self.dataset_info.without(name)

    # ---- checkpoints and export

    def get_checkpoint(self) -> Dict[str, Any]:
        """That of the author's model, and beside it the state with the baselines."""
        # of a copy: the author's may hand out the parameters themselves
        of_author = merged_copy(self).model.get_checkpoint()
        return {**super().get_checkpoint(), OF_AUTHOR: of_author}

    @classmethod
    def load_checkpoint(cls, checkpoint: Dict[str, Any], context: str) -> "AdaptedModel":
        """The author's model as its own ``load_checkpoint`` makes it, in the last or best state."""
        inner = cls.model_class.load_checkpoint(checkpoint[OF_AUTHOR], context)
        info = DatasetInfo.from_dict(checkpoint["dataset_info"])
        model = cls(checkpoint["model_hypers"], info, None, inner)
        # the author's may leave that to the trainer
        model.to(dtype=getattr(torch, checkpoint["dtype"]))
        model.load_saved_state(checkpoint, context)
        return model

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: Dict[str, Any]) -> Dict[str, Any]:
        """By the author's, which sees its own checkpoint with each of the saved states in turn."""
        # the author's does all steps at once: it leaves nothing to do for those after the first
        upgrade = partial(upgrade_states, upgrade=cls.model_class.upgrade_checkpoint)
        version = cls.__checkpoint_version__
        upgrades = dict.fromkeys(range(version), upgrade)
        return upgrade_by_version(checkpoint, cls.version_key, version, upgrades)

    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """The author's export, with scale and composition around it."""
        plain = merged_copy(self)
        exported = plain.model.export(metadata)
        plain.model = exported.module
        return AtomisticModel(plain.eval(), exported.metadata(), exported.capabilities())


def adapted_class(model_class: Type[ModelInterface[Any]]) -> Type[AdaptedModel]:
    """The :class:`AdaptedModel` of an author's class, which stands for it in every way."""
    attributes = {
        name: getattr(model_class, name)
        for name in (
            "__module__",
            "__checkpoint_version__",
            "__supported_devices__",
            "__supported_dtypes__",
            "__default_metadata__",
        )
    }
    members = {"model_class": model_class, **attributes}
    return type(f"Adapted{model_class.__name__}", (AdaptedModel,), members)


def _in_order(
    name: str, target: TargetInfo, result: TensorMap, graph: Graph, method: str
) -> Tensor:
    """Values (S, P) or (A, P) of one target in the order of the graph, whatever theirs is.

    :param method: what has given them
    """
    names = ["system", "atom"] if target.per_atom else ["system"]
    shape = (len(graph.species if target.per_atom else graph.num_atoms), target.num_subtargets)
    blocks = result.blocks()
    found = [(block.samples.names, tuple(block.values.shape)) for block in blocks]
    if found != [(names, shape)]:
        said = "; ".join(f"a block of {samples} {size}" for samples, size in found) or "no block"
        raise ArchitectureError(
            f"{method} gave of '{name}' {said}; expected one block of {names} {shape}"
        )
    rows = blocks[0].samples.values.to(torch.int64)
    places = rows[:, 0]
    if target.per_atom:
        places = starts_of(graph.num_atoms)[places] + rows[:, 1]
    values: Tensor = blocks[0].values
    return values[torch.argsort(places)]


def _neighbor_block(
    options: NeighborListOptions, length_unit: str, samples: Tensor, vectors: Tensor
) -> TensorBlock:
    """Of all edges of a structure, the list that was asked for.

    :param samples: (E, 5) int32, both atoms and the shift
    """
    chosen = (vectors.detach() ** 2).sum(1) < options.engine_cutoff(length_unit) ** 2
    if not options.full_list:
        # each pair once: the end with the smaller index, or of an image the positive shift
        order = samples[:, 1] - samples[:, 0]
        for axis in (2, 3, 4):
            order = torch.where(order == 0, samples[:, axis], order)
        chosen = chosen & (order > 0)
    names = ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]
    device = vectors.device
    return TensorBlock(
        values=vectors[chosen].reshape(-1, 3, 1),
        samples=Labels(names, samples[chosen], assume_unique=True),
        components=[Labels(["xyz"], torch.arange(3, device=device).reshape(-1, 1))],
        properties=Labels(["distance"], torch.zeros((1, 1), dtype=torch.int32, device=device)),
    )
