"""The loss: a weighted sum over targets and gradients, blind to labels that are missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mt_shared.contract import TargetInfo
from mt_shared.data import Batch
from mt_shared.engine.metrics import divided, is_by_atom
from mt_shared.engine.prediction import Prediction, part
from mt_shared.errors import OptionsError, did_you_mean
from mt_shared.options import GRADIENT_OF

# what users give for a target or a gradient: the name of a function, or that with its settings
Setting = str | dict[str, Any]
# the mean over the elements of predictions and labels
ElementLoss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LossTerm:
    """One summand. ``gradient`` is ``""`` for the values of the target themselves.

    :param by_atom: whether prediction and label are divided by the number of atoms
    """

    target: str
    gradient: str
    by_atom: bool
    weight: float
    function: ElementLoss


@dataclass(frozen=True)
class Loss:
    """The sum of the terms, each a mean over the elements that have a label."""

    terms: list[LossTerm]

    def __call__(self, predictions: dict[str, Prediction], batch: Batch) -> Tensor:
        # Masks only where labels are missing: to learn how many are left, a GPU is waited for.
        total = batch.vectors.new_zeros(())
        for term in self.terms:
            target = batch.targets[term.target]
            predicted = part(predictions[term.target], term.gradient)
            label = part(target, term.gradient)
            if term.by_atom:
                predicted, label = (divided(each, batch.num_atoms) for each in (predicted, label))
            if not target.complete[term.gradient]:
                found = torch.isfinite(label)
                predicted, label = predicted[found], label[found]
                if label.numel() == 0:
                    continue
            total = total + term.weight * term.function(predicted, label)
        return total


def loss_terms(
    spec: Setting, targets: dict[str, TargetInfo], per_structure: tuple[str, ...] = ()
) -> list[LossTerm]:
    """The summands that the option ``loss`` describes, in any of its short forms.

    :param per_structure: targets whose values are not divided by the number of atoms
    :raises OptionsError: for a target or a gradient that the data do not have
    """
    # a bare name for all targets is meant for their gradients too
    default, by_target = (spec, {}) if isinstance(spec, str) else ("mse", spec)
    for name in by_target:
        if name not in targets:
            raise OptionsError(
                f"architecture.training.loss names the target '{name}'"
                f"{did_you_mean(name, targets)}; the targets are {sorted(targets)}"
            )
    terms = []
    for name, target in targets.items():
        setting = by_target.get(name, default)
        gradients = _of_gradients(name, target, setting)
        by_atom = is_by_atom(name, target, per_structure)
        terms.append(_term(name, "", by_atom, setting))
        for gradient in target.gradients:
            # there are as many forces as atoms, but one strain gradient for a structure, which
            # grows with it as its energy does
            grows = by_atom and gradient != "positions"
            terms.append(_term(name, gradient, grows, gradients.get(gradient, default)))
    return terms


def _of_gradients(name: str, target: TargetInfo, setting: Setting) -> dict[str, Setting]:
    """What the options say of the gradients of a target, by ``positions`` and ``strain``."""
    if isinstance(setting, str):
        return {}
    by_word = {GRADIENT_OF[word]: setting[word] for word in GRADIENT_OF if word in setting}
    gradients = {**setting.get("gradients", {}), **by_word}
    for gradient in gradients:
        if gradient not in target.gradients:
            raise OptionsError(
                f"architecture.training.loss.{name} weighs the gradient '{gradient}', but the "
                f"target has {list(target.gradients) or 'no gradients'}; give it in training_set"
            )
    return gradients


def _term(target: str, gradient: str, by_atom: bool, setting: Setting) -> LossTerm:
    given = {"type": setting} if isinstance(setting, str) else setting
    # the schema leaves out what has a default: users write {weight: 10} and nothing more
    given = {"type": "mse", "weight": 1.0, "delta": 1.0, **given}
    huber = partial(F.huber_loss, delta=float(given["delta"]))
    functions: dict[str, ElementLoss] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": huber}
    return LossTerm(target, gradient, by_atom, float(given["weight"]), functions[given["type"]])
