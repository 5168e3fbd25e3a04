"""What the shared trainer asks of a model. TorchScript reads this file: old-style annotations.

Letters of shapes: A atoms, P sub-targets, S structures.
"""

import inspect
from abc import abstractmethod
from typing import Any, ClassVar, Dict, List, Optional

import torch
from metatomic.torch import ModelMetadata
from torch import Tensor

from mt_shared.contract import DatasetInfo, HypersType, ModelInterface
from mt_shared.data import Graph
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
        """The dtype of the parameters."""
        return next(self.parameters()).dtype

    @abstractmethod
    def values(self, graph: Graph, targets: List[str]) -> Dict[str, Tensor]:
        """Raw values of targets, before scale and composition: (S, P), or (A, P) of each atom."""
