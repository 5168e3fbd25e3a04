r"""Fit of what is taken off the labels before training: composition and scale.

.. math::  E = \sum_i c_{t_i} + s \sum_i f_i

with the contribution :math:`c_t` of an atom of species t, the scale s and the raw numbers
:math:`f_i` of the network, which are of order one. A few labels that are out of all proportion,
such as one with a unit of its own, move neither of the two. Letters of shapes: A atoms, N samples
(structures or atoms), P sub-targets, S structures, T atomic types.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import (
    Dataset,
    GraphStore,
    Normalization,
    Structures,
    TargetLabels,
    build_store,
    composition_term,
    concatenate,
    cut_batches,
    gather_labels,
    in_dtype,
    of_samples,
    species_of,
)
from mt_shared.engine.metrics import divided
from mt_shared.errors import OptionsError, did_you_mean
from mt_shared.model import Baseline, TrainableModel, shares_of_mean, sum_over_atoms

SMALLEST_SCALE = 1e-9
"""In the unit of the target, where the composition explains the labels wholly: the rest of the
model, which has nothing to learn, then adds nothing."""

OUT_OF_PROPORTION = 20.0
"""How much larger than nine tenths of them a few labels are that are left out of a fit."""

NUM_ROUNDS = 20
"""Of reweighting. With few structures of many elements, a wrong one has pulled the fit far."""

LEAST_WEIGHT = 1e-6
"""Of what is left out of a fit of the composition: nothing, but to an element that is nowhere
else."""


@dataclass(frozen=True)
class Scale:
    """The typical size of what is left to learn of a target.

    :param parts: (S,) the size in each structure of the values (``""``) and of the gradients that
        have labels, ``positions`` and ``strain``; NaN where it has none of them
    :param left_out: (S,) whether they are out of proportion to all others, and left out
    """

    value: float
    parts: dict[str, np.ndarray]
    left_out: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """(S,) the largest of the parts."""
        return np.fmax.reduce(list(self.parts.values()))


def check_names(hypers: dict[str, Any], targets: Collection[str]) -> None:
    """Refuse baselines of targets that are not trained."""
    for option in ("atomic_baseline", "fixed_scaling_weights", "per_structure_targets"):
        for name in hypers[option]:
            if name not in targets:
                raise OptionsError(
                    f"architecture.training.{option} names the target '{name}'"
                    f"{did_you_mean(name, targets)}; the targets are {sorted(targets)}"
                )


def fit_baselines(
    model: TrainableModel[Any], names: list[str], datasets: list[Dataset], hypers: dict[str, Any]
) -> None:
    """Fit the baselines of the targets ``names`` as the hypers say, and leave them in the model."""
    structures = concatenate([dataset.structures for dataset in datasets])
    types = model.dataset_info.atomic_types
    species = species_of(structures, types)
    for name in names:
        # composition first: the scale is that of what it leaves unexplained
        target = model.dataset_info.targets[name]
        labels = gather_labels(datasets, name, target)
        fixed = fixed_composition(hypers["atomic_baseline"].get(name, {}), types)
        composition = fit_composition(labels.values, structures, species, len(types), target, fixed)
        offset = composition_term(structures, species, target, composition)
        scale = _scale_of_options(name, hypers)
        if scale is None:
            scale = fit_scale(labels, labels.values - offset, structures, target).value
        set_baseline(model, name, Normalization(composition, scale))


def set_baseline(model: TrainableModel[Any], name: str, normalization: Normalization) -> None:
    """Write a fitted baseline into the buffers of the model."""
    baseline = _baseline(model, name)
    baseline.composition.copy_(torch.from_numpy(normalization.composition))
    baseline.scale.fill_(normalization.scale)


def normalizations(model: TrainableModel[Any], names: Iterable[str]) -> dict[str, Normalization]:
    """The baselines that the model holds for these targets."""
    baselines = {name: _baseline(model, name) for name in names}
    return {
        name: Normalization(baseline.composition.cpu().numpy(), float(baseline.scale))
        for name, baseline in baselines.items()
    }


def store_for(
    model: TrainableModel[Any], datasets: list[Dataset], info: DatasetInfo, dtype: torch.dtype
) -> GraphStore:
    """The data sets as the model reads them, its baselines taken off the labels.

    :param info: the targets that are read, of those of the model
    """
    return build_store(
        datasets,
        info,
        model.cutoff,
        normalizations(model, info.targets),
        dtype,
        model.reads_positions,
        model.reads_reverse,
    )


def _baseline(model: TrainableModel[Any], name: str) -> Baseline:
    baseline = model.baselines[name]
    assert isinstance(baseline, Baseline)
    return baseline


def _scale_of_options(name: str, hypers: dict[str, Any]) -> float | None:
    """The scale of a target that the options fix, or None where it is to be fitted."""
    if name in hypers["fixed_scaling_weights"]:
        return float(hypers["fixed_scaling_weights"][name])
    return None if hypers["scale_targets"] else 1.0


def fixed_composition(values: float | dict[int, float], types: tuple[int, ...]) -> dict[int, float]:
    """Fixed values by species, from those by atomic type; a single number is for every element."""
    if not isinstance(values, dict):
        return dict.fromkeys(range(len(types)), float(values))
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise OptionsError(
            f"architecture.training.atomic_baseline gives the atomic types {unknown}, which the "
            f"data do not contain; they contain {list(types)}"
        )
    return {types.index(atomic_type): float(value) for atomic_type, value in values.items()}


def fit_composition(
    values: np.ndarray,
    structures: Structures,
    species: np.ndarray,
    num_species: int,
    target: TargetInfo,
    fixed: dict[int, float],
) -> np.ndarray:
    """Contribution (T, P) of an atom of each species, by least squares in float64.

    :param values: labels (S, P), or (A, P) for a target of each atom; NaN where missing. Of vectors
        and other tensors, which an atom alone has none of, the contribution is zero, (T, ..., P)
    """
    if not target.is_scalar:
        return np.zeros((num_species, *values.shape[1:]))
    one_hot = np.eye(num_species)[species]
    counts = of_samples(one_hot, structures, target)
    # What is fixed comes off the labels, and the others are fitted to the rest.
    start = np.zeros((num_species, values.shape[1]))
    for index, value in fixed.items():
        start[index] = value
    return start + _least_squares(values - counts @ start, counts, set(fixed))


def _least_squares(values: np.ndarray, counts: np.ndarray, fixed: set[int]) -> np.ndarray:
    """What the species have to contribute for ``counts @ result`` to be ``values``, (T, P).

    Where the compositions of the data do not tell the elements apart (all of them H2O, say), the
    solution of least norm, which shares out alike what no fit could attribute.

    :param values: (N, P), NaN where a label is missing
    :param counts: atoms of each species, (N, T)
    :param fixed: species that contribute nothing
    """
    result = np.zeros((counts.shape[1], values.shape[1]))
    # by sub-target, since each may lack other labels
    free = [index for index in range(counts.shape[1]) if index not in fixed]
    for column in range(values.shape[1]):
        found = np.isfinite(values[:, column])
        if free and found.any():
            result[free, column] = _fit_most(
                counts[found][:, free], values[found, column], counts[found].sum(1)
            )
    return result


def _fit_most(counts: np.ndarray, values: np.ndarray, num_atoms: np.ndarray) -> np.ndarray:
    """Least squares (T,) for all rows but a few that are far off."""

    def fit(weights: np.ndarray) -> np.ndarray:
        result: np.ndarray = np.linalg.lstsq(counts * weights[:, None], values * weights)[0]
        return result

    def errors(weights: np.ndarray) -> np.ndarray:
        return abs(values - counts @ fit(weights)) / num_atoms

    # Towards the least absolute error, by which a few rows are found that have pulled all others
    # with them in the least squares: each time a row weighs less, the further off it was.
    weights = np.ones(len(values))
    for _ in range(NUM_ROUNDS):
        weights = np.maximum(errors(weights), SMALLEST_SCALE) ** -0.5
    return fit(np.where(_out_of_proportion(errors(weights)), LEAST_WEIGHT, 1.0))


def _out_of_proportion(sizes: np.ndarray) -> np.ndarray:
    """Which few (N,), a tenth at most, are far larger than all others; NaN is no size."""
    known = np.sort(sizes[np.isfinite(sizes)])
    few = (len(known) + 5) // 10
    if not few:
        return np.zeros(len(sizes), dtype=bool)
    usual = known[-1 - few]
    # where all others are nothing, these few are all that is to be learnt
    return (sizes > OUT_OF_PROPORTION * usual) & (usual > SMALLEST_SCALE)


def fit_scale(
    labels: TargetLabels, residual: np.ndarray, structures: Structures, target: TargetInfo
) -> Scale:
    """The largest of three root mean squares: of what the composition leaves of the values, of the
    forces, and of the derivatives by strain; values and strain by atom, where they belong to a
    structure.

    It covers all that the network has to learn. In most data it is that of the forces; where these
    vanish by symmetry or at a minimum, it is one of the others.
    """
    is_sum = not target.per_atom and target.extensive
    arrays = {"": residual, **labels.gradients}
    by_atom = {"": is_sum, "positions": False, "strain": True}
    sums = {
        part: _sums_of_squares(
            divided(array, structures.atoms_per_system) if by_atom[part] else array, structures
        )
        for part, array in arrays.items()
    }
    parts = {part: _root_mean_square(each) for part, each in sums.items()}
    left_out = _out_of_proportion(np.fmax.reduce(list(parts.values())))
    values = [_root_mean_square(each[~left_out].sum(0)) for each in sums.values()]
    value = float(np.fmax.reduce(values))
    return Scale(1.0 if math.isnan(value) else max(value, SMALLEST_SCALE), parts, left_out)


def _sums_of_squares(array: np.ndarray, structures: Structures) -> np.ndarray:
    """Of each structure the sum of the squares of what is no NaN, and the number of it, (S, 2)."""
    rows = array.reshape(len(array), -1)
    sums = np.stack([np.nansum(rows**2, axis=1), np.isfinite(rows).sum(axis=1)], axis=1)
    if len(rows) == structures.num_systems:
        return sums
    return np.add.reduceat(sums, structures.offsets[:-1])


def _root_mean_square(sums: np.ndarray) -> np.ndarray:
    """Of sums of squares and their numbers (..., 2); NaN where there is no number."""
    with np.errstate(invalid="ignore"):
        result: np.ndarray = np.sqrt(sums[..., 0] / sums[..., 1])
    return result


def check_scales(model: TrainableModel[Any], names: list[str], hypers: dict[str, Any]) -> None:
    """Refuse another scale for a target that the model knows: its weights go with its scale."""
    for name in names:
        wanted, scale = _scale_of_options(name, hypers), float(_baseline(model, name).scale)
        # to the digits that the error below shows, which users copy
        if wanted is not None and not math.isclose(wanted, scale, rel_tol=1e-6):
            raise OptionsError(
                f"architecture.training.scale_targets and fixed_scaling_weights give '{name}' the "
                f"scale {wanted:g}, but the model to be fine-tuned was trained with {scale:.8g}; "
                "leave these options out, or train the target under a new name"
            )


def shift_composition(
    model: TrainableModel[Any],
    names: list[str],
    kept_types: Collection[int],
    datasets: list[Dataset],
    hypers: dict[str, Any],
) -> None:
    """Refit the composition of targets that the model knows, by what it now predicts wrongly.

    Other data may come from another method, whose energies differ by a constant for each element.
    Weights and scale stay as they are. ``atomic_baseline`` fixes the composition as in a first fit.

    :param kept_types: atomic types whose composition stays as well
    """
    types = model.dataset_info.atomic_types
    kept = {types.index(atomic_type) for atomic_type in kept_types}
    fixed = {
        name: fixed_composition(hypers["atomic_baseline"].get(name, {}), types) for name in names
    }
    # predictions of the whole data set are made only if something is to be fitted to them
    to_fit = [name for name in names if len(kept | set(fixed[name])) < len(types)]
    errors = _composition_errors(model, to_fit, datasets, hypers["batch_size"])
    for name, old in normalizations(model, names).items():
        composition = old.composition.copy()
        for index, value in fixed[name].items():
            composition[index] = value
        if name in errors:
            error, counts = errors[name]
            # the errors are those of the old composition: what is fixed now has changed them
            rest = error - counts @ (composition - old.composition)
            composition += _least_squares(rest, counts, kept | set(fixed[name]))
        set_baseline(model, name, Normalization(composition, old.scale))


def _composition_errors(
    model: TrainableModel[Any], names: list[str], datasets: list[Dataset], batch_size: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Label minus prediction (N, P) of each target, and the atoms of each species (N, T)."""
    if not names:
        return {}
    info = model.dataset_info
    targets = {name: replace(info.targets[name], gradients=()) for name in names}
    old = normalizations(model, names)
    device = next(model.parameters()).device
    # The store takes the old composition off the labels in float64. The errors of whole energies
    # would be small differences of large numbers.
    store = store_for(model, datasets, replace(info, targets=targets), torch.float64).to(device)
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in names}
    model.eval()
    order, num_species = torch.arange(len(store)), len(info.atomic_types)
    for indices in cut_batches(order, store.num_atoms.cpu(), batch_size, None):
        batch = store.batch(indices.to(device))
        one_hot = torch.nn.functional.one_hot(batch.graph.species, num_species)
        with torch.no_grad():
            raw = model.values(in_dtype(batch.graph, model.dtype), names)
        for name in names:
            counts = one_hot.to(torch.float64)
            if targets[name].is_mean:
                counts = shares_of_mean(counts, batch.graph)
            if not targets[name].per_atom:
                counts = sum_over_atoms(counts, batch.graph)
            errors = (batch.targets[name].values - raw[name].to(torch.float64)) * old[name].scale
            parts[name].append((errors.cpu().numpy(), counts.cpu().numpy()))
    return {
        name: (np.concatenate([e for e, _ in found]), np.concatenate([c for _, c in found]))
        for name, found in parts.items()
    }
