"""The fit in closed form, and predictions of what was fitted.

Letters of shapes: A atoms, B functions, F features, S structures, G gradients of energies (see
``environments.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mt_gap.basis import Basis
from mt_gap.data import Data, less, without_composition
from mt_gap.environments import batches, by_strain, densities
from mt_gap.equations import LeastSquares
from mt_gap.model import Gap
from mt_gap.sparse_points import choose_bases
from mt_shared.data import Structures, TargetLabels
from mt_shared.engine import Scale, normalizations

RELATIVE = 0.002
"""Noise of the labels by their typical size, where the options do not give it."""

RELATIVE_RESIDUAL = 0.01
"""The same where another model explains a part: its errors are in what is left."""


@dataclass(frozen=True)
class Noise:
    """How closely the labels are followed: what is expected to remain unexplained of them.

    In units of the target and of length; these are the regularizers of the fit.

    :param energy: of a structure, by the square root of its number of atoms
    :param forces: of each component
    :param virial: of each component of dE/d(strain), by the square root of the number of atoms
    :param distrust: (S,) factors of these noises for the labels of each structure: 1, and more for
        a few that are out of proportion, which least squares would follow before all others
    """

    energy: float
    forces: float
    virial: float
    distrust: np.ndarray

    @classmethod
    def from_hypers(cls, hypers: dict[str, Any], typical: Scale, residual: bool) -> Noise:
        """What the options say; else, a small part of the typical size of the labels.

        ``regularizer`` is for all labels, and the other two are for theirs.

        :param residual: whether the labels are what another model does not explain
        """
        energy, forces = hypers["regularizer"], hypers["regularizer_forces"]
        virial = hypers["regularizer_virial"]
        if energy is None:
            energy = typical.value * (RELATIVE_RESIDUAL if residual else RELATIVE)
        # where the options are silent, forces have the noise of energies, virials that of forces
        forces = energy if forces is None else forces
        distrust = np.where(typical.left_out, typical.sizes / typical.value, 1.0)
        return cls(energy, forces, forces if virial is None else virial, distrust)

    def of_labels(self, structures: Structures, systems: np.ndarray) -> torch.Tensor:
        """The noise of each label, (S + G,), of the structures of these numbers (S,)."""
        # the errors of the atoms of a structure are taken as independent: they add up by squares
        num_atoms = torch.from_numpy(structures.atoms_per_system)
        distrust = torch.from_numpy(self.distrust[systems])
        roots = distrust * num_atoms.to(torch.float64).sqrt()
        of_forces = (self.forces * distrust).repeat_interleave(3 * num_atoms)
        of_virials = (self.virial * roots).repeat_interleave(9)
        return torch.cat([self.energy * roots, of_forces, of_virials])


def fit(model: Gap, data: Data, noise: Noise, typical: float, check: Callable[[], None]) -> None:
    r"""Give the model the sparse points that explain the labels, beside those it has.

    With the functions f_b, labels y_n and their noises, in units of the typical size t of the
    labels, the weights w are the least of

    .. math::

        \sum_n \frac{(t \sum_b f_{nb} w_b - y_n)^2}{\sigma_n^2} + w^T K w

    where K holds the inner products of the functions: the mean of a Gaussian process of variance
    t^2 at a descriptor, as far as these functions can express it.

    :param data: what the model does not explain yet
    :param typical: the size of these labels that is expected
    :param check: called between batches; it may raise to end the fit
    """
    check()
    bases = choose_bases(model, data.structures, data.gradients)
    equations = LeastSquares(torch.block_diag(*[basis.covariance() for basis in bases]))
    for batch in batches(data.structures):
        check()
        part = data.subset(batch)
        labels = torch.cat([torch.from_numpy(part.labels.values[:, 0]), part.flat_gradients()])
        rows = torch.cat(evaluate(model, bases, part.structures, part.gradients))
        known = torch.isfinite(labels)
        inverse = 1 / noise.of_labels(part.structures, batch)[known]
        equations.add(typical * rows[known] * inverse[:, None], labels[known] * inverse)
    # a model multiplies its sums by its scale, which is an older one where points are added
    scale = normalizations(model, [model.energy_name])[model.energy_name].scale
    weights = typical / scale * equations.solve()
    parts = weights.split([len(basis) for basis in bases])
    for sparse_sum, basis, of_basis in zip(model.sparse_sums(), bases, parts, strict=True):
        of_points, vectors = basis.combine(of_basis)
        sparse_sum.add(basis.points, vectors, of_points)


def evaluate(
    model: Gap, bases: list[Basis], structures: Structures, gradients: list[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The functions of all species, summed over the atoms: (S, B), and their gradients (G, B)."""
    num_gradients = 3 * structures.num_atoms + 9 * structures.num_systems
    ends = np.cumsum([len(basis) for basis in bases])
    energies = torch.zeros(structures.num_systems, int(ends[-1]), dtype=torch.float64)
    slopes = torch.zeros(num_gradients, int(ends[-1]), dtype=torch.float64)
    for group in densities(model, structures, gradients):
        basis = bases[group.species]
        # an atom of one species adds to the functions of that species alone
        columns = slice(int(ends[group.species]) - len(basis), int(ends[group.species]))
        for few in group.pieces(model.spectrum.num_features()):
            features = model.spectrum(few.coefficients)
            energies[:, columns].index_add_(0, few.system, basis.values(features))
            for each in few.derivatives:
                rows = model.spectrum.derivatives(few.coefficients, each.coefficients, each.atoms)
                found = basis.derivatives(features, rows, each.atoms)
                slopes[:, columns].index_add_(0, each.places, found)
    return energies, by_strain(structures, slopes) if "strain" in gradients else slopes


