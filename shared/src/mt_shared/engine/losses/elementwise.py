"""Losses of single elements: the mean over all elements of a function of their error.

``predicted`` and ``label`` have one shape, whichever; the result is a scalar.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


class MeanSquaredError:
    """The mean of the squared error."""

    def __call__(self, predicted: Tensor, label: Tensor) -> Tensor:
        return F.mse_loss(predicted, label)


class MeanAbsoluteError:
    """The mean of the absolute error."""

    def __call__(self, predicted: Tensor, label: Tensor) -> Tensor:
        return F.l1_loss(predicted, label)


@dataclass(frozen=True)
class Huber:
    r"""The mean of the function of Huber (doi:10.1214/aoms/1177703732) of the error :math:`x`.

    .. math::

        \frac{x^2}{2} \quad \text{for } |x| \le \delta, \qquad
        \delta \left( |x| - \frac{\delta}{2} \right) \quad \text{beyond}
    """

    delta: float = 1.0

    def __call__(self, predicted: Tensor, label: Tensor) -> Tensor:
        return F.huber_loss(predicted, label, delta=self.delta)
