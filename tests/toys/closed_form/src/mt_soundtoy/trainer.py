"""A fit in closed form: composition, then ridge regression of what it leaves."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import torch

from mt_shared.contract import TrainerInterface, write_checkpoint
from mt_shared.data import Batch, Normalization, build_store, concatenate, gather_labels, species_of
from mt_shared.engine import fit_composition, normalizations, set_baseline, trained_info
from mt_soundtoy.model import Ridge


class RidgeTrainer(TrainerInterface[Ridge]):
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
            info = trained_info(model.dataset_info, train_datasets)
            known = normalizations(model, info.targets)
            store = build_store(train_datasets, info, model.cutoff, known, torch.float64)
            # all structures at once: they are few
            batch = store.batch(torch.arange(len(store)))
            self._fit(model, batch)
            self.errors = {"train energy RMSE": float(self._left(model, batch).square().mean())}
        with (folder / "train.csv").open("w", newline="") as file:
            csv.writer(file).writerows([self.errors.keys(), self.errors.values()])
        self.save_checkpoint(model, folder / "last.ckpt")

    def _fit_composition(self, model: Ridge, datasets: list[Any]) -> None:
        name, types = model.energy_name, model.dataset_info.atomic_types
        target = model.dataset_info.targets[name]
        labels = gather_labels(datasets, name, target).values
        structures = concatenate([dataset.structures for dataset in datasets])
        species = species_of(structures, types)
        composition = fit_composition(labels, structures, species, len(types), target, {})
        set_baseline(model, name, Normalization(composition, 1.0))

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
        atomic = model.features(batch.vectors, batch.graph)
        zeros = atomic.new_zeros((batch.num_systems, atomic.shape[1]))
        return zeros.index_add(0, batch.graph.system, atomic)

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
