"""The loss: a weighted sum over targets and gradients, blind to labels that are missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from mt_shared.contract import TargetInfo
from mt_shared.data import Batch
from mt_shared.engine.prediction import Prediction
from mt_shared.errors import OptionsError, did_you_mean

GRADIENT_OF = {"forces": "positions", "stress": "strain", "virial": "strain"}


@dataclass(frozen=True)
class LossTerm:
    """One summand. ``gradient`` is ``""`` for the values of the target themselves."""

    target: str
    gradient: str
    kind: str
    weight: float
    delta: float

    def __call__(self, predicted: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """The mean over the elements, weighted."""
        functions: dict[str, Callable[[], torch.Tensor]] = {
            "mse": lambda: F.mse_loss(predicted, label),
            "mae": lambda: F.l1_loss(predicted, label),
            "huber": lambda: F.huber_loss(predicted, label, delta=self.delta),
        }
        return self.weight * functions[self.kind]()


def loss_terms(spec: str | dict[str, Any], targets: dict[str, TargetInfo]) -> list[LossTerm]:
    """The summands that the option ``loss`` describes, in any of its short forms.

    :raises OptionsError: for a target or a gradient that the data do not have
    """
    if isinstance(spec, dict):
        for name in spec:
            if name not in targets:
                raise OptionsError(
                    f"architecture.training.loss names the target '{name}'"
                    f"{did_you_mean(name, targets)}; the targets are {sorted(targets)}"
                )
    terms = []
    for name, target in targets.items():
        chosen = spec if isinstance(spec, str) else spec.get(name, "mse")
        # a bare name for all targets is meant for their gradients too
        default = spec if isinstance(spec, str) else "mse"
        terms += _terms_of(name, target, chosen, default)
    return terms


def _terms_of(
    name: str, target: TargetInfo, chosen: str | dict[str, Any], default: str
) -> list[LossTerm]:
    settings: dict[str, Any] = {"type": chosen} if isinstance(chosen, str) else dict(chosen)
    gradients: dict[str, Any] = dict(settings.pop("gradients", {}))
    for word, gradient in GRADIENT_OF.items():
        if word in settings:
            gradients[gradient] = settings.pop(word)
    for gradient in gradients:
        if gradient not in target.gradients:
            raise OptionsError(
                f"architecture.training.loss.{name} weighs the gradient '{gradient}', but the "
                f"target has {list(target.gradients) or 'no gradients'}; give it in training_set"
            )
    terms = [_term(name, "", settings)]
    for gradient in target.gradients:
        terms.append(_term(name, gradient, gradients.get(gradient, default)))
    return terms


def _term(target: str, gradient: str, settings: str | dict[str, Any]) -> LossTerm:
    if isinstance(settings, str):
        settings = {"type": settings}
    weight, delta = float(settings.get("weight", 1.0)), float(settings.get("delta", 1.0))
    return LossTerm(target, gradient, settings.get("type", "mse"), weight, delta)


@dataclass(frozen=True)
class Loss:
    """The sum of the terms.

    Values of a structure and its strain gradient are divided by the number of atoms, but for the
    targets of ``per_structure``.
    """

    terms: list[LossTerm]
    per_structure: tuple[str, ...]

    def __call__(self, predictions: dict[str, Prediction], batch: Batch) -> torch.Tensor:
        total = batch.vectors.new_zeros(())
        for term in self.terms:
            predicted, label = self.pair(term, predictions[term.target], batch)
            if not batch.targets[term.target].complete[term.gradient]:
                found = torch.isfinite(label)
                predicted, label = predicted[found], label[found]
                if label.numel() == 0:
                    continue
            total = total + term(predicted, label)
        return total

    def pair(
        self, term: LossTerm, prediction: Prediction, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Prediction and label of a term, by atom where the term goes by atom."""
        target = batch.targets[term.target]
        if term.gradient == "":
            predicted, label, by_atom = prediction.values, target.values, target.per_atom
        else:
            predicted, label = prediction.gradients[term.gradient], target.gradients[term.gradient]
            by_atom = term.gradient == "positions"
        if by_atom or term.target in self.per_structure:
            return predicted, label
        num_atoms = batch.num_atoms.reshape(-1, *[1] * (label.dim() - 1))
        return predicted / num_atoms, label / num_atoms
