"""A fit in closed form: composition, then ridge regression of what it leaves."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mt_shared.contract import TrainerInterface, write_checkpoint
from mt_shared.data import Batch, Dataset, Normalization, concatenate, gather_labels, species_of
from mt_shared.engine import (
    ErrorSums,
    fit_composition,
    metrics_of,
    set_baseline,
    store_for,
    trained_info,
)
from mt_shared.model import sum_over_atoms
from mt_soundtoy.model import Ridge


class RidgeTrainer(TrainerInterface[dict[str, Any]]):
    """Fits in one step; a fit that is done stays as it is."""

    __checkpoint_version__ = 1

    def __init__(self, hypers: dict[str, Any]):
        super().__init__(hypers)
        self.context = "new"
        self.errors: dict[str, float] = {}

    def train(self, model, dtype, devices, train_datasets, val_datasets, checkpoint_dir):
        folder = Path(checkpoint_dir)
        if self.context != "restart":
            if self.context == "new":
                self._fit_composition(model, train_datasets)
            self._fit(model, self._batch(model, train_datasets))
            self.errors = {
                name: error
                for split, datasets in (("train", train_datasets), ("val", val_datasets))
                for name, error in self._errors(model, split, datasets).items()
            }
        with (folder / "train.csv").open("w", newline="") as file:
            csv.writer(file).writerows([self.errors.keys(), self.errors.values()])
        self.save_checkpoint(model, folder / "last.ckpt")

    def _fit_composition(self, model: Ridge, datasets: list[Dataset]) -> None:
        name, types = model.energy_name, model.dataset_info.atomic_types
        target = model.dataset_info.targets[name]
        labels = gather_labels(datasets, name, target).values
        structures = concatenate([dataset.structures for dataset in datasets])
        species = species_of(structures, types)
        composition = fit_composition(labels, structures, species, len(types), target, {})
        set_baseline(model, name, Normalization(composition, 1.0))

    def _batch(self, model: Ridge, datasets: list[Dataset]) -> Batch:
        """All structures at once: they are few."""
        info = trained_info(model.dataset_info, datasets)
        store = store_for(model, datasets, info, torch.float64)
        return store.batch(torch.arange(len(store)))

    def _errors(self, model: Ridge, split: str, datasets: list[Dataset]) -> dict[str, float]:
        """As they are reported of every architecture; none without data."""
        if not datasets:
            return {}
        batch, name = self._batch(model, datasets), model.energy_name
        # labels may come with forces, of which nothing is fitted
        targets = {name: replace(model.dataset_info.targets[name], gradients=())}
        (metric,) = metrics_of(targets, model.dataset_info.length_unit)
        sums = ErrorSums(metric)
        left = self._left(model, batch).numpy()
        sums.add(0.0, left, batch.num_atoms.numpy(), batch.volumes.numpy())
        return {f"{split} {metric.label} RMSE [{metric.unit}]": sums.rmse}

    def _fit(self, model: Ridge, batch: Batch) -> None:
        """Weights (F, 1), near those that the model has: nearer if it has learnt them."""
        features = self._features(model, batch)
        left = self._left(model, batch)
        there = left.isfinite()[:, 0]
        features, left = features[there], left[there]
        # few new data must not undo what the old ones have taught
        strength = self.hypers["regularizer"] * (100.0 if self.context == "finetune" else 1.0)
        penalty = strength * torch.eye(len(model.weights), dtype=torch.float64)
        change = torch.linalg.solve(features.T @ features + penalty, features.T @ left)
        model.weights += change

    def _left(self, model: Ridge, batch: Batch) -> torch.Tensor:
        """What the model does not explain of the labels, (S, 1)."""
        return (
            batch.targets[model.energy_name].values - self._features(model, batch) @ model.weights
        )

    def _features(self, model: Ridge, batch: Batch) -> torch.Tensor:
        """Of the structures, (S, F)."""
        return sum_over_atoms(model.features(batch.graph), batch.graph)

    def save_checkpoint(self, model: Ridge, path: Path) -> None:
        """The model, and what was said of the fit."""
        state = {"errors": self.errors, "seed": torch.initial_seed()}
        own = {"trainer_version": 1, "trainer_hypers": dict(self.hypers), "trainer": state}
        write_checkpoint({**model.get_checkpoint(), **own}, path)

    @classmethod
    def load_checkpoint(cls, checkpoint, hypers, context):
        trainer = cls(hypers)
        trainer.context = context
        trainer.errors = checkpoint["trainer"]["errors"]
        return trainer
