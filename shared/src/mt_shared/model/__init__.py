"""The usual implementation of the model's contract, from features of atoms to an exported model.

Heads, baselines, repulsion of nuclei, growth by new types, low-rank updates, and derivatives.
"""

from mt_shared.model.adapted import AdaptedModel, adapted_class
from mt_shared.model.base import BaseModel
from mt_shared.model.baseline import Baseline
from mt_shared.model.derivatives import differentiable, energy_gradients
from mt_shared.model.elements import ElementModules
from mt_shared.model.growth import Places
from mt_shared.model.heads import Head
from mt_shared.model.lora import add_updates, is_of_update, linear_layers
from mt_shared.model.outputs import collect, shares_of_mean, sum_over_atoms
from mt_shared.model.renaming import rename_parameters
from mt_shared.model.shapes import check_shape
from mt_shared.model.species import SpeciesLinear, sort_by_species
from mt_shared.model.trainable import TrainableModel
from mt_shared.model.zbl import ZBL

__all__ = [
    "ZBL",
    "AdaptedModel",
    "BaseModel",
    "Baseline",
    "ElementModules",
    "Head",
    "Places",
    "SpeciesLinear",
    "TrainableModel",
    "adapted_class",
    "add_updates",
    "check_shape",
    "collect",
    "differentiable",
    "energy_gradients",
    "is_of_update",
    "linear_layers",
    "rename_parameters",
    "shares_of_mean",
    "sort_by_species",
    "sum_over_atoms",
]
