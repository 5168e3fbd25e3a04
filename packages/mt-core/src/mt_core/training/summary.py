"""The end of a run: the errors on every split, and how to use the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase.data import chemical_symbols

from mt_core.evaluation import (
    Errors,
    Predictions,
    add_errors,
    best_device,
    load_model,
    predict,
    request_targets,
)
from mt_core.loading import Splits
from mt_shared.contract import DatasetInfo
from mt_shared.data import (
    Dataset,
    composition_term,
    concatenate,
    cut_batches,
    gather_labels,
    species_of,
)
from mt_shared.engine import fit_composition
from mt_shared.options import STANDARD_INPUTS
from mt_shared.tables import columns

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel

# structures that are predicted together, whatever a batch of the training was
BATCH_SIZE = 64

SplitErrors = dict[str, Errors]
"""Errors by split and by quantity."""


def error_table(
    model: Path, splits: Splits, info: DatasetInfo, extensions: str | Path | None
) -> str:
    """The errors of an exported file on every split, beside those of the composition alone."""
    of_model = model_errors(load_model(model, extensions), splits, info)
    of_composition = composition_errors(splits, info)
    rows = [("RMSE", "unit", "split", "model", "composition alone")]
    for split, errors in of_model.items():
        for label, error in errors.items():
            if error.number:
                plain = of_composition[split][label].rmse
                unit = error.metric.unit
                rows.append((label, unit, split, f"{error.rmse:.4g}", f"{plain:.4g}"))
    return columns(rows)


def model_errors(model: AtomisticModel, splits: Splits, info: DatasetInfo) -> SplitErrors:
    """The errors of an exported model on every split, predicted as an engine would."""
    requests = request_targets(model, info.targets)
    device = best_device(model)
    model = model.to(device)
    return _split_errors(
        lambda data: predict(model, data, requests, info.length_unit, device),
        splits,
        info,
    )


def composition_errors(splits: Splits, info: DatasetInfo) -> SplitErrors:
    """The errors of what needs no learning: a least-squares value for each element, no forces."""
    training = splits.datasets["training"]
    structures = concatenate([data.structures for data in training])
    species = species_of(structures, info.atomic_types)
    compositions = {}
    for name, target in info.targets.items():
        values = gather_labels(training, name, target).values
        num_types = len(info.atomic_types)
        compositions[name] = fit_composition(values, structures, species, num_types, target, {})

    def predict_composition(data: Dataset) -> dict[str, Predictions]:
        structures = data.structures
        species = species_of(structures, info.atomic_types)
        gradients = {
            "positions": np.zeros((structures.num_atoms, 3)),
            "strain": np.zeros((structures.num_systems, 3, 3)),
        }
        predictions = {}
        for name, target in info.targets.items():
            values = composition_term(structures, species, target, compositions[name])
            predictions[name] = Predictions(values, target.per_atom, gradients, target.type)
        return predictions

    return _split_errors(predict_composition, splits, info)


def _split_errors(
    predictor: Callable[[Dataset], dict[str, Predictions]], splits: Splits, info: DatasetInfo
) -> SplitErrors:
    found: SplitErrors = {}
    for split, datasets in splits.datasets.items():
        errors = found.setdefault(split, {})
        # a split may be there and empty, which no model can be called on
        for data in filter(len, datasets):
            num_atoms = torch.from_numpy(data.structures.atoms_per_system)
            order = torch.arange(len(data))
            for indices in cut_batches(order, num_atoms, BATCH_SIZE, max_atoms=None):
                chunk = data.subset(indices.numpy())
                add_errors(errors, predictor(chunk), chunk, info.targets, info.length_unit)
    return found


def usage_lines(model: Path, info: DatasetInfo, extensions: str | Path | None) -> str:
    """How to use the model, to be copied: in ASE, i-PI and LAMMPS if it gives an energy."""
    energies = sorted(name for name in info.targets if name.split("/")[0] == "energy")
    if not energies:
        return (
            f"The model is {model}; it gives no energy, so simulations cannot run it. "
            f"To predict with it: mt eval {model} eval.yaml -o predictions.xyz"
        )
    variant = energies[0].partition("/")[2]
    chosen = f', variants={{"energy": "{variant}"}}' if variant else ""
    folder = f', extensions_directory="{extensions}"' if extensions else ""
    lines = [
        f"The model is {model}; to use it",
        f'  in ASE:    atoms.calc = metatomic_ase.MetatomicCalculator("{model}"{chosen}{folder})',
    ]
    # where a structure has none, ASE takes it as neutral, and as a singlet, without a word
    asked = [
        f'atoms.info["{name}"]'
        for name, each in info.inputs.items()
        if each.sample_kind == "system" and name in STANDARD_INPUTS
    ]
    if asked:
        lines.append(f"             # the model reads {' and '.join(asked)}: set what is meant")
    # the other engines know no variants: they ask for the plain energy, which is not there
    if not variant:
        types = " ".join(str(number) for number in info.atomic_types)
        symbols = " ".join(chemical_symbols[number] for number in info.atomic_types)
        lammps = f" extensions {extensions}" if extensions else ""
        ipi = f",extensions={extensions}" if extensions else ""
        lines += [
            f"  in i-PI:   i-pi-py_driver -m metatomic -o template=start.xyz,model={model}{ipi}",
            f"  in LAMMPS: pair_style metatomic {model}{lammps}",
            f"             pair_coeff * * {types}    # atom types 1, 2, ... are {symbols}",
        ]
    return "\n".join(lines)
