"""How a model is saved, built again, and extended by atomic types. TorchScript reads this file."""

import copy
from dataclasses import replace
from typing import Any, Dict, List, Optional, Tuple, TypeVar

import torch
from metatomic.torch import ModelMetadata

from mt_shared.contract import (
    BaseModelCheckpoint,
    DatasetInfo,
    TargetInfo,
    check_keys,
    metadata_from_dict,
    metadata_to_dict,
)
from mt_shared.errors import DataError
from mt_shared.model.growth import Places, places_of_types, take_over
from mt_shared.model.trainable import TrainableModel

Model = TypeVar("Model", bound="PersistentModel")


class PersistentModel(TrainableModel[Dict[str, Any]]):
    """A model that outlives its training: what can be said of it without knowing what it predicts.

    A concrete class is made from its hypers and ``DatasetInfo`` alone.
    """

    def __init__(
        self,
        hypers: Dict[str, Any],
        dataset_info: DatasetInfo,
        metadata: Optional[ModelMetadata] = None,
    ):
        super().__init__(hypers, dataset_info, metadata)
        self.atomic_types: List[int] = list(dataset_info.atomic_types)
        # In the order in which the model learnt them. A checkpoint is built again in the same
        # steps, since an architecture may order its numbers by them.
        self.type_groups: List[List[int]] = [self.atomic_types]
        self.num_species = len(self.atomic_types)

    def add_targets(self, targets: Dict[str, TargetInfo]) -> None:
        """Build what each target needs that the model does not have yet."""
        raise NotImplementedError

    # ---- other data

    def restart(self: Model, dataset_info: DatasetInfo) -> Model:
        """Heads for new targets; for new atomic types, a larger model with the numbers of this one.

        What the larger model predicts for structures of the old types is what this one predicts.
        """
        merged = self.dataset_info.union(dataset_info)
        if merged.inputs != self.dataset_info.inputs:
            raise DataError(
                f"the data have the inputs {sorted(dataset_info.inputs)}, and the model was made "
                f"for {sorted(self.dataset_info.inputs)}; train a new model"
            )
        if merged.atomic_types != self.dataset_info.atomic_types:
            return self._extended(merged.atomic_types).restart(dataset_info)
        self.dataset_info = merged
        self.add_targets(merged.targets)
        return self

    def _extended(self: Model, atomic_types: Tuple[int, ...]) -> Model:
        """A model of these types, a superset of its own, with the numbers of this one."""
        make: Any = type(self)
        info = replace(self.dataset_info, atomic_types=atomic_types)
        model: Model = make(copy.deepcopy(self.hypers), info)
        model.metadata = self.metadata
        model.to(dtype=self.dtype, device=next(self.parameters()).device)
        new_types = [number for number in atomic_types if number not in self.atomic_types]
        model.type_groups = [*self.type_groups, new_types]
        take_over(model, self, model.grown_axes(self))
        return model

    def grown_axes(self, old: Any) -> Places:
        """Hook: where the entries of axes that depend on the number of types went.

        The base knows the axes with one entry a type. ``old`` is the smaller model.
        """
        places = places_of_types(old.atomic_types, self.atomic_types)
        return {(old.num_species, self.num_species): places}

    # ---- checkpoints

    def get_checkpoint(self) -> Dict[str, Any]:
        """A :class:`~mt_shared.contract.checkpoint_keys.BaseModelCheckpoint`."""
        return {
            **super().get_checkpoint(),
            "metadata": metadata_to_dict(self.metadata),
            "type_groups": copy.deepcopy(self.type_groups),
        }

    @classmethod
    def load_checkpoint(cls: "type[Model]", checkpoint: Dict[str, Any], context: str) -> Model:
        """The last state for ``restart``, the best one for ``finetune`` and ``export``."""
        check_keys(checkpoint, BaseModelCheckpoint, f"get_checkpoint of {cls.__name__}")
        make: Any = cls
        first, *later = checkpoint["type_groups"]
        info = DatasetInfo.from_dict(checkpoint["dataset_info"])
        model: Model = make(checkpoint["model_hypers"], replace(info, atomic_types=tuple(first)))
        # before it is extended, as when it learnt these types: a model may compute numbers then
        model.to(dtype=getattr(torch, checkpoint["dtype"]))
        for group in later:
            model = model._extended(tuple(sorted([*model.atomic_types, *group])))
        model.metadata = metadata_from_dict(checkpoint["metadata"])
        model.load_saved_state(checkpoint, context)
        return model
