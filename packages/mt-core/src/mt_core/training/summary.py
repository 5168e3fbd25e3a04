"""The end of a run: the errors on every split, and how to use the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from json import dumps
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase.data import chemical_symbols

from mt_core.evaluation import (
    Errors,
    PiecewisePredictor,
    Predictions,
    add_errors,
    load_model,
    request_targets,
)
from mt_core.loading import Splits
from mt_shared.contract import DatasetInfo
from mt_shared.data import (
    Dataset,
    composition_term,
    concatenate,
    gather_labels,
    species_of,
)
from mt_shared.engine import fit_composition
from mt_shared.options import STANDARD_INPUTS
from mt_shared.tables import columns

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel

NEGLIGIBLE = 1e-5
"""An error below it, in eV, eV/A or the unit of another target, is rounding, and nothing to
be learnt."""

SplitErrors = dict[str, Errors]
"""Errors by split and by quantity."""

Pieces = Iterator[tuple[Dataset, dict[str, Predictions]]]
"""Parts of a data set with their predictions."""


def error_table(
    model: Path,
    extensions: Path | None,
    splits: Splits,
    info: DatasetInfo,
    device: torch.device,
    check: Callable[[], None],
) -> str:
    """The errors of an exported file on every split, beside those of the composition alone.

    Below it stands a warning where the model is no better: what it has not learnt it cannot do.

    :param extensions: the folder of its extensions, if it has any
    :param check: is called before each piece, and may raise what ends the evaluation
    """
    of_model = model_errors(load_model(model, extensions), splits, info, device, check)
    of_composition = composition_errors(splits, info)
    rows = [("RMSE", "unit", "split", "model", "composition alone")]
    worse = []
    for split, errors in of_model.items():
        for label, error in errors.items():
            if error.number:
                plain = of_composition[split][label].rmse
                unit = error.metric.unit
                rows.append((label, unit, split, f"{error.rmse:.4g}", f"{plain:.4g}"))
                # zero by symmetry: rounding is no failure
                if error.rmse > max(plain, NEGLIGIBLE * error.metric.factor):
                    worse.append(f"{label} ({split})")
    table = columns(rows)
    if worse:
        table += (
            f"\nNo better than the composition alone: {', '.join(worse)}. Do not simulate "
            "with this model: it needs more epochs, another learning rate, or other data"
        )
    return table


def model_errors(
    model: AtomisticModel,
    splits: Splits,
    info: DatasetInfo,
    device: torch.device,
    check: Callable[[], None] = lambda: None,
) -> SplitErrors:
    """The errors of an exported model on every split, predicted as by ``mt eval``."""
    requests = request_targets(model, info.targets)
    predictor = PiecewisePredictor(model, requests, info.length_unit, device)

    def predict(data: Dataset) -> Pieces:
        check()
        for piece in predictor(data):
            yield piece
            check()

    return _split_errors(predict, splits, info)


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

    def predict_composition(data: Dataset) -> Pieces:
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
        yield data, predictions

    return _split_errors(predict_composition, splits, info)


def _split_errors(
    predict: Callable[[Dataset], Pieces], splits: Splits, info: DatasetInfo
) -> SplitErrors:
    found: SplitErrors = {}
    for split, datasets in splits.datasets.items():
        errors = found.setdefault(split, {})
        # a split may be there and empty, which no model can be called on
        for data in filter(len, datasets):
            for piece, predictions in predict(data):
                add_errors(errors, predictions, piece, info.targets, info.length_unit)
    return found


def usage_lines(model: Path, info: DatasetInfo, extensions: Path | None) -> str:
    """How to use the model, to be copied: in ASE, i-PI and LAMMPS if it gives an energy."""
    energies = sorted(name for name in info.targets if name.split("/")[0] == "energy")
    if not energies:
        return (
            f"The model is {model}; none of its targets is called energy, so that simulations "
            f"cannot run it. To predict with it: mt eval {quote(str(model))} eval.yaml "
            "-o predictions.xyz"
        )
    variant = energies[0].partition("/")[2]
    return "\n".join(
        [f"The model is {model}; to use it", *_in_engines(model, info, extensions, variant)]
    )


def _in_engines(
    model: Path, info: DatasetInfo, extensions: Path | None, variant: str
) -> Iterator[str]:
    """The lines for ASE, i-PI and LAMMPS, with names as each of them reads them."""
    # a text of JSON is one of Python too
    arguments = dumps(str(model), ensure_ascii=False)
    if extensions is not None:
        arguments += f", extensions_directory={dumps(str(extensions), ensure_ascii=False)}"
    if variant:
        arguments += f", variants={dumps({'energy': variant}, ensure_ascii=False)}"
    yield (
        "  in ASE:    import metatomic_ase; "
        f"atoms.calc = metatomic_ase.MetatomicCalculator({arguments})"
    )
    # where a structure has none, ASE takes it as neutral, and as a singlet, without a word
    asked = [
        f'atoms.info["{name}"]'
        for name, each in info.inputs.items()
        if each.sample_kind == "system" and name in STANDARD_INPUTS
    ]
    if asked:
        yield f"             # the model reads {' and '.join(asked)}: set what is meant"
    given = {"extensions": str(extensions)} if extensions else {}
    of_driver = {"template": "start.xyz", "model": str(model)} | given
    of_driver |= {"energy_variant": variant} if variant else {}
    # its options are divided at commas, which nothing protects
    if not any("," in each for each in of_driver.values()):
        options = ",".join(f"{name}={each}" for name, each in of_driver.items())
        yield f"  in i-PI:   i-pi-py_driver -m metatomic -o {quote(options)}"
    given |= {"variant": variant} if variant else {}
    words = [str(model), *chain.from_iterable(given.items())]
    yield f"  in LAMMPS: pair_style metatomic {' '.join(map(quote, words))}"
    types = " ".join(str(number) for number in info.atomic_types)
    symbols = " ".join(chemical_symbols[number] for number in info.atomic_types)
    yield f"             pair_coeff * * {types}    # atom types 1, 2, ... are {symbols}"
