"""The model's half of the contract. TorchScript reads this file: old-style annotations."""

from abc import ABCMeta, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Dict, Generic, List, Optional, TypeVar

import torch
from metatensor.torch import Labels, TensorMap
from metatomic.torch import AtomisticModel, ModelMetadata, ModelOutput, System

from mt_shared.contract.checkpoints import Versioned, write_checkpoint
from mt_shared.contract.info import DatasetInfo
from mt_shared.errors import ArchitectureError

HypersType = TypeVar("HypersType")
"""What an author calls the hypers: a plain dictionary, or a ``TypedDict`` that names its keys."""


class ModelInterface(Versioned, torch.nn.Module, Generic[HypersType], metaclass=ABCMeta):
    """A model of atoms that the dispatcher can train, restart, fine-tune and export.

    The dispatcher makes a new one by ``Model(hypers, dataset_info)``.

    :param hypers: the section ``model`` of the architecture, complete and checked
    :param metadata: of the exported model; by default ``__default_metadata__``
    """

    version_key = "model_version"
    __supported_devices__: ClassVar[List[str]]
    """Such as ``["cuda", "cpu"]``, in order of preference."""
    __supported_dtypes__: ClassVar[List[torch.dtype]]
    """In order of preference."""
    __default_metadata__: ClassVar[ModelMetadata]
    """References under ``implementation`` and ``architecture``."""

    def __init__(
        self,
        hypers: HypersType,
        dataset_info: DatasetInfo,
        metadata: Optional[ModelMetadata] = None,
    ):
        super().__init__()
        self.hypers = hypers
        self.dataset_info = dataset_info
        self.metadata = self.__default_metadata__ if metadata is None else metadata

    @abstractmethod
    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predict what ``outputs`` asks for, for all or the selected atoms (metatomic)."""

    @abstractmethod
    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """Each output that :meth:`forward` can give, with its unit and kind of samples."""

    def requested_inputs(self) -> Dict[str, ModelOutput]:
        """The inputs that :meth:`forward` reads of its systems (metatomic); by default none."""
        return {}

    @abstractmethod
    def restart(self, dataset_info: DatasetInfo) -> "ModelInterface[HypersType]":
        """Get ready for other data; with an equal ``DatasetInfo`` nothing changes.

        :raises DataError: when the model cannot be extended to these data
        """

    def remove_target(self, name: str) -> None:
        """Forget a target: its outputs, and all that is for it alone.

        :raises ArchitectureError: this model has no way to do so
        """
        raise ArchitectureError(
            f"{type(self).__name__} cannot remove the target '{name}': it does not define "
            "remove_target"
        )

    @abstractmethod
    def get_checkpoint(self) -> Dict[str, Any]:
        """Everything that rebuilds this model: tensors and plain values only.

        :class:`~mt_shared.contract.checkpoint_keys.Checkpoint` says which keys others read.
        """

    def save_checkpoint(self, path: Path) -> None:
        """Write :meth:`get_checkpoint` to a file, whole or not at all."""
        write_checkpoint(self.get_checkpoint(), path)

    @classmethod
    @abstractmethod
    def load_checkpoint(
        cls, checkpoint: Dict[str, Any], context: str
    ) -> "ModelInterface[HypersType]":
        """The model in a checkpoint of the current version.

        :param context: ``restart`` (the last state), ``finetune`` or ``export`` (the best one)
        """

    @abstractmethod
    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """The model as every metatomic engine runs it; this model stays as it is."""
