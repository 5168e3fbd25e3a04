"""What the shared trainer asks of a model. TorchScript reads this file: old-style annotations.

Letters of shapes: A atoms, P sub-targets, S structures.
"""

import copy
import inspect
from abc import abstractmethod
from typing import Any, ClassVar, Dict, List, Optional

import torch
from metatomic.torch import ModelMetadata
from torch import Tensor

from mt_shared.contract import (
    DatasetInfo,
    HypersType,
    ModelInterface,
    TargetInfo,
    checkpoint_header,
    misfit,
)
from mt_shared.data import Graph
from mt_shared.errors import CheckpointError, DataError
from mt_shared.model.baseline import Baseline
from mt_shared.model.lora import add_saved_updates, merged_state
from mt_shared.model.zbl import ZBL


class TrainableModel(ModelInterface[HypersType]):
    """A model that gives predictions for a flat batch, which the shared trainer differentiates.

    :class:`~mt_shared.model.base.BaseModel` is one; any other :class:`ModelInterface` becomes one
    by :func:`~mt_shared.model.adapted.adapted_class`, through its ``forward``.

    Beside :meth:`values` it has the attributes below and these three, which TorchScript wants
    without annotations:

    - ``baselines``, by target the :class:`~mt_shared.model.baseline.Baseline` that :meth:`forward`
      adds to the values: the trainer fits it, and takes it off the labels,
    - ``heads``, by target the layers that are for it alone, where there are any,
    - ``repulsion``, the :class:`~mt_shared.model.zbl.ZBL` that :meth:`forward` adds to energies, or
      None.
    """

    __jit_unused_properties__: ClassVar[List[str]] = ["dtype"]

    reads_positions: bool = False
    """Whether the model reads ``positions``, ``cells``, ``pbc`` or ``shifts`` of a graph, by which
    energies are then differentiated as well as by the edge vectors."""
    reads_reverse: bool = False
    """Whether the model reads ``reverse`` of a graph."""
    cutoff: float
    """Radius of the neighborhoods in the graph, in the unit of length of the data."""
    repelled: Dict[str, float]
    """Energies to which the repulsion is added, and the factor that brings it to their unit."""
    no_numbers: Tensor
    """(0,) in the dtype of the model."""
    type_to_species: Tensor
    """(max type + 1,) int64, the species of each atomic type."""
    takes_float64: bool
    """Whether :meth:`forward` takes systems in float64 as well, in which case its values are in
    float64 too, whatever the dtype of the network."""
    means: List[str]
    """Targets of structures that are the mean over their atoms; the others are their sum."""

    def __init__(
        self,
        hypers: HypersType,
        dataset_info: DatasetInfo,
        metadata: Optional[ModelMetadata] = None,
    ):
        super().__init__(hypers, dataset_info, metadata)
        # TorchScript sees the attributes of an instance, not those of its class
        self.reads_positions = bool(type(self).reads_positions)
        self.reads_reverse = bool(type(self).reads_reverse)
        self.heads = torch.nn.ModuleDict()
        self.baselines = torch.nn.ModuleDict()
        self.repulsion: Optional[ZBL] = None
        self.repelled = {}
        self.means = []
        self.takes_float64 = False
        # of no numbers, and before all other buffers: whoever wraps a model without parameters
        # (metatomic's SymmetrizedModel) takes dtype and device of the first one
        supported, usual = self.__supported_dtypes__, torch.get_default_dtype()
        no_numbers = torch.zeros(0, dtype=usual if usual in supported else supported[0])
        self.register_buffer("no_numbers", no_numbers, persistent=False)
        # a table by atomic number: one look-up for all atoms, on whatever device they are
        atomic_types = list(dataset_info.atomic_types)
        type_to_species = torch.zeros(max(atomic_types) + 1, dtype=torch.int64)
        type_to_species[atomic_types] = torch.arange(len(atomic_types))
        self.register_buffer("type_to_species", type_to_species, persistent=False)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """TorchScript reads the annotations of the concrete class alone: give it the inherited."""
        # without them it could not tell the type of an empty dictionary
        super().__init_subclass__(**kwargs)
        annotations: Dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            annotations.update(inspect.get_annotations(base))
        cls.__annotations__ = annotations

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters, where there are any."""
        return next(self.parameters(), self.no_numbers).dtype

    def add_baseline(self, name: str, target: TargetInfo) -> None:
        """Make the baseline of a target, which changes nothing before it is fitted.

        :raises DataError: the target is no scalar
        """
        if not target.is_scalar:
            raise DataError(
                f"target '{name}' is {target.type.to_dict()}, but the shared trainer fits scalars "
                "only"
            )
        num_species = len(self.dataset_info.atomic_types)
        self.baselines[name] = Baseline(num_species, target.num_subtargets)
        if target.is_mean:
            self.means.append(name)

    def forget_baseline(self, name: str) -> None:
        """Undo :meth:`add_baseline`."""
        del self.baselines[name]
        self.means = [each for each in self.means if each != name]

    @abstractmethod
    def values(self, graph: Graph, targets: List[str]) -> Dict[str, Tensor]:
        """Raw values of targets, before scale and composition: (S, P), or (A, P) of each atom."""

    # ---- checkpoints

    def get_checkpoint(self) -> Dict[str, Any]:
        """Tensors and plain values; ``best_state`` is None where the state is the best one."""
        return {
            **checkpoint_header(type(self)),
            "model_version": self.__checkpoint_version__,
            "model_hypers": copy.deepcopy(self.hypers),
            "dataset_info": self.dataset_info.to_dict(),
            "dtype": str(self.dtype).removeprefix("torch."),
            "state": {name: tensor.detach().clone() for name, tensor in self.state_dict().items()},
            "best_state": None,
        }

    def load_saved_state(self, checkpoint: Dict[str, Any], context: str) -> None:
        """Take the numbers of a checkpoint: of the last state for ``restart``, else the best one.

        :raises CheckpointError: the state is that of another model
        """
        best = checkpoint["best_state"] if context != "restart" else None
        state = checkpoint["state"] if best is None else best
        # A restart goes on with the updates it had; everybody else gets a plain model.
        if context == "restart":
            add_saved_updates(self, state)
        else:
            state = merged_state(state)
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise CheckpointError(
                f"the checkpoint does not fit the model {type(self).__name__}, although both say "
                f"version {self.__checkpoint_version__}. {misfit(checkpoint)}. "
                f"{' '.join(str(error).split())[:300]}"
            ) from error
