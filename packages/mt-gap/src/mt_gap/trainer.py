"""The trainer of GAP: a fit in closed form, without epochs.

Of the shared engine it takes plain functions: baselines, metrics, signals, checkpoints.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mt_gap.data import Data, fingerprint, gather, without_composition
from mt_gap.fitting import Noise, fit, unexplained
from mt_gap.model import Gap
from mt_gap.report import errors_of, log_errors, write_errors
from mt_shared.contract import Interrupted, TrainerInterface, write_checkpoint
from mt_shared.data import Dataset, Normalization
from mt_shared.engine import (
    StopRequest,
    fit_composition,
    fit_scale,
    fixed_composition,
    metrics_of,
    normalizations,
    set_baseline,
    trained_info,
    write_rotating,
)
from mt_shared.errors import CheckpointError, OptionsError
from mt_shared.options import baseline_by_type

log = logging.getLogger("mt.train")


class GapTrainer(TrainerInterface[dict[str, Any]]):
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
        train, val = (gather(model, datasets) for datasets in (train_datasets, val_datasets))
        self._begin(train)
        if not self._state["finished"]:
            with StopRequest() as stop:
                # of the model as it came: where a signal ends the fit, a restart begins anew
                unfinished = write_rotating(self._checkpoint(model), folder)

                def check() -> None:
                    if stop.received is not None:
                        code = 128 + stop.received
                        raise Interrupted(stop.received.name, code, unfinished)

                self._fit(model, train, check)
            self._state["errors"] = {
                split: errors_of(unexplained(model, data), metrics)
                for split, data in (("train", train), ("val", val))
            }
            self._state["finished"] = True
        write_rotating(self._checkpoint(model), folder)
        write_errors(folder, metrics, **self._state["errors"])
        log_errors(metrics, **self._state["errors"])

    def _begin(self, data: Data) -> None:
        """The state of a fit of these data that has not begun, or of the one to be restarted."""
        # what the result depends on; the section finetune says where the old model lies, which is
        # in the checkpoint by now
        hypers = {name: value for name, value in self.hypers.items() if name != "finetune"}
        known = {"data": fingerprint(data), "hypers": hypers}
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
        # A new model's composition is zero, so that all is a change of what there is. What the
        # options fix is the whole composition, hence the difference.
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
        # the weights of old sparse points are in units of the old scale
        scale = old.scale if model.is_fitted else typical.value
        set_baseline(model, name, Normalization(old.composition + change, scale))
        noise = Noise.from_hypers(self.hypers, typical, residual=model.is_fitted)
        fit(model, left, noise, typical.value, check)

    # ---- checkpoints

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
