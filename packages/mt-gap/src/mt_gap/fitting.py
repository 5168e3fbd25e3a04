"""The fit in closed form, and predictions of what was fitted.

Letters of shapes: A atoms, B functions, F features, S structures, L gradients of energies.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from mt_gap.basis import Basis
from mt_gap.data import Data
from mt_gap.environments import batches, by_strain, densities
from mt_gap.equations import LeastSquares
from mt_gap.model import Gap
from mt_gap.noise import Noise
from mt_gap.sparse_points import choose_bases
from mt_shared.data import Structures, TargetLabels
from mt_shared.engine import normalizations


def fit(model: Gap, data: Data, noise: Noise, typical: float, check: Callable[[], None]) -> None:
    """Give the model the sparse points that explain the labels, beside those it has.

    :param data: what the model does not explain yet
    :param typical: the size of these labels that is expected
    :param check: called between batches; it may raise to end the fit
    """
    check()
    bases = choose_bases(model, data.structures, data.gradients)
    equations = LeastSquares(torch.block_diag(*[basis.covariance() for basis in bases]))
    for batch in batches(data.structures):
        check()
        add_equations(equations, model, bases, data.subset(batch), noise, typical)
    scale = normalizations(model, [model.energy_name])[model.energy_name].scale
    weights = typical / scale * equations.solve()
    parts = weights.split([len(basis) for basis in bases])
    for sparse_sum, basis, part in zip(model.sparse_sums(), bases, parts, strict=True):
        of_points, vectors = basis.combine(part)
        sparse_sum.add(basis.points, vectors, of_points)


def add_equations(
    equations: LeastSquares,
    model: Gap,
    bases: list[Basis],
    data: Data,
    noise: Noise,
    typical: float,
) -> None:
    """The equations of the labels of some structures, each divided by its noise.

    The unknowns have the variance one: functions are in units of the typical size of the labels.
    """
    structures = data.structures
    labels = torch.cat([torch.from_numpy(data.labels.values[:, 0]), data.flat_gradients()])
    rows = torch.cat(evaluate(model, bases, structures, data.gradients))
    known = torch.isfinite(labels)
    inverse = 1 / _noises(structures, noise)[known]
    equations.add(typical * rows[known] * inverse[:, None], labels[known] * inverse)


def evaluate(
    model: Gap, bases: list[Basis], structures: Structures, gradients: list[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The functions of all species, summed over the atoms: (S, B), and their gradients (L, B)."""
    num_gradients = 3 * structures.num_atoms + 9 * structures.num_systems
    ends = np.cumsum([len(basis) for basis in bases])
    energies = torch.zeros(structures.num_systems, int(ends[-1]), dtype=torch.float64)
    slopes = torch.zeros(num_gradients, int(ends[-1]), dtype=torch.float64)
    for of_species in densities(model, structures, gradients):
        basis = bases[of_species.kind]
        columns = slice(int(ends[of_species.kind]) - len(basis), int(ends[of_species.kind]))
        for few in of_species.pieces(model.spectrum.num_features()):
            features = model.spectrum(few.coefficients)
            energies[:, columns].index_add_(0, few.systems, basis.values(features))
            for each in few.derivatives:
                rows = model.spectrum.derivatives(few.coefficients, each.coefficients, each.atoms)
                found = basis.derivatives(features, rows, each.atoms)
                slopes[:, columns].index_add_(0, each.places, found)
    return energies, by_strain(structures, slopes) if "strain" in gradients else slopes


def _noises(structures: Structures, noise: Noise) -> torch.Tensor:
    """Of each label, (S + L,)."""
    roots = torch.from_numpy(structures.atoms_per_system).to(torch.float64).sqrt()
    of_forces = torch.full((3 * structures.num_atoms,), noise.forces, dtype=torch.float64)
    return torch.cat([noise.energy * roots, of_forces, (noise.virial * roots).repeat_interleave(9)])


def raw_predictions(model: Gap, structures: Structures, gradients: list[str]) -> TargetLabels:
    """What the sparse points say, in the model's scaled units; no gradients but those wanted.

    The same as :meth:`Gap.forward` and its derivatives, in less time.
    """
    parts = [
        _raw_predictions(model, structures.subset(batch), gradients)
        for batch in batches(structures)
    ]
    return TargetLabels(
        values=np.concatenate([part.values for part in parts]),
        gradients={
            name: np.concatenate([part.gradients[name] for part in parts]) for name in gradients
        },
    )


def _raw_predictions(model: Gap, structures: Structures, gradients: list[str]) -> TargetLabels:
    num_systems, num_moves = structures.num_systems, 3 * structures.num_atoms
    energies = torch.zeros(num_systems, dtype=torch.float64)
    slopes = torch.zeros(num_moves + 9 * num_systems, dtype=torch.float64)
    for few in densities(model, structures, gradients):
        coefficients = [values.requires_grad_() for values in few.coefficients]
        atomic = model.sparse_sums()[few.kind](model.spectrum(coefficients))
        energies.index_add_(0, few.systems, atomic.detach())
        by_coefficient = torch.autograd.grad(atomic.sum(), coefficients)
        for each in few.derivatives:
            for values, slope in zip(each.coefficients, by_coefficient, strict=True):
                along = (values * slope[each.atoms]).sum((1, 2))
                slopes.index_add_(0, each.places, along)
    slopes = by_strain(structures, slopes)
    arrays = {
        "positions": slopes[:num_moves].reshape(-1, 3).numpy(),
        "strain": slopes[num_moves:].reshape(-1, 3, 3).numpy(),
    }
    return TargetLabels(energies[:, None].numpy(), {name: arrays[name] for name in gradients})
