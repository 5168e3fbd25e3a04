"""Where a training step of ours spends its time.

Usage: ``python profile_step.py OPTIONS``

The options must give at least ``WARM_UP + 2 * STEPS`` steps in the first epoch: first steps that
nobody looks at, then steps by the clock, then as many under torch.profiler.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from mt_core import train
from mt_shared.data import GraphStore
from mt_shared.engine import Adam, EpochErrors, Loss
from mt_soap_bpnn.trainer import SoapBpnnTrainer

WARM_UP, STEPS = 6, 7
ROWS = 12
PART = "part of a step: "


class Stopwatch:
    """Counts the steps by their predictions, and ends the training after the last one."""

    def __init__(self) -> None:
        self.step = 0
        self.clock = 0.0
        self.milliseconds = 0.0
        self.profiler = profile(activities=[ProfilerActivity.CPU])

    def begin_step(self) -> None:
        self.step += 1
        if self.step == WARM_UP:
            self.clock = time.perf_counter()
        elif self.step == WARM_UP + STEPS:
            self.milliseconds = 1e3 * (time.perf_counter() - self.clock) / STEPS
            self.profiler.start()
        elif self.step == WARM_UP + 2 * STEPS:
            self.profiler.stop()
            print(json.dumps(self.result()), flush=True)
            os._exit(0)

    def result(self) -> dict[str, Any]:
        """Milliseconds of a step: by the clock, by part, and by operator without its children."""
        events = [e for e in self.profiler.key_averages() if "ProfilerStep" not in e.key]
        events.sort(key=lambda event: -event.self_cpu_time_total)
        own = [1e-3 * float(event.self_cpu_time_total) / STEPS for event in events]
        parts = {
            event.key.removeprefix(PART): 1e-3 * event.cpu_time_total / STEPS
            for event in events
            if event.key.startswith(PART)
        }
        operators = [
            (event.key.replace(PART, "Python code in: "), event.count / STEPS, milliseconds)
            for event, milliseconds in zip(events[:ROWS], own)
        ]
        return {
            "milliseconds": self.milliseconds,
            "profiled": sum(own),
            "parts": parts,
            "operators": operators,
        }


def mark(owner: Any, method: str, label: str) -> None:
    """Give the profiler a name for all that happens in a method."""
    original: Callable[..., Any] = getattr(owner, method)

    def marked(*arguments: Any, **options: Any) -> Any:
        with record_function(PART + label):
            return original(*arguments, **options)

    setattr(owner, method, marked)


def main() -> None:
    stopwatch = Stopwatch()
    mark(SoapBpnnTrainer, "predict", "prediction, with forces")
    mark(GraphStore, "batch", "cutting the batch")
    mark(Loss, "__call__", "loss")
    mark(torch.autograd, "backward", "backward")
    mark(Adam, "step", "optimizer")
    mark(EpochErrors, "update", "errors of the epoch")
    trainer: Any = SoapBpnnTrainer
    predict = trainer.predict

    def timed(*arguments: Any) -> Any:
        stopwatch.begin_step()
        return predict(*arguments)

    trainer.predict = timed
    train(sys.argv[1])


if __name__ == "__main__":
    main()
