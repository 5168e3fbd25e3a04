"""The end of a run: the errors on every split, and how to use the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

from mt_core.evaluation import (
    Errors,
    Predictions,
    add_errors,
    best_device,
    load_model,
    outputs_of_targets,
    predict,
)
from mt_core.loading import Splits
from mt_shared.contract import DatasetInfo
from mt_shared.data import Dataset, composition_term, concatenate, gather_labels, species_of
from mt_shared.engine import fit_composition

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel

BATCH_SIZE = 64

SplitErrors = dict[str, dict[str, Errors]]
"""Errors by split and by quantity."""


def error_table(
    model: Path, splits: Splits, info: DatasetInfo, extensions: str | Path | None
) -> str:
    """The errors of an exported file on every split, beside those of the composition alone."""
    of_model = model_errors(load_model(model, extensions), splits, info)
    return format_split_errors(of_model, composition_errors(splits, info))


def model_errors(model: AtomisticModel, splits: Splits, info: DatasetInfo) -> SplitErrors:
    """The errors of an exported model on every split, predicted as an engine would."""
    wanted = outputs_of_targets(model, info.targets)
    device = best_device(model)
    model = model.to(device)
    found: SplitErrors = {}
    for name, datasets in splits.datasets.items():
        errors = found.setdefault(name, {})
        for chunk in _chunks(datasets):
            predictions = predict(model, chunk.structures, wanted, info.length_unit, device)
            add_errors(errors, predictions, chunk, info.targets, info.length_unit)
    return found


def composition_errors(splits: Splits, info: DatasetInfo) -> SplitErrors:
    """The errors of what needs no learning: a least-squares value for each element, no forces."""
    training = splits.datasets["training"]
    structures = concatenate([data.structures for data in training])
    species = species_of(structures, info.atomic_types)
    compositions = {
        name: fit_composition(
            gather_labels(training, name, target).values,
            structures,
            species,
            len(info.atomic_types),
            target,
            {},
        )
        for name, target in info.targets.items()
    }
    found: SplitErrors = {}
    for split, datasets in splits.datasets.items():
        errors = found.setdefault(split, {})
        for chunk in datasets:
            predictions = {
                name: _from_composition(chunk, info, name, composition)
                for name, composition in compositions.items()
            }
            add_errors(errors, predictions, chunk, info.targets, info.length_unit)
    return found


def _from_composition(
    chunk: Dataset, info: DatasetInfo, name: str, composition: np.ndarray
) -> Predictions:
    target, structures = info.targets[name], chunk.structures
    species = species_of(structures, info.atomic_types)
    return Predictions(
        values=composition_term(structures, species, target, composition),
        per_atom=target.per_atom,
        forces=np.zeros((structures.num_atoms, 3)),
        stress=np.zeros((structures.num_systems, 3, 3)),
    )


def _chunks(datasets: list[Dataset]) -> Iterator[Dataset]:
    for data in datasets:
        for start in range(0, len(data), BATCH_SIZE):
            yield data.subset(np.arange(start, min(start + BATCH_SIZE, len(data))))


def format_split_errors(model: SplitErrors, composition: SplitErrors) -> str:
    """A table: quantity, and for each split the error of the model and of the composition."""
    rows = [("RMSE", "unit", "split", "model", "composition alone")]
    for split, errors in model.items():
        for label, error in errors.items():
            if error.number:
                plain = composition[split][label].rmse
                unit = error.metric.unit
                rows.append((label, unit, split, f"{error.rmse:.4g}", f"{plain:.4g}"))
    return as_table(rows)


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of as many words each, in columns."""
    widths = [max(len(text) for text in column) for column in zip(*rows)]
    lines = ["  ".join(text.ljust(w) for text, w in zip(row, widths)).rstrip() for row in rows]
    return "\n".join(lines)


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
    return "\n".join(lines if variant else lines + _engine_lines(model, info, extensions))


def _engine_lines(model: Path, info: DatasetInfo, extensions: str | Path | None) -> list[str]:
    types = " ".join(str(number) for number in info.atomic_types)
    symbols = " ".join(chemical_symbols[number] for number in info.atomic_types)
    lammps = f" extensions {extensions}" if extensions else ""
    ipi = f",extensions={extensions}" if extensions else ""
    return [
        f"  in i-PI:   i-pi-py_driver -m metatomic -o template=start.xyz,model={model}{ipi}",
        f"  in LAMMPS: pair_style metatomic {model}{lammps}",
        f"             pair_coeff * * {types}    # atom types 1, 2, ... are {symbols}",
    ]
