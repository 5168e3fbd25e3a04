"""A trainer of its own: minibatches of systems, Adam, and a state that a restart goes on from."""

from __future__ import annotations

import copy
import csv
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from metatomic.torch import System

from mt_shared.contract import Interrupted, TrainerInterface, write_checkpoint
from mt_shared.data import Dataset, add_neighbor_lists, epoch_batches, systems_from
from mt_shared.engine import StopRequest, write_rotating
from mt_soundtoy.model import Vectors

log = logging.getLogger("mt.train")

Samples = list[tuple[System, torch.Tensor]]
"""Each structure with its labels (A, 3, P), NaN where one is missing."""


class VectorTrainer(TrainerInterface[dict[str, Any]]):
    """Fits the vectors by least squares."""

    __checkpoint_version__ = 1

    def __init__(self, hypers: dict[str, Any]):
        super().__init__(hypers)
        self.state: dict[str, Any] = {
            "epoch": 0,
            "step": 0,
            "loss": 0.0,
            "history": [],
            "best": math.inf,
            "optimizer": None,
        }
        self.best_weights: torch.Tensor | None = None
        self.optimizer: torch.optim.Adam | None = None

    def train(
        self,
        model: Vectors,
        dtype: torch.dtype,
        devices: list[torch.device],
        train_datasets: list[Dataset],
        val_datasets: list[Dataset],
        checkpoint_dir: Path,
    ) -> None:
        folder, state = Path(checkpoint_dir), self.state
        model.to(dtype)
        training, validation = (
            _samples(model, datasets, dtype) for datasets in (train_datasets, val_datasets)
        )
        state.setdefault("seed", torch.initial_seed())
        self.optimizer = torch.optim.Adam(model.parameters(), self.hypers["learning_rate"])
        if state["optimizer"] is not None:
            self.optimizer.load_state_dict(state["optimizer"])
        self._write_table(folder)
        with StopRequest() as stop:
            self._save(model, folder)
            while state["epoch"] < self.hypers["num_epochs"]:
                self._train_epoch(model, training, stop, folder)
                self._end_epoch(model, validation, folder)
                if state["epoch"] % self.hypers["checkpoint_interval"] == 0:
                    self._save(model, folder)
            self._save(model, folder)

    def _train_epoch(
        self, model: Vectors, training: Samples, stop: StopRequest, folder: Path
    ) -> None:
        state = self.state
        assert self.optimizer is not None
        sizes = torch.tensor([len(system) for system, _ in training])
        epoch, size = state["epoch"], self.hypers["batch_size"]
        batches = epoch_batches(sizes, size, None, state["seed"], epoch)
        for indices in batches[state["step"] :]:
            if stop.received is not None:
                path = self._save(model, folder)
                raise Interrupted(stop.received.name, 128 + stop.received, path)
            loss = mean_square(model, [training[index] for index in indices])
            if loss is not None:
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                state["loss"] += float(loss.detach()) / len(batches)
            state["step"] += 1

    def _end_epoch(self, model: Vectors, validation: Samples, folder: Path) -> None:
        state = self.state
        with torch.no_grad():
            error = mean_square(model, validation)
        of_validation = math.nan if error is None else float(error)
        if not of_validation >= state["best"]:
            state["best"] = of_validation
            self.best_weights = model.weights.detach().clone()
        state["history"].append([state["epoch"] + 1, state["loss"], of_validation])
        state.update(epoch=state["epoch"] + 1, step=0, loss=0.0)
        self._write_table(folder)
        log.info("epoch {}: loss {:.3g}, validation {:.3g}".format(*state["history"][-1]))

    def _write_table(self, folder: Path) -> None:
        with (folder / "train.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["epoch", "train loss", "val loss"])
            table.writerows(self.state["history"])

    def _save(self, model: Vectors, folder: Path) -> Path:
        return write_rotating(self._checkpoint(model), folder)

    def _checkpoint(self, model: Vectors) -> dict[str, Any]:
        assert self.optimizer is not None, "save_checkpoint comes after train"
        state = copy.deepcopy(self.state | {"optimizer": self.optimizer.state_dict()})
        return {
            **model.get_checkpoint(),
            "best_weights": self.best_weights,
            "trainer_version": self.__checkpoint_version__,
            "trainer_hypers": copy.deepcopy(self.hypers),
            "trainer": state,
        }

    def save_checkpoint(self, model: Vectors, path: Path) -> None:
        """Model, state of the training, and the best weights."""
        write_checkpoint(self._checkpoint(model), path)

    @classmethod
    def load_checkpoint(
        cls, checkpoint: dict[str, Any], hypers: dict[str, Any], context: str
    ) -> VectorTrainer:
        trainer = cls(hypers)
        if context == "restart":
            trainer.state = checkpoint["trainer"]
            trainer.best_weights = checkpoint["best_weights"]
        return trainer


def _samples(model: Vectors, datasets: list[Dataset], dtype: torch.dtype) -> Samples:
    found: Samples = []
    for dataset in datasets:
        systems = systems_from(dataset.structures, dtype=dtype)
        unit = model.dataset_info.length_unit
        add_neighbor_lists(systems, model.requested_neighbor_lists(), unit)
        labels = torch.tensor(dataset.labels[model.name].values, dtype=dtype)
        found += zip(systems, labels.split([len(system) for system in systems]), strict=True)
    return found


def mean_square(model: Vectors, samples: Sequence[tuple[System, torch.Tensor]]) -> Any:
    """The loss of some structures; None where they have no labels."""
    errors = [model.of_system(system) - labels for system, labels in samples]
    there = torch.cat([error[error.isfinite()] for error in errors]) if errors else torch.zeros(0)
    return there.square().mean() if len(there) else None
