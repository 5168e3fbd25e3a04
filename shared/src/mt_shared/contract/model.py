"""The model's half of the contract. TorchScript reads this file: old-style annotations."""

from abc import ABCMeta, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorMap
from metatomic.torch import AtomisticModel, ModelMetadata, ModelOutput, System

from mt_shared.contract.checkpoints import Versioned
from mt_shared.contract.info import DatasetInfo


class ModelInterface(Versioned, torch.nn.Module, metaclass=ABCMeta):
    """A model of atoms that the dispatcher can train, restart, fine-tune and export.

    :param hypers: the section ``model`` of the architecture, complete and checked
    """

    version_key = "model_version"
    __supported_devices__: ClassVar[List[str]]
    """Such as ``["cuda", "cpu"]``, in order of preference."""
    __supported_dtypes__: ClassVar[List[torch.dtype]]
    """In order of preference."""
    __default_metadata__: ClassVar[ModelMetadata]
    """References under ``implementation`` and ``architecture``."""

    def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
        super().__init__()
        self.hypers = hypers
        self.dataset_info = dataset_info

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

    @abstractmethod
    def restart(self, dataset_info: DatasetInfo) -> "ModelInterface":
        """Get ready for other data; with an equal ``DatasetInfo`` nothing changes.

        :raises DataError: when the model cannot be extended to these data
        """

    @abstractmethod
    def get_checkpoint(self) -> Dict[str, Any]:
        """Everything that rebuilds this model: tensors and plain values only."""

    @abstractmethod
    def save_checkpoint(self, path: Path) -> None:
        """Write :meth:`get_checkpoint` to a file, whole or not at all."""

    @classmethod
    @abstractmethod
    def load_checkpoint(cls, checkpoint: Dict[str, Any], context: str) -> "ModelInterface":
        """The model in a checkpoint of the current version.

        :param context: ``restart`` (the last state), ``finetune`` or ``export`` (the best one)
        """

    @abstractmethod
    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """The model as every metatomic engine runs it; this model stays as it is."""
