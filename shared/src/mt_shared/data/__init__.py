"""Structures and labels: read, checked, divided, and cut into flat batches.

``readers`` are the files; the rest is arrays, the same for all of them.
"""

from mt_shared.data.batches import Batch, BatchTarget, GraphStore, cut_batches, epoch_batches
from mt_shared.data.dataset import IMPOSSIBLE, Dataset, TargetLabels, gather_labels, target_info
from mt_shared.data.fingerprints import array_fingerprint, dataset_fingerprint
from mt_shared.data.graph import Graph, graph_from_systems, sort_by_species
from mt_shared.data.label_table import label_table
from mt_shared.data.neighbors import MIN_DISTANCE, neighbor_lists
from mt_shared.data.readers import read_chunks, read_dataset
from mt_shared.data.splits import split_datasets
from mt_shared.data.store import Normalization, build_store, composition_term, species_of
from mt_shared.data.structures import Structures, concatenate, offsets_from_counts
from mt_shared.data.units import check_unit, conversion

__all__ = [
    "IMPOSSIBLE",
    "MIN_DISTANCE",
    "Batch",
    "BatchTarget",
    "Dataset",
    "Graph",
    "GraphStore",
    "Normalization",
    "Structures",
    "TargetLabels",
    "array_fingerprint",
    "build_store",
    "check_unit",
    "composition_term",
    "concatenate",
    "conversion",
    "cut_batches",
    "dataset_fingerprint",
    "epoch_batches",
    "gather_labels",
    "graph_from_systems",
    "label_table",
    "neighbor_lists",
    "offsets_from_counts",
    "read_chunks",
    "read_dataset",
    "sort_by_species",
    "species_of",
    "split_datasets",
    "target_info",
]
