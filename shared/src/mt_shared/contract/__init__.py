"""What mt-core and an architecture promise each other: small, and frozen early."""

from mt_shared.contract.checkpoint_keys import (
    BaseModelCheckpoint,
    Checkpoint,
    CheckpointHeader,
    EngineCheckpoint,
    EngineState,
    TrainingCheckpoint,
    check_keys,
)
from mt_shared.contract.checkpoints import (
    CodeInCheckpoint,
    checkpoint_header,
    misfit,
    read_checkpoint,
    upgrade_by_version,
    write_checkpoint,
)
from mt_shared.contract.files import whole_file
from mt_shared.contract.info import (
    Cartesian,
    DatasetInfo,
    Scalar,
    Spherical,
    Statistics,
    TargetInfo,
    TargetType,
    target_type_from_dict,
)
from mt_shared.contract.metadata import metadata_from_dict, metadata_to_dict
from mt_shared.contract.model import HypersType, ModelInterface
from mt_shared.contract.trainer import Architecture, DryRun, Interrupted, TrainerInterface

__all__ = [
    "Architecture",
    "BaseModelCheckpoint",
    "Cartesian",
    "Checkpoint",
    "CheckpointHeader",
    "CodeInCheckpoint",
    "DatasetInfo",
    "DryRun",
    "EngineCheckpoint",
    "EngineState",
    "HypersType",
    "Interrupted",
    "ModelInterface",
    "Scalar",
    "Spherical",
    "Statistics",
    "TargetInfo",
    "TargetType",
    "TrainerInterface",
    "TrainingCheckpoint",
    "check_keys",
    "checkpoint_header",
    "metadata_from_dict",
    "metadata_to_dict",
    "misfit",
    "read_checkpoint",
    "target_type_from_dict",
    "upgrade_by_version",
    "whole_file",
    "write_checkpoint",
]
