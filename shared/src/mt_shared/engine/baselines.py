"""Fit of what is taken off the labels before training: composition and scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mt_shared.contract import TargetInfo
from mt_shared.data.batches import (
    GraphStore,
    Normalization,
    build_store,
    composition_term,
    gather_labels,
    species_of,
)
from mt_shared.data.dataset import Dataset, TargetLabels
from mt_shared.data.structures import Structures, concatenate
from mt_shared.errors import OptionsError, did_you_mean
from mt_shared.model.base import BaseModel
from mt_shared.model.baseline import Baseline


def fit_baselines(
    model: BaseModel, names: list[str], datasets: list[Dataset], hypers: dict[str, Any]
) -> None:
    """Fit the baselines of the targets ``names`` and leave them in the model.

    ``atomic_baseline`` fixes the composition of some or all elements, ``scale_targets`` and
    ``fixed_scaling_weights`` decide on the scale.
    """
    _check_names(hypers, model.dataset_info.targets)
    structures = concatenate([dataset.structures for dataset in datasets])
    types = model.dataset_info.atomic_types
    species = species_of(structures, types)
    for name in names:
        target = model.dataset_info.targets[name]
        labels = gather_labels(datasets, name, target)
        fixed = fixed_composition(hypers["atomic_baseline"].get(name, {}), types)
        composition = fit_composition(labels.values, structures, species, len(types), target, fixed)
        offset = composition_term(structures, species, target, composition)
        scale = 1.0
        if name in hypers["fixed_scaling_weights"]:
            scale = float(hypers["fixed_scaling_weights"][name])
        elif hypers["scale_targets"]:
            scale = fit_scale(labels, labels.values - offset, structures, target)
        set_baseline(model, name, Normalization(composition, scale))


def set_baseline(model: BaseModel, name: str, normalization: Normalization) -> None:
    """Write a fitted baseline into the buffers of the model."""
    baseline = _baseline(model, name)
    baseline.composition.copy_(torch.from_numpy(normalization.composition))
    baseline.scale.fill_(normalization.scale)


def normalizations(model: BaseModel) -> dict[str, Normalization]:
    """The baselines that the model holds, by target."""
    baselines = {name: _baseline(model, name) for name in model.baselines}
    return {
        name: Normalization(baseline.composition.cpu().numpy(), float(baseline.scale))
        for name, baseline in baselines.items()
    }


def _baseline(model: BaseModel, name: str) -> Baseline:
    baseline = model.baselines[name]
    assert isinstance(baseline, Baseline)
    return baseline


def _check_names(hypers: dict[str, Any], targets: dict[str, TargetInfo]) -> None:
    for option in ("atomic_baseline", "fixed_scaling_weights", "per_structure_targets"):
        for name in hypers[option]:
            if name not in targets:
                raise OptionsError(
                    f"architecture.training.{option} names the target '{name}'"
                    f"{did_you_mean(name, targets)}; the targets are {sorted(targets)}"
                )


def fixed_composition(given: float | dict[int, float], types: tuple[int, ...]) -> dict[int, float]:
    """Fixed values by species index; a single number is meant for every element."""
    if not isinstance(given, dict):
        return dict.fromkeys(range(len(types)), float(given))
    unknown = sorted(set(given) - set(types))
    if unknown:
        raise OptionsError(
            f"architecture.training.atomic_baseline gives the atomic types {unknown}, which the "
            f"data do not contain; they contain {list(types)}"
        )
    return {types.index(atomic_type): float(value) for atomic_type, value in given.items()}


def fit_composition(
    values: np.ndarray,
    structures: Structures,
    species: np.ndarray,
    num_species: int,
    target: TargetInfo,
    fixed: dict[int, float],
) -> np.ndarray:
    """Contribution (T, P) of an atom of each species, by least squares in float64.

    Where the compositions of the data do not tell the elements apart, the solution of least norm.

    :param values: labels (S, P), or (A, P) for a target of each atom; NaN where missing
    """
    one_hot = np.eye(num_species)[species]
    counts = one_hot if target.per_atom else np.add.reduceat(one_hot, structures.offsets[:-1])
    composition = np.zeros((num_species, values.shape[1]))
    for index, value in fixed.items():
        composition[index] = value
    free = [index for index in range(num_species) if index not in fixed]
    for column in range(values.shape[1]):
        found = np.isfinite(values[:, column])
        rest = values[found, column] - counts[found] @ composition[:, column]
        if free and found.any():
            composition[free, column] = np.linalg.lstsq(counts[found][:, free], rest)[0]
    return composition


def fit_scale(
    labels: TargetLabels, residual: np.ndarray, structures: Structures, target: TargetInfo
) -> float:
    """The typical size of what is left to learn.

    For an energy with forces the root mean square of the forces, since the forces are most of the
    numbers; else that of the residual, by atom where the target belongs to a structure.
    """
    forces = labels.gradients.get("positions")
    if forces is not None and np.isfinite(forces).any():
        return _root_mean_square(forces)
    if not target.per_atom:
        residual = residual / np.diff(structures.offsets)[:, None]
    return _root_mean_square(residual)


def _root_mean_square(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    scale = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
    # labels that the composition explains wholly leave nothing to scale
    return scale if scale > 1e-12 else 1.0


def shift_composition(
    model: BaseModel,
    names: list[str],
    datasets: list[Dataset],
    batch_size: int,
    dtype: torch.dtype,
    device: torch.device,
) -> None:
    """Refit the composition of targets that the model knows, by what it now predicts wrongly.

    Other data may come from another method, whose energies differ by a constant for each element.
    Weights and scale stay as they are, and so do targets of each atom.
    """
    names = [name for name in names if not model.dataset_info.targets[name].per_atom]
    if not names:
        return
    structures = concatenate([dataset.structures for dataset in datasets])
    info = model.dataset_info
    species = species_of(structures, info.atomic_types)
    old = normalizations(model)
    store = build_store(datasets, info, model.cutoff, old, torch.float64)
    raw = _raw_totals(model, store, names, batch_size, dtype, device)
    for name in names:
        rest = (store.targets[name].values.numpy() - raw[name]) * old[name].scale
        change = fit_composition(
            rest, structures, species, store.num_species, info.targets[name], {}
        )
        set_baseline(model, name, Normalization(old[name].composition + change, old[name].scale))


def _raw_totals(
    model: BaseModel,
    store: GraphStore,
    names: list[str],
    batch_size: int,
    dtype: torch.dtype,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """What the network says of each structure, (S, P) in float64, scaled, without composition."""
    model.eval()
    totals: dict[str, list[np.ndarray]] = {name: [] for name in names}
    store = store.to(device)
    for indices in torch.arange(len(store), device=device).split(batch_size):
        batch = store.batch(indices)
        with torch.no_grad():
            atomic = model.predict(batch.vectors.to(dtype), batch.graph)
        for name in names:
            values = atomic[name].to(torch.float64)
            zeros = values.new_zeros((len(indices), values.shape[1]))
            totals[name].append(zeros.index_add(0, batch.graph.system, values).cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in totals.items()}
