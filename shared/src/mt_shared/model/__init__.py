"""The usual implementation of the model's contract, from features of atoms to an exported model.

Heads, baselines, repulsion of nuclei, growth by new types, low-rank updates, and derivatives.
"""

from mt_shared.model.base import BaseModel
from mt_shared.model.baseline import Baseline
from mt_shared.model.derivatives import edge_gradient, position_gradient, strain_gradient
from mt_shared.model.growth import Places
from mt_shared.model.heads import Head
from mt_shared.model.lora import add_updates, is_of_update, linear_layers
from mt_shared.model.outputs import collect
from mt_shared.model.shapes import check_shape
from mt_shared.model.species import SpeciesLinear
from mt_shared.model.zbl import ZBL

__all__ = [
    "ZBL",
    "BaseModel",
    "Baseline",
    "Head",
    "Places",
    "SpeciesLinear",
    "add_updates",
    "check_shape",
    "collect",
    "edge_gradient",
    "is_of_update",
    "linear_layers",
    "position_gradient",
    "strain_gradient",
]
