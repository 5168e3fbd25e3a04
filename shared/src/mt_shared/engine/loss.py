"""The loss: a weighted sum over targets and gradients, blind to labels that are missing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from mt_shared.contract import TargetInfo
from mt_shared.data import Batch
from mt_shared.engine.metrics import divided
from mt_shared.engine.prediction import Prediction, part
from mt_shared.errors import OptionsError, UserError, did_you_mean
from mt_shared.options import DEFAULT_LOSS, GRADIENT_OF, TERM_KEYS, LossEntry, find_loss

# what users give for a target or a gradient: the name of a loss, or that with its settings
Setting = str | dict[str, Any]
# the mean over the elements of predictions and labels, which have one shape; the result has none
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
        total = batch.graph.vectors.new_zeros(())
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


def loss_terms(spec: Setting, targets: dict[str, TargetInfo]) -> list[LossTerm]:
    """The summands that the option ``loss`` describes, in any of its short forms.

    :raises OptionsError: for a target or a gradient that the data do not have, or if no term has a
        weight
    :raises UserError: for a loss that its package cannot make
    """
    # a bare name for all targets is meant for their gradients too
    default, by_target = (spec, {}) if isinstance(spec, str) else (DEFAULT_LOSS, spec)
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
        terms.append(_term(name, "", target.by_atom, setting))
        for gradient in target.gradients:
            # there are as many forces as atoms, but one strain gradient for a structure, which
            # grows with it as its energy does
            grows = target.by_atom and gradient != "positions"
            terms.append(_term(name, gradient, grows, gradients.get(gradient, default)))
    if not any(term.weight for term in terms):
        raise OptionsError(
            "architecture.training.loss gives every term the weight 0, and nothing would be learnt"
        )
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
    given = {"type": DEFAULT_LOSS, "weight": 1.0, **given}
    settings = {key: value for key, value in given.items() if key not in TERM_KEYS}
    function = make_element_loss(given["type"], settings)
    return LossTerm(target, gradient, by_atom, float(given["weight"]), function)


def make_element_loss(name: str, settings: dict[str, Any]) -> ElementLoss:
    """An installed loss with these settings.

    :raises UserError: it is not installed, cannot be imported or made, gives no scalar, or one
        that has no gradient
    """
    entry = find_loss(name)
    full_name = f"the loss '{name}' ({entry.distribution} {entry.version})"
    make = _imported(entry, full_name)
    try:
        function: ElementLoss = make(**settings)
        # as predictions are: not a leaf, which nobody may write to
        predicted = torch.tensor([1.0, 2.0], requires_grad=True).clone()
        found = function(predicted, torch.zeros(2))
    except Exception as error:
        raise UserError(
            f"{full_name} fails with the settings {settings}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, Tensor) or found.shape != ():
        kind = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else found
        raise UserError(
            f"{full_name} gives {kind}, expected the mean over the elements, a tensor of shape (); "
            "tell its maintainers"
        )
    if not found.requires_grad:
        raise UserError(
            f"{full_name} gives a tensor without a gradient, so that nothing would train; expected "
            "one that autograd derives by the predictions (no detach, item or numpy on its way); "
            "tell its maintainers"
        )
    return function


def _imported(entry: LossEntry, full_name: str) -> Callable[..., ElementLoss]:
    """What makes the loss of an entry: the only place where a package of losses is imported."""
    module, _, attribute = entry.value.partition(":")
    try:
        make: Callable[..., ElementLoss] = attrgetter(attribute)(importlib.import_module(module))
    # Whatever a stranger's package raises is its own fault; SystemExit would end us without a word.
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{full_name} cannot be imported from {entry.value}: {type(error).__name__}: {error}. "
            f"Tell its maintainers; the traceback is shown by: python -c 'import {module}'"
        ) from error
    return make
