"""One step on the largest batch: does it run, how long does it take, how much memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import torch

from mt_shared.contract import DryRun
from mt_shared.data import Batch, GraphStore
from mt_shared.errors import UserError


def try_largest_batch(
    store: GraphStore, batches: list[torch.Tensor], step: Callable[[Batch], torch.Tensor]
) -> DryRun:
    """Run ``step`` on the batch with the most edges; an epoch is estimated by its edges.

    :param step: of the training, which gives the loss
    :raises UserError: the loss is not finite
    """
    device = store.vectors.device
    # memory and time grow with the edges, rather than with the atoms
    edges = store.edge_offsets.diff().cpu()
    largest = max(batches, key=lambda indices: int(edges[indices].sum()))
    batch = store.batch(largest.to(device))
    # the first step pays for what later ones find ready, such as memory and compiled kernels
    loss = step(batch)
    if not bool(torch.isfinite(loss)):
        raise UserError(
            f"the loss of the first step is {float(loss)}: before any training, the model predicts "
            "what is not finite. Are there atoms in one place, or is a fault in the architecture?"
        )
    _synchronize(device)
    started = time.perf_counter()
    step(batch)
    _synchronize(device)
    seconds = time.perf_counter() - started
    share = max(len(batch.vectors), 1) / max(int(edges.sum()), 1)
    return DryRun(
        seconds_per_epoch=max(seconds / share, seconds),
        peak_memory=peak_memory(device),
        steps_per_epoch=len(batches),
        largest_batch_atoms=len(batch.graph.species),
    )


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that this process has held so far, or the allocator of a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes here, Linux kilobytes
    return peak if sys.platform == "darwin" else peak * 1024


def _synchronize(device: torch.device) -> None:
    # a GPU works on while Python is ahead of it: without this, the clock measures Python alone
    if device.type == "cuda":
        torch.cuda.synchronize(device)
