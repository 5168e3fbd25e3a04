"""A fit in closed form: composition, then ridge regression of what it leaves."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import torch

from mt_shared.contract import TrainerInterface, upgrade_by_version, write_checkpoint
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
            batch = self._batch(model, train_datasets)
            self._fit(model, batch)
            self.errors = {"train energy RMSE": float(self._left(model, batch).square().mean())}
        with (folder / "train.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([self.errors.keys(), self.errors.values()])
        self.save_checkpoint(model, folder / "last.ckpt")

    def _fit_composition(self, model: Ridge, datasets: list[Any]) -> None:
        info, name = model.dataset_info, model.energy_name
        structures = concatenate([dataset.structures for dataset in datasets])
        composition = fit_composition(
            gather_labels(datasets, name, info.targets[name]).values,
            structures,
            species_of(structures, info.atomic_types),
            len(info.atomic_types),
            info.targets[name],
            {},
        )
        set_baseline(model, name, Normalization(composition, 1.0))

    def _batch(self, model: Ridge, datasets: list[Any]) -> Batch:
        info = trained_info(model.dataset_info, datasets)
        known = normalizations(model, info.targets)
        store = build_store(datasets, info, model.cutoff, known, torch.float64)
        return store.batch(torch.arange(len(store)))

    def _fit(self, model: Ridge, batch: Batch) -> None:
        """Weights (F, 1), near those that the model has: nearer if it has learnt them."""
        features = self._features(model, batch)
        left = self._left(model, batch)
        there = left.isfinite()[:, 0]
        features, left = features[there], left[there]
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

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: dict[str, Any]) -> dict[str, Any]:
        return upgrade_by_version(checkpoint, "trainer_version", cls.__checkpoint_version__, {})
