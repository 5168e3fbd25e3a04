"""The loss: a weighted sum over targets and gradients, blind to labels that are missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from mt_shared.contract import TargetInfo
from mt_shared.data import Batch
from mt_shared.engine.metrics import divided, is_by_atom
from mt_shared.engine.prediction import Prediction, part
from mt_shared.errors import OptionsError, did_you_mean
from mt_shared.options import GRADIENT_OF


@dataclass(frozen=True)
class LossTerm:
    """One summand. ``gradient`` is ``""`` for the values of the target themselves.

    :param by_atom: whether prediction and label are divided by the number of atoms
    """

    target: str
    gradient: str
    kind: str
    weight: float
    delta: float
    by_atom: bool

    def __call__(self, predicted: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """The mean over the elements, weighted."""
        functions: dict[str, Callable[[], torch.Tensor]] = {
            "mse": lambda: F.mse_loss(predicted, label),
            "mae": lambda: F.l1_loss(predicted, label),
            "huber": lambda: F.huber_loss(predicted, label, delta=self.delta),
        }
        return self.weight * functions[self.kind]()


def loss_terms(
    spec: str | dict[str, Any],
    targets: dict[str, TargetInfo],
    per_structure: tuple[str, ...] = (),
) -> list[LossTerm]:
    """The summands that the option ``loss`` describes, in any of its short forms.

    :param per_structure: targets whose values are not divided by the number of atoms
    :raises OptionsError: for a target or a gradient that the data do not have
    """
    for name in spec if isinstance(spec, dict) else ():
        if name not in targets:
            raise OptionsError(
                f"architecture.training.loss names the target '{name}'"
                f"{did_you_mean(name, targets)}; the targets are {sorted(targets)}"
            )
    terms = []
    for name, target in targets.items():
        # a bare name for all targets is meant for their gradients too
        chosen, default = (spec, spec) if isinstance(spec, str) else (spec.get(name, "mse"), "mse")
        settings = _settings(chosen)
        gradients = _gradient_settings(name, target, settings)
        by_atom = is_by_atom(name, target, per_structure)
        terms.append(_term(name, "", settings, by_atom))
        for gradient in target.gradients:
            settings = _settings(gradients.get(gradient, default))
            # there are as many forces as atoms, but one strain gradient for a structure, which
            # grows with it as its energy does
            terms.append(_term(name, gradient, settings, by_atom and gradient != "positions"))
    return terms


def _settings(option: str | dict[str, Any]) -> dict[str, Any]:
    return {"type": option} if isinstance(option, str) else option


def _gradient_settings(
    name: str, target: TargetInfo, settings: dict[str, Any]
) -> dict[str, str | dict[str, Any]]:
    """What the options say of the gradients of a target, by ``positions`` and ``strain``."""
    gradients = dict(settings.get("gradients", {}))
    gradients |= {GRADIENT_OF[word]: settings[word] for word in GRADIENT_OF if word in settings}
    for gradient in gradients:
        if gradient not in target.gradients:
            raise OptionsError(
                f"architecture.training.loss.{name} weighs the gradient '{gradient}', but the "
                f"target has {list(target.gradients) or 'no gradients'}; give it in training_set"
            )
    return gradients


def _term(target: str, gradient: str, settings: dict[str, Any], by_atom: bool) -> LossTerm:
    # the schema leaves out what has a default: users write {weight: 10} and nothing more
    weight, delta = float(settings.get("weight", 1.0)), float(settings.get("delta", 1.0))
    return LossTerm(target, gradient, settings.get("type", "mse"), weight, delta, by_atom)


@dataclass(frozen=True)
class Loss:
    """The sum of the terms, each a mean over the elements that have a label."""

    terms: list[LossTerm]

    def __call__(self, predictions: dict[str, Prediction], batch: Batch) -> torch.Tensor:
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
            total = total + term(predicted, label)
        return total
