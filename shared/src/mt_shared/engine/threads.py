"""How many threads a training has: as few as are nearly as fast as any, by a trial at its start.

With small batches, threads wait for one another more than they compute: how many are of use depends
on the model, the batches, the machine and on who else uses it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mt_shared.data import Batch
from mt_shared.engine.prediction import Prediction
from mt_shared.engine.state import Training
from mt_shared.model import TrainableModel
from mt_shared.threads import allowed_threads, plural, wished_threads

log = logging.getLogger("mt.train")

NEARLY = 1.1
"""A number of threads is as good as the fastest one if its steps take at most this much longer."""

REPEATS, SECONDS = 3, 0.04
"""A number of threads is tried for so many steps in a row, or for as long; at least for one."""

QUICK = 0.3
"""Where all numbers together take less than these seconds, they are tried once more: the machine
may have been busy with something else while it was the turn of one of them."""

NUM_BATCHES = 100
"""Among this number of batches, the first ones, the typical one is looked for."""

Predict = Callable[[TrainableModel[Any], Batch], dict[str, Prediction]]


def settle_threads(run: Training, predict: Predict, batches: list[Tensor]) -> None:
    """Give torch the number of threads of a training on a CPU, and note it for restarts.

    It is what options or environment ask for, or else that of the checkpoint, or else tried.

    :param predict: as in a step of the training
    :param batches: of an epoch, as indices of structures
    """
    if run.train.vectors.device.type != "cpu":
        return
    before, wish, allowed = run.threads, wished_threads(), allowed_threads()
    if wish is not None:
        number = wish
    elif before is not None:
        number = min(before, allowed)
    # without OpenMP, torch takes a number once and for all
    elif allowed > 1 and torch.backends.openmp.is_available():
        number = _tried(run, predict, batches, allowed)
    else:
        number = min(allowed, torch.get_num_threads())
    if before == number:
        log.info(f"Going on with {plural(number)}, as before")
    elif before is not None:
        why = "options or environment ask for" if wish else "this process may use"
        log.warning(
            f"note: going on with {plural(number)}, which is what {why}, instead of {before}: "
            "numbers may differ in their last digits from those of a training that was not stopped"
        )
    torch.set_num_threads(number)
    run.threads = number


def _tried(run: Training, predict: Predict, batches: list[Tensor], allowed: int) -> int:
    """The number for a typical batch, by steps that change neither the training nor the model."""
    edges = run.train.edge_offsets.diff()
    by_size = sorted(batches[:NUM_BATCHES], key=lambda indices: int(edges[indices].sum()))
    batch = run.train.batch(by_size[len(by_size) // 2])

    def step() -> None:
        loss = run.loss(predict(run.model, batch), batch)
        if loss.requires_grad:
            # unlike backward, it leaves no gradients behind
            torch.autograd.grad(loss, run.optimizer.parameters, allow_unused=True)

    was_training = run.model.training
    # as in a step, which may be computed otherwise than an evaluation; of layers that count in it,
    # such as a batch normalization, all is put back
    buffers = {name: each.clone() for name, each in run.model.named_buffers()}
    run.model.train()
    with torch.random.fork_rng(devices=[]):
        seconds = seconds_by_threads(step, allowed)
    run.model.train(was_training)
    for name, each in run.model.named_buffers():
        each.copy_(buffers[name])
    number = best_number(seconds)
    told = ", ".join(f"{1e3 * each:.3g} ms with {of}" for of, each in seconds.items())
    log.info(f"Training with {number} of {plural(allowed)}: a step takes {told}")
    return number


def best_number(seconds: dict[int, float]) -> int:
    """The least number of threads that is nearly as fast as the fastest one."""
    fastest = min(seconds.values())
    return min(number for number, each in seconds.items() if each <= NEARLY * fastest)


def seconds_by_threads(step: Callable[[], None], allowed: int) -> dict[int, float]:
    """How long a step takes with 1, 2, 4, ... threads, for as long as more of them help."""
    seconds: dict[int, float] = {}
    numbers = [*(2**power for power in range(allowed.bit_length()) if 2**power < allowed), allowed]
    # it pays for what later steps find ready, such as memory
    step()
    started = time.perf_counter()
    for number in numbers:
        seconds[number] = _least_seconds(step, number)
        if seconds[number] > min(seconds.values()):
            break
    if time.perf_counter() - started < QUICK:
        for number, before in seconds.items():
            seconds[number] = min(before, _least_seconds(step, number))
    return seconds


def _least_seconds(step: Callable[[], None], threads: int) -> float:
    torch.set_num_threads(threads)
    least, spent = math.inf, 0.0
    for _ in range(REPEATS):
        started = time.perf_counter()
        step()
        took = time.perf_counter() - started
        least, spent = min(least, took), spent + took
        if spent > SECONDS:
            break
    return least