def raw_predictions(model: Gap, structures: Structures, gradients: list[str]) -> TargetLabels:
    """What the sparse points say, in the model's scaled units; no gradients but those wanted.

    The same as :meth:`Gap.forward` and its derivatives, in less time.
    """
    values: list[np.ndarray] = []
    arrays: dict[str, list[np.ndarray]] = {"positions": [], "strain": []}
    for batch in batches(structures):
        part = structures.subset(batch)
        num_moves = 3 * part.num_atoms
        energies = torch.zeros(part.num_systems, dtype=torch.float64)
        slopes = torch.zeros(num_moves + 9 * part.num_systems, dtype=torch.float64)
        for few in densities(model, part, gradients):
            # the chain rule: autograd goes as far as the densities, whose derivatives are here
            coefficients = [each.requires_grad_() for each in few.coefficients]
            atomic = model.sparse_sums()[few.species](model.spectrum(coefficients))
            energies.index_add_(0, few.system, atomic.detach())
            by_coefficient = torch.autograd.grad(atomic.sum(), coefficients)
            for each in few.derivatives:
                for change, slope in zip(each.coefficients, by_coefficient, strict=True):
                    along = (change * slope[each.atoms]).sum((1, 2))
                    slopes.index_add_(0, each.places, along)
        slopes = by_strain(part, slopes)
        values.append(energies[:, None].numpy())
        arrays["positions"].append(slopes[:num_moves].reshape(-1, 3).numpy())
        arrays["strain"].append(slopes[num_moves:].reshape(-1, 3, 3).numpy())
    return TargetLabels(
        np.concatenate(values), {name: np.concatenate(arrays[name]) for name in gradients}
    )


def unexplained(model: Gap, data: Data) -> Data:
    """The labels less what the model says of them; repulsion is off the labels already."""
    name = model.energy_name
    baseline = normalizations(model, [name])[name]
    left = without_composition(data, model.dataset_info.targets[name], baseline.composition)
    if not model.is_fitted or not data.structures.num_systems:
        return left
    raw = raw_predictions(model, data.structures, data.gradients)
    gradients = {each: baseline.scale * array for each, array in raw.gradients.items()}
    return less(left, TargetLabels(baseline.scale * raw.values, gradients))
