"""The usual implementation of the trainer's contract: minibatches, gradients, epochs."""

from __future__ import annotations

import copy
import logging
import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mt_shared.contract import (
    DatasetInfo,
    DryRun,
    Interrupted,
    ModelInterface,
    TargetInfo,
    TrainerInterface,
    write_checkpoint,
)
from mt_shared.data import Batch, Dataset, GraphStore, cut_batches, epoch_batches
from mt_shared.engine.baselines import normalizations, store_for
from mt_shared.engine.divergence import MAX_HALVINGS, copy_of_state, divergence
from mt_shared.engine.dry_run import try_largest_batch
from mt_shared.engine.finetuning import (
    initialize_model,
    log_finetuning,
    note_training,
    set_trainable,
    trained_info,
)
from mt_shared.engine.first_call import check_first_call
from mt_shared.engine.loss import Loss, loss_terms
from mt_shared.engine.metrics import EpochErrors, metrics_of, selection_metric
from mt_shared.engine.optimization import Adam, Optimizer, Schedule, TorchOptimizer
from mt_shared.engine.prediction import Prediction, predict
from mt_shared.engine.report import Report
from mt_shared.engine.repulsion import without_repulsion
from mt_shared.engine.rotations import random_rotations, rotate
from mt_shared.engine.signals import StopRequest
from mt_shared.engine.state import (
    Best,
    LossFunction,
    Position,
    Training,
    in_saved_order,
    write_rotating,
)
from mt_shared.engine.threads import settle_threads
from mt_shared.engine.validation import check_validation
from mt_shared.errors import UserError
from mt_shared.model import TrainableModel, adapted_class
from mt_shared.options import complete_engine_hypers

log = logging.getLogger("mt.train")


