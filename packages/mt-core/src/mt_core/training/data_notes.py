"""What is to be said of structures and labels as a whole before a model learns from them.

Letters of shapes: A atoms, S structures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mt_core.loading import Splits
from mt_shared.contract import ModelInterface
from mt_shared.data import (
    Dataset,
    Structures,
    composition_term,
    concatenate,
    gather_labels,
    species_of,
)
from mt_shared.engine import Scale, fit_composition, fit_scale

WORDS = {
    "": "values beyond the composition",
    "positions": "forces",
    "strain": "virials by atom",
}
"""For the parts of labels, as they are compared."""

NUM_SHOWN = 3
"""Frames that a note names."""

POSITION_RESOLUTION = 1e-4
"""In the unit of length of the data: a bond that is off by it has another energy than it shows."""

ENERGY_RESOLUTION = 0.01
"""By what labels differ beyond their composition: errors of a good model are about as small."""


@dataclass(frozen=True)
class _Data:
    """All splits together."""

    datasets: list[Dataset]
    structures: Structures

    def frame(self, system: int) -> str:
        """The file and the number of a structure in it."""
        for data in self.datasets:
            if system < len(data):
                return f"frame {data.frames[system]} of {data.source}"
            system -= len(data)
        raise IndexError(system)


def data_notes(
    splits: Splits, model: ModelInterface[Any], dtype: torch.dtype, has_loss: bool
) -> Iterator[str]:
    """Labels that are out of all proportion, and what the dtype cannot hold.

    :param dtype: of the model
    :param has_loss: whether its trainer has the option ``loss``
    """
    datasets = [data for part in splits.datasets.values() for data in part if len(data)]
    data = _Data(datasets, concatenate([each.structures for each in datasets]))
    info = model.dataset_info
    species = species_of(data.structures, info.atomic_types)
    is_single = dtype == torch.float32
    for name, target in info.targets.items():
        labels = gather_labels(datasets, name, target)
        composition = fit_composition(
            labels.values, data.structures, species, len(info.atomic_types), target, {}
        )
        term = composition_term(data.structures, species, target, composition)
        scale = fit_scale(labels, labels.values - term, data.structures, target)
        yield from _out_of_proportion(data, name, scale, has_loss)
        if is_single and target.is_scalar:
            yield from _rounded_values(data, name, labels.values, scale, model)
    if is_single:
        yield from _rounded_positions(data, model)


def _out_of_proportion(data: _Data, name: str, scale: Scale, has_loss: bool) -> Iterator[str]:
    chosen = np.flatnonzero(scale.left_out)
    if not len(chosen):
        return
    found = []
    for system in chosen[:NUM_SHOWN]:
        part = max(scale.parts, key=lambda part: np.nan_to_num(scale.parts[part][system]))
        sizes = scale.parts[part]
        usual = np.nanmax(sizes[~scale.left_out], initial=0.0)
        found.append(
            f"{data.frame(system)} ({WORDS[part]} of {sizes[system]:.3g}, {usual:.3g} at most in "
            "all others)"
        )
    more = f" and {len(chosen) - NUM_SHOWN} more" if len(chosen) > NUM_SHOWN else ""
    loss = "; loss: huber keeps them from spoiling the rest" if has_loss else ""
    yield (
        f"the labels of '{name}' are out of all proportion in {', '.join(found)}{more}. Most "
        "probably they are wrong, by a unit or a calculation that failed: look at them, and mend "
        f"or remove them. Composition and scale are fitted to the others{loss}"
    )


def _rounded_values(
    data: _Data, name: str, values: np.ndarray, scale: Scale, model: ModelInterface[Any]
) -> Iterator[str]:
    target = model.dataset_info.targets[name]
    largest = np.abs(values).max(axis=1)
    # half of the distance to the next number
    rounding = np.spacing(largest.astype(np.float32)).astype(np.float64) / 2
    is_sum = not target.per_atom and target.extensive
    compared = rounding / data.structures.atoms_per_system if is_sum else rounding
    if not np.isfinite(compared).any():
        return
    row, differ = int(np.nanargmax(compared)), np.nanmedian(scale.parts[""])
    # labels that the composition explains wholly have nothing that could be rounded away
    is_explained = differ < 1e-10 * largest[row]
    if is_explained or compared[row] < ENERGY_RESOLUTION * differ:
        return
    system = int(data.structures.system_of_atom[row]) if target.per_atom else row
    by_atom = " by atom" if is_sum else ""
    yield (
        f"float32 holds the '{name}' of {data.frame(system)}, {largest[row]:.4g} {target.unit}, to "
        f"{rounding[row]:.2g} ({compared[row]:.2g}{by_atom}), and labels differ by {differ:.2g}"
        f"{by_atom} beyond their composition. {_who_rounds(model)}. Take a constant for each "
        f"element off the labels, such as the energy of the isolated atom{_or_double(model)}"
    )


def _rounded_positions(data: _Data, model: ModelInterface[Any]) -> Iterator[str]:
    furthest = np.abs(data.structures.positions).max(axis=1)
    atom = int(furthest.argmax())
    resolution = float(np.spacing(np.float32(furthest[atom])))
    if resolution < POSITION_RESOLUTION:
        return
    yield (
        f"an atom of {data.frame(int(data.structures.system_of_atom[atom]))} is at "
        f"{furthest[atom]:.4g}, where float32 holds positions to {resolution:.2g}. "
        f"{_who_rounds(model)}: energies and forces would be those of other bonds. Move structures "
        f"to the origin, or wrap them into their cells{_or_double(model)}"
    )


def _who_rounds(model: ModelInterface[Any]) -> str:
    if getattr(model, "takes_float64", False):
        return "Training and mt eval keep the digits, but simulations of the model lose them"
    return "Training may keep the digits, but predictions of the exported model lose them"


def _or_double(model: ModelInterface[Any]) -> str:
    return ", or set base_precision: 64" if torch.float64 in model.__supported_dtypes__ else ""
