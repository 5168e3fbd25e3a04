"""The usual implementation of the trainer's contract: minibatches, gradients, epochs."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mt_shared.contract import (
    DatasetInfo,
    DryRun,
    Interrupted,
    TrainerInterface,
    upgrade_by_version,
    write_checkpoint,
)
from mt_shared.data import Batch, Dataset, build_store, cut_batches, epoch_batches
from mt_shared.engine.baselines import normalizations
from mt_shared.engine.checkpoint_pair import write_rotating
from mt_shared.engine.dry_run import rehearse
from mt_shared.engine.finetuning import begin, choose_parameters, say_what_trains, trained_info
from mt_shared.engine.loss import Loss, loss_terms
from mt_shared.engine.metrics import ErrorSums, metrics_of, selection_metric
from mt_shared.engine.optimization import Schedule, make_average, make_optimizer
from mt_shared.engine.prediction import Prediction, predict
from mt_shared.engine.report import Report
from mt_shared.engine.repulsion import without_repulsion
from mt_shared.engine.signals import StopRequest
from mt_shared.engine.state import Best, Position, StateDict, Training
from mt_shared.errors import ArchitectureError, UserError
from mt_shared.model import BaseModel
from mt_shared.options import engine_defaults

log = logging.getLogger("mt.train")


class Trainer(TrainerInterface[BaseModel]):
    """Trains by gradients. Subclasses change single steps through the hooks, never their order."""

    __checkpoint_version__ = 1

    def __init__(self, hypers: dict[str, Any]):
        super().__init__(hypers)
        self.context = "new"
        self._saved: dict[str, Any] | None = None
        self._saved_best: StateDict | None = None
        self._known: DatasetInfo | None = None
        self._training: Training | None = None

    # ---- hooks

    def transform(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Hook: augment a batch of the training, at random but by this generator."""
        return batch

    def predict(self, model: BaseModel, batch: Batch) -> dict[str, Prediction]:
        """Hook: the predictions that the loss compares with the labels."""
        return predict(model, batch, training=True)

    def after_backward(self, model: BaseModel) -> None:
        """Hook: change the gradients before the optimizer's step; by default, clip their norm."""
        if self.hypers["gradient_clip_norm"] is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.hypers["gradient_clip_norm"])

    # ---- training

    def train(
        self,
        model: BaseModel,
        dtype: torch.dtype,
        devices: list[torch.device],
        train_datasets: list[Dataset],
        val_datasets: list[Dataset],
        checkpoint_dir: Path,
    ) -> None:
        run = self._prepare(model, dtype, devices[0], train_datasets, val_datasets)
        folder = Path(checkpoint_dir)
        with self._report(run, folder) as report, StopRequest() as stop:
            self._save(run, folder)
            while run.position.epoch < self.hypers["num_epochs"] and not self._stagnates(run):
                self._train_epoch(run, stop, folder)
                self._end_epoch(run)
                report.epoch(run.history[-1])
                if self._is_due(run):
                    self._save(run, folder)
            if not self._is_due(run):
                self._save(run, folder)
        self._say_best(run)

    def dry_run(
        self,
        model: BaseModel,
        dtype: torch.dtype,
        devices: list[torch.device],
        train_datasets: list[Dataset],
        val_datasets: list[Dataset],
    ) -> DryRun:
        run = self._prepare(model, dtype, devices[0], train_datasets, val_datasets)
        return rehearse(run.train, self._batches(run, 0), lambda batch: self._step(run, batch)[1])

    def _prepare(
        self,
        model: BaseModel,
        dtype: torch.dtype,
        device: torch.device,
        train_datasets: list[Dataset],
        val_datasets: list[Dataset],
    ) -> Training:
        """Everything that is done once: baselines, neighbor lists, optimizer, saved state."""
        self._check_hypers()
        model.to(device=device, dtype=dtype)
        train_datasets = without_repulsion(model, train_datasets)
        val_datasets = without_repulsion(model, val_datasets)
        info = trained_info(model.dataset_info, train_datasets)
        if self.context != "restart":
            begin(model, info, self._known, train_datasets, self.hypers)
        choose_parameters(model, info.targets, self.hypers["finetune"])
        say_what_trains(model, info, self._known, self.hypers["finetune"])
        normalization = normalizations(model, info.targets)
        val_datasets = val_datasets or [train_datasets[0].subset([])]
        train, val = (
            build_store(datasets, info, model.cutoff, normalization, dtype).to(device)
            for datasets in (train_datasets, val_datasets)
        )
        targets = info.targets
        run = Training(
            model=model,
            train=train,
            val=val,
            loss=Loss(loss_terms(self.hypers["loss"], targets), self._per_structure),
            metrics=metrics_of(targets, info.length_unit, self._per_structure),
            scales={name: values.scale for name, values in normalization.items()},
            optimizer=make_optimizer(model, self.hypers),
            schedule=Schedule(self.hypers),
            average=make_average(model, self.hypers["ema_decay"]),
            seed=torch.initial_seed(),
        )
        if self.context == "restart":
            self._restore(run)
        self._training = run
        return run

    def _check_hypers(self) -> None:
        """A package without a schema gets its own defaults alone."""
        lacking = [name for name in engine_defaults() if name not in self.hypers]
        if lacking:
            raise ArchitectureError(
                f"{type(self).__name__} trains by the shared engine, and lacks hypers of it: "
                f"{', '.join(lacking[-3:])} and so on. They come to a package whose "
                'schema-hypers.json has "$ref": "urn:mt-shared:engine:1" in its section training'
            )

    def _restore(self, run: Training) -> None:
        assert self._saved is not None
        run.seed = self._saved["seed"]
        run.load_state(self._saved, self._saved_best)
        if run.position.epoch >= self.hypers["num_epochs"]:
            log.info(
                f"Nothing is left to train: {run.position.epoch} epochs are done, and num_epochs "
                f"is {self.hypers['num_epochs']}; raise it to go on"
            )

    def _train_epoch(self, run: Training, stop: StopRequest, folder: Path) -> None:
        batches = self._batches(run, run.position.epoch)
        errors = self._error_sums(run)
        if run.position.sums is not None:
            errors.sums = run.position.sums.clone()
        if run.position.loss is None:
            run.position.loss = errors.sums.new_zeros(())
        run.position.sums = errors.sums
        run.model.train()
        for step in range(run.position.step, len(batches)):
            if stop.received is not None:
                self._interrupt(run, stop, folder)
            epochs = run.position.epoch + (step + 0.5) / len(batches)
            progress = epochs / self.hypers["num_epochs"]
            run.optimizer.learning_rate = run.schedule.rate(progress)
            batch = self._augmented(run, batches[step], step)
            predictions, loss = self._step(run, batch)
            errors.update(predictions, batch)
            run.position.loss += loss.detach().to(torch.float64) / len(batches)
            run.position.step = step + 1
        if stop.received is not None:
            self._interrupt(run, stop, folder)

    def _step(self, run: Training, batch: Batch) -> tuple[dict[str, Prediction], torch.Tensor]:
        predictions = self.predict(run.model, batch)
        loss = run.loss(predictions, batch)
        run.optimizer.zero_grad()
        if loss.requires_grad:  # a batch without any label has nothing to teach
            # not the edge vectors, which are leaves too
            torch.autograd.backward(loss, inputs=run.optimizer.parameters)
            self.after_backward(run.model)
            run.optimizer.step()
        if run.average is not None:
            run.average.update_parameters(run.model)
        return predictions, loss

    def _augmented(self, run: Training, indices: torch.Tensor, step: int) -> Batch:
        seed = run.seed + 7919 * run.position.epoch + step
        batch = run.train.batch(indices.to(run.train.vectors.device))
        return self.transform(batch, torch.Generator().manual_seed(seed % 2**63))

    def _batches(self, run: Training, epoch: int) -> list[torch.Tensor]:
        hypers = self.hypers
        return epoch_batches(
            run.train.num_atoms.cpu(),
            hypers["batch_size"],
            hypers["max_atoms_per_batch"],
            run.seed,
            epoch,
        )

    # ---- the end of an epoch

    def _end_epoch(self, run: Training) -> None:
        """Validate, keep the best model, write the history, and step to the next epoch."""
        position = run.position
        assert position.sums is not None and position.loss is not None
        errors = self._error_sums(run)
        errors.sums = position.sums
        results = {f"train {name}": value for name, value in errors.results().items()}
        results["train loss"] = float(position.loss)
        validation = self._validate(run)
        results |= {f"val {name}": value for name, value in validation.items()}
        results |= {"epoch": position.epoch + 1, "learning rate": run.optimizer.learning_rate}
        if not math.isfinite(results["train loss"]):
            raise UserError(
                f"the loss became {results['train loss']} in epoch {position.epoch + 1}; lower "
                "architecture.training.learning_rate or set gradient_clip_norm. The checkpoints "
                "of the epochs before are kept"
            )
        metric = selection_metric(self.hypers["best_model_metric"], validation)
        run.schedule.after_epoch(metric)
        run.position = Position(epoch=position.epoch + 1)
        if metric < run.best.metric or len(run.val) == 0:
            state = copy.deepcopy(run.evaluated_model.state_dict())
            run.best = Best(run.position.epoch, metric, dict(state))
        run.history.append(results)

    def _validate(self, run: Training) -> dict[str, float]:
        """The errors of the model that would be kept, and its loss, on the validation set."""
        model, store = run.evaluated_model, run.val
        model.eval()
        errors = self._error_sums(run)
        total = errors.sums.new_zeros(())
        order = torch.arange(len(store))
        hypers = self.hypers
        batches = cut_batches(
            order, store.num_atoms.cpu(), hypers["batch_size"], hypers["max_atoms_per_batch"]
        )
        for indices in batches if len(store) else []:
            batch = store.batch(indices.to(store.vectors.device))
            predictions = predict(model, batch, training=False)
            errors.update(predictions, batch)
            total += run.loss(predictions, batch).detach().to(torch.float64) / len(batches)
        return errors.results() | {"loss": float(total) if len(store) else math.nan}

    def _is_due(self, run: Training) -> bool:
        """Whether a checkpoint is written after this epoch."""
        return run.position.epoch % self.hypers["checkpoint_interval"] == 0

    def _stagnates(self, run: Training) -> bool:
        patience = self.hypers["early_stopping_patience"]
        if patience is None or run.position.step > 0:
            return False
        return run.position.epoch - run.best.epoch >= patience

    def _say_best(self, run: Training) -> None:
        if run.position.epoch < self.hypers["num_epochs"]:
            log.info(f"Stopped after epoch {run.position.epoch}: no progress in validation")
        log.info(f"Best model: epoch {run.best.epoch}")

    def _error_sums(self, run: Training) -> ErrorSums:
        return ErrorSums(run.metrics, run.scales, self._per_structure, run.train.vectors.device)

    @property
    def _per_structure(self) -> tuple[str, ...]:
        return tuple(self.hypers["per_structure_targets"])

    def _report(self, run: Training, folder: Path) -> Report:
        hypers = self.hypers
        return Report(
            folder,
            run.metrics,
            hypers["num_epochs"],
            hypers["log_interval"],
            hypers["log_mae"],
            run.history,
        )

    # ---- checkpoints

    def _interrupt(self, run: Training, stop: StopRequest, folder: Path) -> None:
        assert stop.received is not None
        path = self._save(run, folder)
        raise Interrupted(stop.received.name, 128 + stop.received, path)

    def _save(self, run: Training, folder: Path) -> Path:
        return write_rotating(self._checkpoint(run.model), folder)

    def _checkpoint(self, model: BaseModel) -> dict[str, Any]:
        assert self._training is not None, "save_checkpoint comes after train"
        checkpoint = model.get_checkpoint()
        checkpoint["best_state"] = self._training.best.state
        checkpoint["trainer_version"] = self.__checkpoint_version__
        checkpoint["trainer_hypers"] = copy.deepcopy(self.hypers)
        checkpoint["trainer"] = self._training.state()
        return checkpoint

    def save_checkpoint(self, model: BaseModel, path: Path) -> None:
        """The state of the training and the best model, whole or not at all."""
        write_checkpoint(self._checkpoint(model), path)

    @classmethod
    def load_checkpoint(
        cls, checkpoint: dict[str, Any], hypers: dict[str, Any], context: str
    ) -> Trainer:
        trainer = cls(hypers)
        trainer.context = context
        trainer._known = DatasetInfo.from_dict(checkpoint["dataset_info"])
        if context == "restart":
            trainer._saved = checkpoint["trainer"]
            trainer._saved_best = checkpoint["best_state"]
        return trainer

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """One step a version, with the functions of :meth:`checkpoint_upgrades`."""
        return upgrade_by_version(
            checkpoint, "trainer_version", cls.__checkpoint_version__, cls.checkpoint_upgrades()
        )

    @classmethod
    def checkpoint_upgrades(cls) -> dict[int, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Hook: ``{1: from_1_to_2, ...}``, functions of the whole checkpoint."""
        return {}