class Trainer(TrainerInterface[dict[str, Any]]):
    """Trains by gradients. Subclasses change single steps through the hooks, never their order.

    A model needs to be no more than a :class:`~mt_shared.model.trainable.TrainableModel`, which any
    ``ModelInterface`` is made by an adapter.

    :param hypers: what it lacks has the default of the engine
    """

    __checkpoint_version__ = 1

    augment_with_rotations: ClassVar[bool] = False
    """Whether :meth:`transform` turns each structure of each batch at random, with its labels: for
    a model that is not invariant by itself."""

    def __init__(self, hypers: dict[str, Any]):
        super().__init__(complete_engine_hypers(hypers))
        self.context = "new"
        self._saved: dict[str, Any] | None = None
        self._old_info: DatasetInfo | None = None
        self._training: Training | None = None
        self.info: DatasetInfo | None = None
        """Of what is trained: the targets that the data have labels of, and the inputs."""

    @classmethod
    def trained_class(cls, model_class: type[ModelInterface[Any]]) -> type[ModelInterface[Any]]:
        """The author's class, or an adapter around it where it only has ``forward``."""
        trainable = issubclass(model_class, TrainableModel)
        return model_class if trainable else adapted_class(model_class)

    # ---- hooks

    def make_loss(self, targets: dict[str, TargetInfo]) -> LossFunction:
        """Hook: the loss of a batch, a function of predictions and batch; by default, what the
        option ``loss`` says.

        :param targets: those that the data have labels of, with the gradients that have some
        """
        return Loss(loss_terms(self.hypers["loss"], targets))

    def make_optimizer(
        self, parameters: dict[str, torch.nn.Parameter]
    ) -> Optimizer | torch.optim.Optimizer:
        """Hook: what makes the steps; by default, Adam or AdamW by the option ``optimizer``.

        :param parameters: all that train, by their names in the model; after a restart in the order
            that they had before it
        """
        is_adamw = self.hypers["optimizer"] == "adamw"
        rate, decay = self.hypers["learning_rate"], self.hypers["weight_decay"] or 0.0
        return Adam(parameters.values(), rate, decay, is_adamw)

    def transform(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Hook: augment a batch of the training, at random but by this generator."""
        if not self.augment_with_rotations:
            return batch
        assert self.info is not None, "a batch comes from a training"
        rotations = random_rotations(len(batch.num_atoms), generator)
        return rotate(batch, rotations, self.info)

    def predict(self, model: TrainableModel[Any], batch: Batch) -> dict[str, Prediction]:
        """Hook: the predictions that the loss compares with the labels."""
        return predict(model, batch, training=True)

    def after_backward(self, model: TrainableModel[Any]) -> None:
        """Hook: change the gradients before the optimizer's step; by default, clip their norm."""
        if self.hypers["gradient_clip_norm"] is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.hypers["gradient_clip_norm"])

    def after_epoch(self, model: TrainableModel[Any], results: dict[str, float]) -> None:
        """Hook: at the end of an epoch, after its validation and before its checkpoint.

        :param results: the numbers of its line, such as ``val energy RMSE``
        """

    def extra_state(self) -> dict[str, Any]:
        """Hook: what else a restart has to know, as tensors and plain values."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Hook: the inverse of :meth:`extra_state`, before the training goes on."""

    # ---- training

    def train(
        self,
        model: TrainableModel[Any],
        dtype: torch.dtype,
        devices: list[torch.device],
        train_datasets: list[Dataset],
        val_datasets: list[Dataset],
        checkpoint_dir: Path,
    ) -> None:
        run = self._prepare(model, dtype, devices[0], train_datasets, val_datasets)
        folder = Path(checkpoint_dir)
        report = Report(folder, run.metrics, self.hypers, run.history)
        with closing(report.bar), StopRequest() as stop:
            self._save(run, folder)
            while not self._has_ended(run):
                run.good = copy_of_state(run, self.extra_state())
                self._train_epoch(run, stop, folder)
                fault = divergence(run)
                if fault is not None:
                    report.bar.clear()
                    self._go_back(run, fault, folder)
                    continue
                self._end_epoch(run)
                self.after_epoch(run.model, run.history[-1])
                report.epoch(run.history[-1])
                if self._is_due(run):
                    self._save(run, folder)
            if not self._is_due(run):
                self._save(run, folder)
        self._log_end(run, folder)

    def dry_run(
        self,
        model: TrainableModel[Any],
        dtype: torch.dtype,
        devices: list[torch.device],
        train_datasets: list[Dataset],
        val_datasets: list[Dataset],
    ) -> DryRun:
        run = self._prepare(model, dtype, devices[0], train_datasets, val_datasets)
        generator = torch.Generator().manual_seed(run.seed % 2**63)

        def step(batch: Batch) -> Tensor:
            return self._step(run, self.transform(batch, generator))[1]

        return try_largest_batch(run.train, self._batches(run, 0), step, self.hypers["num_epochs"])

    def _prepare(
        self,
        model: TrainableModel[Any],
        dtype: torch.dtype,
        device: torch.device,
        train_datasets: list[Dataset],
        val_datasets: list[Dataset],
    ) -> Training:
        """Everything that is done once: baselines, neighbor lists, optimizer, saved state."""
        hypers = self.hypers
        model.to(device=device, dtype=dtype)
        # The order matters. The repulsion comes off the labels before anything looks at them:
        # baselines are fitted to what is left. They are in the model before the stores are built,
        # which take them off the labels too. Which parameters train is settled after low-rank
        # layers have been added and before the optimizer collects them.
        train_datasets = without_repulsion(model, train_datasets)
        val_datasets = without_repulsion(model, val_datasets)
        note_training(model, train_datasets, hypers)
        info = trained_info(model.dataset_info, train_datasets)
        if self.context != "restart":
            initialize_model(model, info, self._old_info, train_datasets, hypers)
        set_trainable(model, info.targets, hypers["finetune"])
        log_finetuning(model, info, self._old_info, hypers["finetune"])
        check_first_call(model, train_datasets[0], info, dtype)
        train, val = (
            store_for(model, datasets, info, dtype).to(device)
            for datasets in (train_datasets, val_datasets or [train_datasets[0].subset([])])
        )
        check_validation(val, hypers)
        self.info = info
        run = self._make_training(model, train, val, info)
        if self._saved is not None:
            self._restore(run, self._saved)
        settle_threads(run, self.predict, self._batches(run, 0))
        self._training = run
        return run

    def _make_training(
        self, model: TrainableModel[Any], train: GraphStore, val: GraphStore, info: DatasetInfo
    ) -> Training:
        """Where a training begins: its loss, its optimizer, and what it is measured by."""
        hypers = self.hypers
        trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
        if self._saved is not None:
            trained = in_saved_order(trained, self._saved["trainer"])
        optimizer = self.make_optimizer(trained)
        if isinstance(optimizer, torch.optim.Optimizer):
            optimizer = TorchOptimizer(optimizer)
        average = None
        if hypers["ema_decay"] is not None:
            mean = get_ema_multi_avg_fn(hypers["ema_decay"])
            average = AveragedModel(model, multi_avg_fn=mean)
        normalization = normalizations(model, info.targets)
        return Training(
            model=model,
            train=train,
            val=val,
            loss=self.make_loss(info.targets),
            metrics=[
                replace(metric, factor=metric.factor * normalization[metric.target].scale)
                for metric in metrics_of(info.targets, info.length_unit)
            ],
            optimizer=optimizer,
            trained=list(trained),
            schedule=Schedule(hypers),
            average=average,
            seed=torch.initial_seed(),
        )

    def _restore(self, run: Training, saved: dict[str, Any]) -> None:
        run.load_state(saved["trainer"], saved["best_state"])
        # checkpoints from before there was this hook do not have it
        if "extra" in saved["trainer"]:
            self.load_extra_state(saved["trainer"]["extra"])
        if run.schedule.halvings > 0:
            # one that was given up is tried once more, since somebody asks for it
            run.schedule.halvings = min(run.schedule.halvings, MAX_HALVINGS)
            log.info(
                f"The learning rate is {run.schedule.factor:g} of that of the options: the "
                f"training has diverged {run.schedule.halvings} times"
            )
        if run.position.epoch >= self.hypers["num_epochs"]:
            log.info(
                f"Nothing is left to train: {run.position.epoch} epochs are done, and num_epochs "
                f"is {self.hypers['num_epochs']}; raise it to go on"
            )

    def _load_state(self, run: Training, state: dict[str, Any]) -> None:
        """Take the training back to where :func:`copy_of_state` was called."""
        run.model.load_state_dict(state["model"])
        run.load_state(state["trainer"], run.best.state)
        self.load_extra_state(state["trainer"]["extra"])

    def _train_epoch(self, run: Training, stop: StopRequest, folder: Path) -> None:
        """The steps of an epoch that are not done yet: after a restart, from its middle on."""
        batches = self._batches(run, run.position.epoch)
        errors = EpochErrors(run.metrics, run.train, run.position.sums)
        # Sums stay on the device until the epoch ends: reading one waits for all work before it.
        run.position.sums = errors.sums
        if run.position.loss is None:
            run.position.loss = errors.sums.new_zeros(())
        run.model.train()
        for step in range(run.position.step, len(batches)):
            if stop.received is not None:
                self._interrupt(run, stop, folder)
            # at the middle of the step, so that a warm-up does not begin with a rate of zero
            epochs = run.position.epoch + (step + 0.5) / len(batches)
            progress = epochs / self.hypers["num_epochs"]
            run.optimizer.learning_rate = run.schedule.rate(progress)
            batch = run.train.batch(batches[step].to(run.train.vectors.device))
            batch = self.transform(batch, run.random_of_step(step))
            predictions, loss = self._step(run, batch)
            errors.update(predictions, batch)
            run.position.loss += loss.detach().to(torch.float64) / len(batches)
            run.position.step = step + 1
        # before the validation, which may take long
        if stop.received is not None:
            self._interrupt(run, stop, folder)

    def _step(self, run: Training, batch: Batch) -> tuple[dict[str, Prediction], Tensor]:
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

    def _batches(self, run: Training, epoch: int) -> list[Tensor]:
        size, max_atoms = self.hypers["batch_size"], self.hypers["max_atoms_per_batch"]
        return epoch_batches(run.train.num_atoms.cpu(), size, max_atoms, run.seed, epoch)

    # ---- the end of an epoch

    def _go_back(self, run: Training, fault: str, folder: Path) -> None:
        """Back to the end of the last good epoch, to go on with half the learning rate."""
        epoch = run.position.epoch + 1
        self._load_state(run, run.good)
        if self.hypers["on_divergence"] == "stop":
            raise UserError(
                f"in epoch {epoch}, {fault}, and on_divergence is 'stop'; lower "
                "architecture.training.learning_rate or set gradient_clip_norm. The state before "
                f"that epoch is in {self._save(run, folder)}"
            )
        run.schedule.halvings += 1
        log.warning(
            f"In epoch {epoch}, {fault}: back to the end of epoch {run.position.epoch}, and on "
            f"with {run.schedule.factor:g} of the learning rate"
            if run.schedule.halvings <= MAX_HALVINGS
            else f"In epoch {epoch}, {fault}, after {MAX_HALVINGS} times half the learning rate: "
            "the training ends here"
        )

    def _end_epoch(self, run: Training) -> None:
        """Validate, keep the best model, write the history, and step to the next epoch."""
        assert run.position.loss is not None
        epoch, loss = run.position.epoch + 1, float(run.position.loss)
        results = EpochErrors(run.metrics, run.train, run.position.sums).results()
        validation = self._validate(run)
        # without labels to compare with there is nothing to choose by, and the last model is kept
        metric = math.nan
        if run.val.has_labels:
            metric = selection_metric(self.hypers["best_model_metric"], validation, run.metrics)
            if math.isinf(metric):
                log.warning(
                    f"Epoch {epoch}: the error on the validation set is not finite, so that this "
                    "model is not kept"
                )
        run.schedule.after_epoch(metric)
        run.position = Position(epoch)
        if metric < run.best.metric or math.isnan(metric):
            state = copy.deepcopy(run.evaluated_model.state_dict())
            run.best = Best(epoch, metric, dict(state))
        run.history.append(
            {f"train {name}": value for name, value in results.items()}
            | {"train loss": loss}
            | {f"val {name}": value for name, value in validation.items()}
            | {"epoch": epoch, "learning rate": run.optimizer.learning_rate}
            | {"rate factor": run.schedule.factor}
        )

    def _validate(self, run: Training) -> dict[str, float]:
        """The errors of the model that would be kept, and its loss, on the validation set."""
        model, store = run.evaluated_model, run.val
        model.eval()
        errors = EpochErrors(run.metrics, store, None)
        total = errors.sums.new_zeros(())
        order, num_atoms = torch.arange(len(store)), store.num_atoms.cpu()
        size, max_atoms = self.hypers["batch_size"], self.hypers["max_atoms_per_batch"]
        batches = cut_batches(order, num_atoms, size, max_atoms) if len(store) else []
        for indices in batches:
            batch = store.batch(indices.to(store.vectors.device))
            predictions = predict(model, batch, training=False)
            errors.update(predictions, batch)
            total += run.loss(predictions, batch).detach().to(torch.float64) / len(batches)
        return errors.results() | {"loss": float(total) if batches else math.nan}

    def _is_due(self, run: Training) -> bool:
        return run.position.epoch % self.hypers["checkpoint_interval"] == 0

    def _has_ended(self, run: Training) -> bool:
        is_done = run.position.epoch >= self.hypers["num_epochs"]
        return is_done or run.schedule.halvings > MAX_HALVINGS or self._stagnates(run)

    def _log_end(self, run: Training, folder: Path) -> None:
        """Say which model is the best one.

        :raises UserError: there is none
        """
        if run.best.epoch == 0:
            why = (
                "no epoch had a finite error on the validation set: look at its labels and at "
                "structures unlike those of the training set"
                if run.position.epoch > 0
                else "the first epoch diverged at every learning rate that was tried: lower "
                "architecture.training.learning_rate, or look at the labels, their units, and "
                "structures whose atoms are too close"
            )
            raise UserError(f"{why}. The last state is in {folder / 'latest.ckpt'}")
        if run.position.epoch < self.hypers["num_epochs"] and self._stagnates(run):
            log.info(f"Stopped after epoch {run.position.epoch}: no progress in validation")
        log.info(f"Best model: epoch {run.best.epoch}")

    def _stagnates(self, run: Training) -> bool:
        patience = self.hypers["early_stopping_patience"]
        # an epoch that was interrupted is finished first: only whole epochs count
        if patience is None or run.position.step > 0:
            return False
        return run.position.epoch - run.best.epoch >= patience

    # ---- checkpoints

    def _interrupt(self, run: Training, stop: StopRequest, folder: Path) -> None:
        assert stop.received is not None
        # what has diverged is of no use to a restart, which would not know where to go back to
        if run.position.loss is not None and not math.isfinite(float(run.position.loss)):
            self._load_state(run, run.good)
        path = self._save(run, folder)
        raise Interrupted(stop.received.name, 128 + stop.received, path)

    def _save(self, run: Training, folder: Path) -> Path:
        return write_rotating(self._checkpoint(run.model), folder)

    def _checkpoint(self, model: TrainableModel[Any]) -> dict[str, Any]:
        assert self._training is not None, "save_checkpoint comes after train"
        return {
            **model.get_checkpoint(),
            "best_state": self._training.best.state,
            "trainer_version": self.__checkpoint_version__,
            "trainer_hypers": copy.deepcopy(self.hypers),
            "trainer": {**self._training.state(), "extra": self.extra_state()},
        }

    def save_checkpoint(self, model: TrainableModel[Any], path: Path) -> None:
        """The state of the training and the best model, whole or not at all."""
        write_checkpoint(self._checkpoint(model), path)

    @classmethod
    def load_checkpoint(
        cls, checkpoint: dict[str, Any], hypers: dict[str, Any], context: str
    ) -> Trainer:
        trainer = cls(hypers)
        trainer.context = context
        trainer._old_info = DatasetInfo.from_dict(checkpoint["dataset_info"])
        if context == "restart":
            # the rest is in the model, and would fill memory for the whole training
            trainer._saved = {name: checkpoint[name] for name in ("trainer", "best_state")}
        return trainer
