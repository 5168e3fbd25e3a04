"""What a training says while it runs: a line in the log, a row in train.csv, a bar."""

from __future__ import annotations

import csv
import logging
import math
import shutil
import sys
import time
from pathlib import Path
from types import TracebackType

from mt_shared.engine.metrics import Metric

log = logging.getLogger("mt.train")


class Report:
    """Reports the epochs of one training.

    :param folder: of ``train.csv``, whose first rows are those of ``history``
    :param history: epochs before a restart
    """

    def __init__(
        self,
        folder: Path,
        metrics: list[Metric],
        num_epochs: int,
        log_interval: int,
        log_mae: bool,
        history: list[dict[str, float]],
    ):
        self.path = folder / "train.csv"
        self.metrics = metrics
        self.num_epochs = num_epochs
        self.log_interval = log_interval
        self.kinds = ("RMSE", "MAE") if log_mae else ("RMSE",)
        self.started = time.monotonic()
        self.first_epoch = len(history)
        self.bar = ProgressBar(num_epochs, len(history))
        with self.path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self._header())
            writer.writerows(self._row(epoch) for epoch in history)

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.close()

    def _columns(self) -> list[tuple[str, str]]:
        """Key of each error in a row of the history, and its unit."""
        return [
            (f"{split} {metric.label} {kind}", metric.unit)
            for split in ("train", "val")
            for metric in self.metrics
            for kind in self.kinds
        ]

    def _header(self) -> list[str]:
        errors = [f"{key} [{unit}]" if unit else key for key, unit in self._columns()]
        return ["epoch", "learning rate", "train loss", "val loss", *errors]

    def _row(self, epoch: dict[str, float]) -> list[str]:
        keys = ["learning rate", "train loss", "val loss", *(key for key, _ in self._columns())]
        return [str(int(epoch["epoch"])), *(repr(epoch.get(key, math.nan)) for key in keys)]

    def epoch(self, epoch: dict[str, float]) -> None:
        """Report an epoch: always in train.csv, every ``log_interval`` in the log."""
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(self._row(epoch))
        number = int(epoch["epoch"])
        if number % self.log_interval == 0 or number == self.num_epochs or number == 1:
            self.bar.clear()
            log.info(self._line(epoch))
        self.bar.advance(epoch["train loss"], epoch["val loss"])

    def _line(self, epoch: dict[str, float]) -> str:
        number = int(epoch["epoch"])
        elapsed = time.monotonic() - self.started
        left = elapsed / (number - self.first_epoch) * (self.num_epochs - number)
        parts = [f"epoch {number}/{self.num_epochs}"]
        parts.append(f"loss {epoch['train loss']:.3e} (val {epoch['val loss']:.3e})")
        for metric in self.metrics:
            for kind in self.kinds:
                train, val = (epoch[f"{s} {metric.label} {kind}"] for s in ("train", "val"))
                label = metric.label if kind == "RMSE" else f"{metric.label} MAE"
                parts.append(f"{label} {_error(train)} (val {_error(val)}) {metric.unit}")
        return " | ".join([*parts, f"{_duration(left)} left"])


class ProgressBar:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, num_epochs: int, first_epoch: int):
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            size = shutil.get_terminal_size()
            self._bar = tqdm(
                total=num_epochs,
                initial=first_epoch,
                unit="epoch",
                leave=False,
                # a terminal may say that it has no columns and rows, and tqdm would show nothing
                ncols=size.columns,
                nrows=size.lines,
            )

    def advance(self, train_loss: float, val_loss: float) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {train_loss:.2e}, val {val_loss:.2e}", refresh=False)
            self._bar.update(1)

    def clear(self) -> None:
        """Take the bar away, so that a line can be written in its place."""
        if self._bar is not None:
            self._bar.clear()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _error(value: float) -> str:
    """Without labels there is no error."""
    return "-" if math.isnan(value) else f"{value:.4g}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
