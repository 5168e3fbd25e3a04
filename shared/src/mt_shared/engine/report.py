"""What a training says while it runs: a line in the log, a row in train.csv, a bar."""

from __future__ import annotations

import csv
import logging
import math
import shutil
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mt_shared.engine.metrics import Metric

log = logging.getLogger("mt.train")


class Report:
    """Reports the epochs of one training; the user of its ``bar`` closes it.

    :param folder: of ``train.csv``, whose first rows are those of ``history``
    :param history: epochs before a restart
    """

    def __init__(
        self,
        folder: Path,
        metrics: list[Metric],
        hypers: dict[str, Any],
        history: list[dict[str, float]],
    ):
        self.path = folder / "train.csv"
        self.metrics = metrics
        self.num_epochs = hypers["num_epochs"]
        self.log_interval = hypers["log_interval"]
        self.kinds = ("RMSE", "MAE") if hypers["log_mae"] else ("RMSE",)
        self.units = {
            f"{split} {metric.label} {kind}": metric.unit
            for split in ("train", "val")
            for metric in metrics
            for kind in self.kinds
        }
        self.started = time.monotonic()
        self.first_epoch = len(history)
        # a terminal may say that it has no columns and rows, and tqdm would show nothing
        size = shutil.get_terminal_size()
        self.bar = tqdm(
            total=self.num_epochs,
            initial=len(history),
            leave=False,
            # what is last is cut off where a terminal is narrow: the bar, and no number
            bar_format="epoch {n_fmt}/{total_fmt}{postfix} [{elapsed}<{remaining}] {bar}",
            disable=None,  # where there is no terminal
            ncols=size.columns,
            nrows=size.lines,
        )
        # anew, since a restart may begin at a checkpoint before the last row
        with self.path.open("w", newline="") as file:
            writer = csv.writer(file)
            errors = [f"{key} [{unit}]" if unit else key for key, unit in self.units.items()]
            writer.writerow(
                ["epoch", "learning rate", "rate factor", "train loss", "val loss", *errors]
            )
            writer.writerows(self._row(epoch) for epoch in history)

    def _row(self, epoch: dict[str, float]) -> list[str]:
        keys = ["learning rate", "rate factor", "train loss", "val loss", *self.units]
        # repr: every digit, so that a restart writes the same rows again
        return [str(int(epoch["epoch"])), *(repr(epoch.get(key, math.nan)) for key in keys)]

    def epoch(self, epoch: dict[str, float]) -> None:
        """Report an epoch: always in train.csv, every ``log_interval`` in the log."""
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(self._row(epoch))
        number = int(epoch["epoch"])
        if number % self.log_interval == 0 or number == self.num_epochs or number == 1:
            # a line is written in its place
            self.bar.clear()
            log.info(self._line(epoch))
        losses = f"loss {_loss(epoch['train loss'], 2)}, val {_loss(epoch['val loss'], 2)}"
        self.bar.set_postfix_str(losses, refresh=False)
        self.bar.update(1)

    def _line(self, epoch: dict[str, float]) -> str:
        number = int(epoch["epoch"])
        elapsed = time.monotonic() - self.started
        left = elapsed / (number - self.first_epoch) * (self.num_epochs - number)
        losses = f"loss {_loss(epoch['train loss'], 3)} (val {_loss(epoch['val loss'], 3)})"
        parts = [f"epoch {number}/{self.num_epochs}", losses]
        for metric in self.metrics:
            for kind in self.kinds:
                train, val = (epoch[f"{s} {metric.label} {kind}"] for s in ("train", "val"))
                parts.append(metric.line(train, val, kind))
        return " | ".join([*parts, f"{_duration(left)} left"])


def _loss(value: float, digits: int) -> str:
    # nothing is validated
    return "-" if math.isnan(value) else f"{value:.{digits}e}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
