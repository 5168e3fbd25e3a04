"""The SOAP power spectrum of a density in a few optimal channels.

TorchScript reads this file. Letters of shapes: A atoms, C channels of the expansion, Q mixed
channels, F features, N rows of derivatives.
"""

import math
from typing import Any, Dict, List, cast

import torch


class PowerSpectrum(torch.nn.Module):
    r"""Descriptors (A, F) of unit length from the coefficients of the expansion.

    .. math::

        p_{qq'}^l = \frac{1}{\sqrt{2 l + 1}} \sum_m c_q^{lm} c_{q'}^{lm}

    In all channels, with the factor that featomic has, the inner products of descriptors would be
    those of its power spectra. They depend on the coefficients c (2 l + 1, C) of a degree through
    c c^T alone, which no orthogonal mixing of the channels changes. The channels are therefore
    mixed into fewer (A. Goscinski et al., J. Chem. Phys. 155, 104106 (2021)): as many as the
    training set needs, degree by degree. Before that there are none.
    """

    def __init__(self, max_angular: int, num_channels: int):
        super().__init__()
        degrees = range(max_angular + 1)
        self.degrees = torch.nn.ModuleList([Degree(degree, num_channels) for degree in degrees])

    def forward(self, coefficients: List[torch.Tensor]) -> torch.Tensor:
        """Descriptors (A, F) from the coefficients (A, 2 l + 1, C) of each degree."""
        products: List[torch.Tensor] = []
        for degree, part in enumerate(self.degrees):
            products.append(part(coefficients[degree]))
        return torch.nn.functional.normalize(torch.cat(products, 1), dim=1)

    def parts(self) -> List["Degree"]:
        """The parts of each degree."""
        return cast(List[Degree], list(self.degrees))

    def num_features(self) -> int:
        """F, the length of a descriptor."""
        return sum(len(part.places) for part in self.parts())

    def derivatives(
        self, coefficients: List[torch.Tensor], derivatives: List[torch.Tensor], atoms: torch.Tensor
    ) -> torch.Tensor:
        """Derivatives of the descriptors (N, F) from those of the coefficients (N, 2 l + 1, C).

        Of a vector p of the length n and the direction u: du = (dp - u (u . dp)) / n.

        :param atoms: (N,) the atom whose descriptor each row is a derivative of
        """
        parts = self.parts()
        raw = torch.cat([part(values) for part, values in zip(parts, coefficients)], 1)
        rows = torch.cat(
            [
                part.derivatives(values, change, atoms)
                for part, values, change in zip(parts, coefficients, derivatives)
            ],
            1,
        )
        # the least length that normalize divides by in forward
        lengths = raw.norm(dim=1, keepdim=True).clamp(min=1e-12)
        unit, rows = raw / lengths, rows / lengths[atoms]
        return rows - (rows * unit[atoms]).sum(1, keepdim=True) * unit[atoms]


class Degree(torch.nn.Module):
    """The part of the power spectrum with one degree l."""

    mixing: torch.Tensor
    places: torch.Tensor
    factors: torch.Tensor

    def __init__(self, degree: int, num_channels: int):
        super().__init__()
        self.degree = degree
        # the mixing alone is in a checkpoint: the others follow from its shape
        for name, persistent in (("mixing", True), ("places", False), ("factors", False)):
            self.register_buffer(name, torch.empty(0), persistent)
        self.set_mixing(torch.zeros(num_channels, 0, dtype=torch.float64))

    def set_mixing(self, mixing: torch.Tensor) -> None:
        """Mix the channels by this matrix (C, Q)."""
        num_mixed = mixing.shape[1]
        first, second = torch.triu_indices(num_mixed, num_mixed)
        self.mixing = mixing
        self.places = first * num_mixed + second
        # a pair of channels stands for the two in both orders, so that inner products stay
        factors = torch.ones(len(first), dtype=mixing.dtype)
        factors[first != second] = math.sqrt(2.0)
        self.factors = factors / math.sqrt(2 * self.degree + 1)

    def forward(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Products of all pairs of mixed channels, (A, Q (Q + 1) / 2)."""
        mixed = coefficients @ self.mixing
        products = (mixed.transpose(1, 2) @ mixed).flatten(1)
        return products[:, self.places] * self.factors

    def derivatives(
        self, coefficients: torch.Tensor, derivatives: torch.Tensor, atoms: torch.Tensor
    ) -> torch.Tensor:
        """Derivatives of :meth:`forward` (N, Q (Q + 1) / 2) from those of the coefficients."""
        mixed = coefficients @ self.mixing
        products = (derivatives @ self.mixing).transpose(1, 2) @ mixed[atoms]
        # d(c_q c_q') = dc_q c_q' + dc_q' c_q
        return (products + products.transpose(1, 2)).flatten(1)[:, self.places] * self.factors

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *args: Any) -> None:
        """The number of mixed channels is that of the saved model: torch would refuse another."""
        self.set_mixing(torch.zeros_like(state_dict[prefix + "mixing"]))
        super()._load_from_state_dict(state_dict, prefix, *args)
