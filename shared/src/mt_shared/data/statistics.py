"""What a model may have to know of its training set as a whole, computed when it asks."""

from collections.abc import Sequence

import numpy as np

from mt_shared.contract import Statistics
from mt_shared.data.dataset import Dataset
from mt_shared.data.neighbors import neighbor_lists

# Neighbors are counted of this number of structures at most.
MAX_STRUCTURES = 1000
# Structures whose neighbor lists are in memory together.
CHUNK = 50


def training_statistics(datasets: Sequence[Dataset]) -> Statistics:
    """The statistics of a training set; they hold on to the data until ``forget_data``."""
    return Statistics(
        num_structures=sum(map(len, datasets)),
        num_atoms=sum(dataset.structures.num_atoms for dataset in datasets),
        count_neighbors=lambda cutoff: _mean_num_neighbors(datasets, cutoff),
    )


def _mean_num_neighbors(datasets: Sequence[Dataset], cutoff: float) -> float:
    total = sum(map(len, datasets))
    # the same ones each time, from all parts of the files
    chosen = np.linspace(0, total, min(total, MAX_STRUCTURES), endpoint=False).astype(np.int64)
    num_atoms, num_edges, first = 0, 0, 0
    for dataset in datasets:
        rows = chosen[(chosen >= first) & (chosen < first + len(dataset))] - first
        first += len(dataset)
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            structures = dataset.structures.subset(part)
            lists = neighbor_lists(structures, cutoff, dataset.source, dataset.frames[part])
            num_atoms += structures.num_atoms
            num_edges += len(lists.centers)
    return num_edges / num_atoms
