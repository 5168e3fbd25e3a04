"""Low-rank updates of linear layers: LoRA (Hu et al., arXiv:2106.09685).

A layer's weight becomes W + (alpha / R) B A, of which only B and A are trained. In the state of a
model, such a layer has other names than a plain one, by which it is known again. A model that is
exported or fine-tuned further is plain: its weights have the update in them. TorchScript reads
plain models alone.

Letters of shapes: I features in, O features out, R rank. A layer with weights for each atomic type
has an update for each as well.
"""

import copy
import math
import re
from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from mt_shared.model.species import SpeciesLinear

Model = TypeVar("Model", bound=torch.nn.Module)
State = dict[str, Tensor]
LinearLayer = torch.nn.Linear | SpeciesLinear

# names that torch.nn.utils.parametrize gives to the weight and to what is put over it
ORIGINAL = "parametrizations.weight.original"
UPDATE = "parametrizations.weight.0."
PARTS = ("low_rank_a", "low_rank_b", "low_rank_scale")
_PLACE = re.compile(rf"(?P<layer>.*\.){re.escape(UPDATE)}{PARTS[0]}")


class LowRank(torch.nn.Module):
    """weight (..., O, I) -> weight + scale B A, with B (..., O, R) zero at first, A (..., R, I).

    :param rank: R, at most the smaller of O and I
    :param alpha: R times the scale
    """

    low_rank_scale: Tensor

    def __init__(self, weight: Tensor, rank: int, alpha: float):
        super().__init__()
        *types, num_out, num_in = weight.shape
        rank = min(rank, num_out, num_in)
        # B is zero, so that nothing changes at first; A must not be, or neither could learn
        bound = 1.0 / math.sqrt(num_in)
        a = weight.new_empty(*types, rank, num_in).uniform_(-bound, bound)
        self.low_rank_a = torch.nn.Parameter(a)
        self.low_rank_b = torch.nn.Parameter(weight.new_zeros(*types, num_out, rank))
        # in the state, so that a checkpoint needs no hypers to be merged
        self.register_buffer("low_rank_scale", weight.new_tensor(alpha / rank))

    def forward(self, weight: Tensor) -> Tensor:
        return _updated(weight, self.low_rank_a, self.low_rank_b, self.low_rank_scale)


def _updated(weight: Tensor, a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    return weight + scale * (b @ a)


def linear_layers(model: torch.nn.Module) -> dict[str, LinearLayer]:
    """The layers that can get an update, by their names in the model."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, LinearLayer) and not parametrize.is_parametrized(module)
    }


def add_updates(layers: Iterable[LinearLayer], rank: int, alpha: float) -> None:
    """Give each layer an update, which changes nothing before it is trained."""
    for layer in layers:
        update = LowRank(layer.weight.detach(), rank, alpha)
        parametrize.register_parametrization(layer, "weight", update)


def merged_copy(model: Model) -> Model:
    """A copy whose updates are in its weights, as TorchScript wants it."""
    plain = copy.deepcopy(model)
    for module in list(plain.modules()):
        if parametrize.is_parametrized(module, "weight"):
            # torch would take the updates out of the class, which is that of the other model too
            weight = cast(Tensor, module.weight).detach()
            module.__class__ = parametrize.type_before_parametrizations(module)
            del module.parametrizations
            module.weight = torch.nn.Parameter(weight)
    return plain


def is_of_update(parameter_name: str) -> bool:
    """Whether a parameter, by its name in the model, is of an update."""
    return UPDATE in parameter_name and parameter_name.endswith(PARTS)


def add_saved_updates(model: torch.nn.Module, state: State) -> None:
    """Give the layers of a plain model the updates that a saved state has numbers for."""
    layers = linear_layers(model)
    # any alpha will do: the scale is a buffer, which the state overwrites
    for layer, (a, _, _) in _saved_updates(state):
        add_updates([layers[layer.rstrip(".")]], rank=a.shape[-2], alpha=1.0)


def merged_state(state: State) -> State:
    """The state of a plain model that computes the same."""
    plain = dict(state)
    for layer, update in _saved_updates(state):
        for part in PARTS:
            del plain[f"{layer}{UPDATE}{part}"]
        plain[f"{layer}weight"] = _updated(plain.pop(f"{layer}{ORIGINAL}"), *update)
    return plain


def _saved_updates(state: State) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
    """The layers of a state that have an update, as ``path.``, and its tensors."""
    for name in state:
        found = _PLACE.fullmatch(name)
        if found is not None:
            layer = found["layer"]
            yield layer, tuple(state[f"{layer}{UPDATE}{part}"] for part in PARTS)
