"""Structures and labels: read, checked, divided, and cut into flat batches.

``readers`` are the files; the rest is arrays, the same for all of them.
"""

from mt_shared.data.batches import (
    Batch,
    BatchTarget,
    GraphStore,
    cut_batches,
    epoch_batches,
    largest_batch,
)
from mt_shared.data.dataset import (
    IMPOSSIBLE,
    Dataset,
    TargetLabels,
    gather_inputs,
    gather_labels,
    target_info,
)
from mt_shared.data.doubts import label_doubts
from mt_shared.data.fingerprints import array_fingerprint, dataset_fingerprint
from mt_shared.data.graph import (
    Graph,
    graph_from_systems,
    graph_of_edges,
    in_dtype,
    opposite_edges,
    refuse_coincident_atoms,
    starts_of,
)
from mt_shared.data.label_table import label_table
from mt_shared.data.neighbors import neighbor_lists, shortest_reach
from mt_shared.data.readers import read_chunks, read_dataset
from mt_shared.data.samples import Sample, with_neighbor_lists
from mt_shared.data.splits import split_datasets
from mt_shared.data.statistics import training_statistics
from mt_shared.data.store import (
    Normalization,
    build_store,
    composition_term,
    of_samples,
    species_of,
)
from mt_shared.data.structures import Structures, concatenate, offsets_from_counts
from mt_shared.data.systems import (
    add_input,
    add_neighbor_lists,
    requested_inputs,
    requested_neighbor_lists,
    short_name,
    strained_systems,
    systems_from,
    tensor_map,
)
from mt_shared.data.units import check_unit, conversion, gradient_factor

__all__ = [
    "IMPOSSIBLE",
    "Batch",
    "BatchTarget",
    "Dataset",
    "Graph",
    "GraphStore",
    "Normalization",
    "Sample",
    "Structures",
    "TargetLabels",
    "add_input",
    "add_neighbor_lists",
    "array_fingerprint",
    "build_store",
    "check_unit",
    "composition_term",
    "concatenate",
    "conversion",
    "cut_batches",
    "dataset_fingerprint",
    "epoch_batches",
    "gather_inputs",
    "gather_labels",
    "gradient_factor",
    "graph_from_systems",
    "graph_of_edges",
    "in_dtype",
    "label_doubts",
    "label_table",
    "largest_batch",
    "neighbor_lists",
    "of_samples",
    "offsets_from_counts",
    "opposite_edges",
    "read_chunks",
    "read_dataset",
    "refuse_coincident_atoms",
    "requested_inputs",
    "requested_neighbor_lists",
    "short_name",
    "shortest_reach",
    "species_of",
    "split_datasets",
    "starts_of",
    "strained_systems",
    "systems_from",
    "target_info",
    "tensor_map",
    "training_statistics",
    "with_neighbor_lists",
]
