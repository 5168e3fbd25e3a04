"""Dividing data sets into training, validation and test."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mt_shared.data.dataset import Dataset
from mt_shared.data.indices import Indices, read_frame_numbers
from mt_shared.errors import DataError

TRAINING = "training"

# A fraction of all structures, or the frame numbers of those that are meant.
Part = float | Indices


def split_datasets(
    datasets: Sequence[Dataset], parts: Mapping[str, Part], seed: int
) -> dict[str, list[Dataset]]:
    """Divide each data set; what no part takes is for training.

    Frame numbers count in the file, whatever the data set holds of it. A fraction is of the
    structures that training would have had, in each data set, drawn at random and reproducibly.

    :param parts: fraction or indices of ``validation``, ``test``, ...; ``training`` may have
        indices as well
    :return: lists with a part of each data set: ``training`` first, then the others
    :raises DataError: if a part or training comes out empty, or indices overlap
    """
    fractions = {name: part for name, part in parts.items() if isinstance(part, float | int)}
    lists = {name: part for name, part in parts.items() if not isinstance(part, float | int)}
    if lists and len(datasets) > 1:
        name = next(iter(lists))
        raise DataError(
            f"{name}: indices need a single training file, there are {len(datasets)}; "
            f"describe the {name} set with systems and targets"
        )
    for name, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise DataError(f"{name}: the fraction {fraction} must be at least 0 and below 1")
    if sum(fractions.values()) >= 1:
        named = " and ".join(f"{name} {fraction}" for name, fraction in fractions.items())
        raise DataError(f"{named} leave nothing to train on; fractions must add up to less than 1")

    # One generator for all: data sets of one size are not divided alike.
    generator = np.random.default_rng(seed)
    chosen = [_divide(dataset, fractions, lists, generator) for dataset in datasets]
    total = sum(map(len, datasets))
    splits = {}
    for name in dict.fromkeys([TRAINING, *parts]):
        # A fraction of exactly 0, or an empty list, is how options say "no such set".
        part = parts.get(name, ())
        if isinstance(part, float | int):
            is_none, of = part == 0, f" ({part} of them)"
        else:
            is_none, of = not isinstance(part, str | Path) and len(part) == 0, ""
        is_empty = not any(len(c[name]) for c in chosen)
        if is_empty and (name == TRAINING or not is_none):
            raise DataError(
                f"the {name} set{of} would be empty: there are {total} structures in all; "
                "add structures or change the fractions or indices"
            )
        splits[name] = [
            dataset.subset(c[name]) for dataset, c in zip(datasets, chosen, strict=True)
        ]
    return splits


def _divide(
    dataset: Dataset,
    fractions: Mapping[str, float],
    lists: Mapping[str, Indices],
    generator: np.random.Generator,
) -> dict[str, NDArray[np.int64]]:
    """Indices into the data set for training and for each part."""
    given = {name: _positions(dataset, part, name) for name, part in lists.items()}
    for first, second in combinations(given, 2):
        both = np.intersect1d(given[first], given[second])
        if len(both):
            raise DataError(
                f"{len(both)} indices are in the {first} set and in the {second} set, "
                f"frame {dataset.frames[both[0]]} for one; a structure belongs to one set"
            )
    base = given.pop(TRAINING, np.arange(len(dataset)))
    pool = base[~np.isin(base, np.concatenate([*given.values(), []]))]

    # One order for all fractions, so that the parts do not overlap; what is left is for training,
    # in the order of the file.
    order = generator.permutation(len(pool))
    start = 0
    for name, fraction in fractions.items():
        # The small number keeps 0.29 * 100 = 28.999... from losing a structure.
        stop = start + math.floor(fraction * len(base) + 1e-9)
        given[name] = pool[order[start:stop]]
        start = stop
    return {**given, TRAINING: pool[np.sort(order[start:])]}


def _positions(dataset: Dataset, part: Indices, name: str) -> NDArray[np.int64]:
    """Where in the data set the frames with the given numbers are."""
    num_frames = int(dataset.frames.max()) + 1 if len(dataset) else 0
    numbers = read_frame_numbers(part, f"indices of the {name} set in {dataset.source}")
    numbers.check_range(num_frames)
    frames = numbers.frames
    position_of = np.full(num_frames, -1)
    position_of[dataset.frames] = np.arange(len(dataset))
    lacking = frames[position_of[frames] < 0]
    if len(lacking):
        raise DataError(
            f"indices of the {name} set: frame {lacking[0]} of {dataset.source} "
            "is not among the frames that were read"
        )
    return position_of[frames]
