"""What mt-core and an architecture promise each other: small, and frozen early."""

from mt_shared.contract.checkpoints import (
    checkpoint_header,
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
    TargetInfo,
    TargetType,
    target_type_from_dict,
)
from mt_shared.contract.metadata import metadata_from_dict, metadata_to_dict
from mt_shared.contract.model import ModelInterface
from mt_shared.contract.trainer import Architecture, DryRun, Interrupted, TrainerInterface

__all__ = [
    "Architecture",
    "Cartesian",
    "DatasetInfo",
    "DryRun",
    "Interrupted",
    "ModelInterface",
    "Scalar",
    "Spherical",
    "TargetInfo",
    "TargetType",
    "TrainerInterface",
    "checkpoint_header",
    "metadata_from_dict",
    "metadata_to_dict",
    "read_checkpoint",
    "target_type_from_dict",
    "upgrade_by_version",
    "whole_file",
    "write_checkpoint",
]
