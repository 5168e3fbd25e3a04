"""The usual implementation of the trainer's contract: minibatches, gradients, epochs.

:class:`Trainer` names the steps; each is in a module of its own beside it. ``metrics`` is the one
place that says what an error is, for everybody else too.
"""

from mt_shared.engine.baselines import (
    Scale,
    fit_composition,
    fit_scale,
    fixed_composition,
    normalizations,
    set_baseline,
    store_for,
)
from mt_shared.engine.finetuning import differences, inheritance_fault, trained_info
from mt_shared.engine.loss import Loss, LossTerm, loss_terms, make_element_loss
from mt_shared.engine.metrics import EpochErrors, ErrorSums, Metric, metrics_of
from mt_shared.engine.optimization import Adam, Optimizer, TorchOptimizer
from mt_shared.engine.prediction import Prediction, predict
from mt_shared.engine.repulsion import without_repulsion
from mt_shared.engine.rotations import random_rotations, rotate
from mt_shared.engine.signals import StopRequest
from mt_shared.engine.state import write_rotating
from mt_shared.engine.trainer import Trainer

__all__ = [
    "Adam",
    "EpochErrors",
    "ErrorSums",
    "Loss",
    "LossTerm",
    "Metric",
    "Optimizer",
    "Prediction",
    "Scale",
    "StopRequest",
    "TorchOptimizer",
    "Trainer",
    "differences",
    "fit_composition",
    "fit_scale",
    "fixed_composition",
    "inheritance_fault",
    "loss_terms",
    "make_element_loss",
    "metrics_of",
    "normalizations",
    "predict",
    "random_rotations",
    "rotate",
    "set_baseline",
    "store_for",
    "trained_info",
    "without_repulsion",
    "write_rotating",
]
