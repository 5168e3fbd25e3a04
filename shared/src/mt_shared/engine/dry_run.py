"""One step on the largest batch: does it run, how long does it take, how much memory."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from mt_shared.contract import DryRun
from mt_shared.data import Batch, GraphStore
from mt_shared.errors import UserError


def try_largest_batch(
    store: GraphStore,
    batches: list[Tensor],
    step: Callable[[Batch], Tensor],
    num_epochs: int,
) -> DryRun:
    """Run ``step`` on the batch with the most edges; an epoch is estimated by its edges.

    :param step: of the training, which gives the loss
    :param num_epochs: of the whole training
    :raises UserError: the loss is not finite
    """
    device = store.vectors.device
    # memory and time grow with the edges, rather than with the atoms
    edges = store.edge_offsets.diff().cpu()
    largest = max(batches, key=lambda indices: int(edges[indices].sum()))
    batch = store.batch(largest.to(device))
    # the first step pays for what later ones find ready, such as memory and compiled kernels
    loss = step(batch).item()
    if not math.isfinite(loss):
        raise UserError(
            f"the loss of the first step is {loss}: before any training, the model predicts "
            "what is not finite. Are there atoms in one place, or is a fault in the architecture?"
        )
    started = time.perf_counter()
    # item waits for a GPU, which works on while Python is ahead of it: the clock would measure
    # Python alone
    step(batch).item()
    seconds = time.perf_counter() - started
    share = max(len(batch.graph.vectors), 1) / max(int(edges.sum()), 1)
    # macOS counts bytes here, Linux kilobytes
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated(device)
    return DryRun(
        seconds_per_epoch=max(seconds / share, seconds),
        peak_memory=memory,
        steps_per_epoch=len(batches),
        largest_batch_atoms=len(batch.graph.species),
        num_epochs=num_epochs,
    )
