"""The trainer of GAP: a fit in closed form, without epochs.

Of the shared engine it takes plain functions: baselines, metrics, signals, checkpoints.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mt_gap.data import Data, fingerprint, gather, without_composition
from mt_gap.fitting import fit
from mt_gap.model import Gap
from mt_gap.noise import noise_of
from mt_gap.report import errors_of, say_errors, unexplained, write_errors
from mt_shared.contract import Interrupted, TrainerInterface, upgrade_by_version, write_checkpoint
from mt_shared.data import Dataset, Normalization
from mt_shared.engine import (
    Metric,
    StopRequest,
    fit_composition,
    fit_scale,
    fixed_composition,
    metrics_of,
    normalizations,
    set_baseline,
    trained_info,
    without_repulsion,
    write_rotating,
)
from mt_shared.errors import CheckpointError, OptionsError
from mt_shared.options import baseline_by_type

log = logging.getLogger("mt.train")


class GapTrainer(TrainerInterface[Gap]):
    """Fits in one step.

    - A restart of a fit that is done has nothing left to do and gives the same model. A fit that
      was interrupted begins anew: it takes seconds, and only those are lost.
    - Fine-tuning fits what the model predicts wrongly of the new data, and adds the new sparse
      points to those of the model, which stay.
    """

    __checkpoint_version__ = 1

    def __init__(self, hypers: dict[str, Any]):
        super().__init__(hypers)
        self._saved: dict[str, Any] | None = None
        self._state: dict[str, Any] = {}

    # ---- training

    def train(
        self,
        model: Gap,
        dtype: torch.dtype,
        devices: list[torch.device],
        train_datasets: list[Dataset],
        val_datasets: list[Dataset],
        checkpoint_dir: Path,
    ) -> None:
        folder = Path(checkpoint_dir)
        info = trained_info(model.dataset_info, [*train_datasets, *val_datasets])
        metrics = metrics_of(info.targets, info.length_unit)
        val_datasets = val_datasets or [train_datasets[0].subset([])]
        train, val = (_data(model, datasets) for datasets in (train_datasets, val_datasets))
        self._begin(train)
        if not self._state["finished"]:
            with StopRequest() as stop:
                unfinished = self._save(model, folder)
                self._fit(model, train, partial(_heed, stop, unfinished))
            self._finish(model, metrics, train, val)
        self._save(model, folder)
        write_errors(folder, metrics, **self._state["errors"])
        say_errors(metrics, **self._state["errors"])

    def _begin(self, data: Data) -> None:
        """The state of a fit of these data that has not begun, or of the one to be restarted."""
        known = {"data": fingerprint(data), "hypers": _without_paths(self.hypers)}
        if self._saved is None or not self._saved["finished"]:
            if self._saved is not None:
                log.info("The fit was interrupted before its end: it begins anew")
            self._state = {"seed": torch.initial_seed(), "finished": False, "errors": {}, **known}
            return
        self._state = self._saved
        if self._saved["hypers"] != known["hypers"]:
            raise OptionsError(
                "the fit of this checkpoint is done, and with other options of "
                "architecture.training than these: set them back, or fit anew without --restart"
            )
        if self._saved["data"] != known["data"]:
            raise CheckpointError(
                "the fit of this checkpoint is done, and to other data than these: fit anew "
                "without --restart, or add what is new by architecture.training.finetune.read_from"
            )
        log.info("Nothing is left to do: a fit is one step, and it is done")

    def _fit(self, model: Gap, data: Data, check: Callable[[], None]) -> None:
        """Baselines first, then the sparse points."""
        name, types = model.energy_name, model.dataset_info.atomic_types
        target, old = model.dataset_info.targets[name], normalizations(model, [name])[name]
        baseline = baseline_by_type(self.hypers["atomic_baseline"]).get(name, {})
        fixed = {
            kind: value - float(old.composition[kind, 0])
            for kind, value in fixed_composition(baseline, types).items()
        }
        if model.is_fitted:
            log.info("Fine-tuning by the method 'residual': the sparse points of the model stay")
        left = unexplained(model, data)
        change = fit_composition(
            left.labels.values, left.structures, left.species, len(types), target, fixed
        )
        left = without_composition(left, target, change)
        typical = fit_scale(left.labels, left.labels.values, left.structures, target)
        scale = old.scale if model.is_fitted else typical
        set_baseline(model, name, Normalization(old.composition + change, scale))
        noise = noise_of(self.hypers, typical, residual=model.is_fitted)
        fit(model, left, noise, typical, check)

    def _finish(self, model: Gap, metrics: list[Metric], train: Data, val: Data) -> None:
        errors = {"train": train, "val": val}
        self._state["errors"] = {
            split: errors_of(unexplained(model, data), metrics) for split, data in errors.items()
        }
        self._state["finished"] = True

    # ---- checkpoints

    def _save(self, model: Gap, folder: Path) -> Path:
        return write_rotating(self._checkpoint(model), folder)

    def _checkpoint(self, model: Gap) -> dict[str, Any]:
        assert self._state, "save_checkpoint comes after train"
        return {
            **model.get_checkpoint(),
            "trainer_version": self.__checkpoint_version__,
            "trainer_hypers": copy.deepcopy(self.hypers),
            "trainer": copy.deepcopy(self._state),
        }

    def save_checkpoint(self, model: Gap, path: Path) -> None:
        """The model and how far its fit is, whole or not at all."""
        write_checkpoint(self._checkpoint(model), path)

    @classmethod
    def load_checkpoint(
        cls, checkpoint: dict[str, Any], hypers: dict[str, Any], context: str
    ) -> GapTrainer:
        trainer = cls(hypers)
        if context == "restart":
            trainer._saved = checkpoint["trainer"]
        elif not checkpoint["trainer"]["finished"]:
            raise CheckpointError(
                "the fit of this checkpoint was interrupted, so that it has no model to be "
                "fine-tuned; let it end first, by --restart"
            )
        return trainer

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Nothing to change yet; a newer version is refused."""
        return upgrade_by_version(checkpoint, "trainer_version", cls.__checkpoint_version__, {})


def _data(model: Gap, datasets: list[Dataset]) -> Data:
    """Structures and labels, less the repulsion of nuclei where the model has it."""
    return gather(model, model.energy_name, without_repulsion(model, datasets))


def _heed(stop: StopRequest, unfinished: Path) -> None:
    """End the fit where a signal has asked for it."""
    if stop.received is not None:
        raise Interrupted(stop.received.name, 128 + stop.received, unfinished)


def _without_paths(hypers: dict[str, Any]) -> dict[str, Any]:
    """The options that a result depends on."""
    return {name: value for name, value in hypers.items() if name != "finetune"}
