"""A loop over epochs and samples, as authors of metatrain write trainers.

Letters of shapes: A atoms, N structures or atoms, P sub-targets, S structures.
"""

import copy
import csv
import logging
import math
from pathlib import Path
from typing import Any, Literal

import torch
from metatomic.torch import ModelOutput, System, register_autograd_neighbors
from torch.utils.data import ConcatDataset, DataLoader

from mt_shared.contract import Interrupted, TargetInfo, TrainerInterface, write_checkpoint
from mt_shared.engine import ErrorSums, StopRequest, metrics_of, write_rotating
from mt_soundtoy.documentation import TrainerHypers
from mt_soundtoy.model import PairModel

Parts = dict[str, torch.Tensor]
"""Of a target: ``""`` its values (N, P), ``positions`` (A, 3) and ``strain`` (S, 3, 3)."""

log = logging.getLogger("mt.train")


class PairTrainer(TrainerInterface[TrainerHypers]):
    """Adam on the mean square of all errors, by atom where they are of structures."""

    __checkpoint_version__ = 1

    def __init__(self, hypers: TrainerHypers):
        super().__init__(hypers)
        self.context = "new"
        self.known_targets: list[str] = []
        self.seed = torch.initial_seed()
        self.epoch = 0
        self.optimizer_state_dict: Any = None
        self.best_metric = math.inf
        self.best_model_state_dict: Any = None
        self.history: list[dict[str, float]] = []

    def train(
        self,
        model: PairModel,
        dtype: torch.dtype,
        devices: list[torch.device],
        train_datasets: list[Any],
        val_datasets: list[Any],
        checkpoint_dir: Path,
    ) -> None:
        model.to(device=devices[0], dtype=dtype)
        targets = model.dataset_info.targets
        collate = Collate(targets)
        train_set, val_set = ConcatDataset(train_datasets), ConcatDataset([*val_datasets, []])
        if self.context != "restart":
            new = [name for name in targets if name not in self.known_targets]
            fit_baselines(model, new, collate(list(train_set)))
        optimizer = torch.optim.Adam(model.parameters(), lr=self.hypers["learning_rate"])
        if self.context == "restart":
            optimizer.load_state_dict(self.optimizer_state_dict)

        batch_size = self.hypers["batch_size"]
        validation = DataLoader(val_set, batch_size, collate_fn=collate)
        # in training mode the model leaves scale and composition out
        model.train()
        with StopRequest() as stop:
            self._keep(model, optimizer, checkpoint_dir)
            while self.epoch < self.hypers["num_epochs"]:
                # by epoch, so that a restart has the order that no restart has
                generator = torch.Generator().manual_seed((self.seed + self.epoch) % 2**63)
                loader = DataLoader(
                    train_set, batch_size, shuffle=True, generator=generator, collate_fn=collate
                )
                errors = Errors(model)
                for systems, labels in loader:
                    if stop.received is not None:
                        name, status = stop.received.name, 128 + stop.received
                        # the epoch that has begun is begun anew
                        path = write_rotating(self.checkpoint, checkpoint_dir)
                        raise Interrupted(name, status, path)
                    optimizer.zero_grad()
                    loss = errors.add(systems, labels)
                    loss.backward()
                    optimizer.step()
                val_errors = Errors(model)
                for systems, labels in validation:
                    val_errors.add(systems, labels)
                self.epoch += 1
                self._end_epoch(model, errors.results("train"), val_errors.results("val"))
                self._keep(model, optimizer, checkpoint_dir)

    def _end_epoch(
        self, model: PairModel, results: dict[str, float], val_results: dict[str, float]
    ) -> None:
        self.history.append({"epoch": self.epoch, **results, **val_results})
        metric = val_results["val loss"]
        # without a validation set, the last
        if not metric >= self.best_metric:
            self.best_metric = metric
            self.best_model_state_dict = copy.deepcopy(model.state_dict())
        if self.epoch % self.hypers["log_interval"] == 0:
            shown = ", ".join(f"{name} {value:.4g}" for name, value in results.items())
            log.info(f"epoch {self.epoch}: {shown}")

    def _keep(
        self, model: PairModel, optimizer: torch.optim.Optimizer, checkpoint_dir: Path
    ) -> None:
        """Note the state between two epochs, and write it down if it is due."""
        self.optimizer_state_dict = copy.deepcopy(optimizer.state_dict())
        self.checkpoint = self._checkpoint(model)
        with (checkpoint_dir / "train.csv").open("w", newline="") as file:
            if self.history:
                table = csv.DictWriter(file, list(self.history[0]))
                table.writeheader()
                table.writerows(self.history)
        is_last = self.epoch == self.hypers["num_epochs"]
        if self.epoch % self.hypers["checkpoint_interval"] == 0 or is_last:
            write_rotating(self.checkpoint, checkpoint_dir)

    def _checkpoint(self, model: PairModel) -> dict[str, Any]:
        return {
            **model.get_checkpoint(),
            "best_model_state_dict": self.best_model_state_dict,
            "trainer_version": self.__checkpoint_version__,
            "trainer_hypers": copy.deepcopy(self.hypers),
            "trainer": {
                "seed": self.seed,
                "epoch": self.epoch,
                "optimizer_state_dict": self.optimizer_state_dict,
                "best_metric": self.best_metric,
                "history": copy.deepcopy(self.history),
            },
        }

    def save_checkpoint(self, model: PairModel, path: Path) -> None:
        write_checkpoint(self._checkpoint(model), path)

    @classmethod
    def load_checkpoint(
        cls,
        checkpoint: dict[str, Any],
        hypers: TrainerHypers,
        context: Literal["restart", "finetune"],
    ) -> "PairTrainer":
        trainer = cls(hypers)
        trainer.context = context
        trainer.known_targets = list(checkpoint["dataset_info"]["targets"])
        if context == "restart":
            saved = checkpoint["trainer"]
            trainer.seed = saved["seed"]
            trainer.epoch = saved["epoch"]
            trainer.optimizer_state_dict = saved["optimizer_state_dict"]
            trainer.best_metric = saved["best_metric"]
            trainer.best_model_state_dict = checkpoint["best_model_state_dict"]
            trainer.history = saved["history"]
        return trainer


class Collate:
    """Samples as systems and the labels of all of them, NaN where a sample has none."""

    def __init__(self, targets: dict[str, TargetInfo]):
        self.targets = targets

    def __call__(self, samples: list[Any]) -> tuple[list[System], dict[str, Parts]]:
        labels: dict[str, Parts] = {}
        for name, target in self.targets.items():
            parts = [self._parts(sample, name, target) for sample in samples]
            labels[name] = {part: torch.cat([each[part] for each in parts]) for part in parts[0]}
        return [sample.system for sample in samples], labels

    def _parts(self, sample: Any, name: str, target: TargetInfo) -> Parts:
        num_atoms = len(sample.system)
        shapes = {
            "": (num_atoms if target.per_atom else 1, target.num_subtargets),
            "positions": (num_atoms, 3),
            "strain": (1, 3, 3),
        }
        parts = {
            part: torch.full(shapes[part], math.nan, dtype=torch.float64)
            for part in ("", *target.gradients)
        }
        if name in sample._fields:
            block = sample[name].block()
            parts[""] = block.values
            for gradient in block.gradients_list():
                parts[gradient] = block.gradient(gradient).values.squeeze(-1)
        return parts


def fit_baselines(
    model: PairModel, names: list[str], data: tuple[list[System], dict[str, Parts]]
) -> None:
    """Composition of these targets by least squares, and the scale of what it leaves."""
    systems, labels = data
    types = torch.cat([system.types for system in systems]).unsqueeze(1)
    one_hot = (types == torch.tensor(model.atomic_types)).to(torch.float64)
    sizes = [len(system) for system in systems]
    by_system = torch.stack([part.sum(0) for part in one_hot.split(sizes)])
    for name in names:
        per_atom = model.dataset_info.targets[name].per_atom
        counts = one_hot if per_atom else by_system
        values = labels[name][""]
        known = values.isfinite().all(1)
        composition = torch.linalg.pinv(counts[known]) @ values[known]
        left = values - counts @ composition
        if not per_atom:
            left = left / torch.tensor(sizes).unsqueeze(1)
        # forces, or what is left of the values: where all forces are zero, that is all to be learnt
        parts = [left, labels[name].get("positions", left)]
        scales = [part[part.isfinite()].square().mean().sqrt().nan_to_num(1.0) for part in parts]
        additive: Any = model.additive[name]
        additive.composition.copy_(composition)
        # where nothing is left, the rest of the model has to add nothing
        additive.scale.fill_(torch.stack(scales).max().clamp(min=1e-9))


class Errors:
    """Loss and errors of the batches of an epoch."""

    def __init__(self, model: PairModel):
        self.model = model
        self.losses: list[float] = []
        info = model.dataset_info
        self.sums = [ErrorSums(metric) for metric in metrics_of(info.targets, info.length_unit)]

    def add(self, systems: list[System], labels: dict[str, Parts]) -> torch.Tensor:
        """The loss of a batch."""
        weight = self.model.embedding.weight
        systems = [system.to(weight.dtype, weight.device) for system in systems]
        num_atoms = torch.tensor([len(system) for system in systems], device=weight.device)
        cells = torch.stack([system.cell for system in systems])
        volumes = torch.linalg.det(cells).abs()
        predicted = predict(self.model, systems)
        # a batch may have no label at all
        loss = 0.0 * weight.sum()
        for sums in self.sums:
            metric = sums.metric
            additive: Any = self.model.additive[metric.target]
            label = labels[metric.target][metric.gradient].to(weight.device)
            if not metric.gradient:
                label = label - composition_of(self.model, metric.target, systems)
            label = (label / additive.scale).to(weight.dtype)
            # before they are divided: a molecule has no volume, and NaN times zero is NaN
            known = label.isfinite().flatten(1).all(dim=1)
            # the cell of a slab has no third vector in a system, though its label has a volume
            if metric.gradient == "strain":
                known = known & (volumes > 0)
            label, found = label[known], predicted[metric.target][metric.gradient][known]
            divisors = (num_atoms[known], volumes[known]) if metric.per else (num_atoms, volumes)
            if len(label):
                error = metric.compared(found - label, *divisors)
                loss = loss + error.square().mean()
            scale = additive.scale.item()
            arrays = (scale * found.detach(), scale * label, *divisors)
            sums.add(*(each.cpu().numpy() for each in arrays))
        self.losses.append(loss.item())
        return loss

    def results(self, split: str) -> dict[str, float]:
        """The columns of a row in ``train.csv``."""
        mean = sum(self.losses) / len(self.losses) if self.losses else math.nan
        columns = {f"{split} loss": mean}
        for sums in self.sums:
            unit = f" [{sums.metric.unit}]" if sums.metric.unit else ""
            columns[f"{split} {sums.metric.label} RMSE{unit}"] = sums.rmse
        return columns


def composition_of(model: PairModel, name: str, systems: list[System]) -> torch.Tensor:
    """What the composition says of a target, (N, P)."""
    additive: Any = model.additive[name]
    types = torch.cat([system.types for system in systems]).to(torch.int64)
    values = additive.composition[model.species_of_types[types]]
    if model.dataset_info.targets[name].per_atom:
        return values
    return torch.stack([part.sum(0) for part in values.split([len(each) for each in systems])])


def predict(model: PairModel, systems: list[System]) -> dict[str, Parts]:
    """Raw predictions with the derivatives that the data have."""
    infos = model.dataset_info.targets
    eye = torch.eye(3, dtype=systems[0].cell.dtype, device=systems[0].device)
    strains = eye.repeat(len(systems), 1, 1).requires_grad_()
    moved = [strained(system, strain) for system, strain in zip(systems, strains)]
    outputs = {
        name: ModelOutput(unit=info.unit, sample_kind=info.sample_kind)
        for name, info in infos.items()
    }
    results = model([system for system, _ in moved], outputs)
    predicted: dict[str, Parts] = {}
    for name, info in infos.items():
        values = results[name].block().values
        predicted[name] = {"": values}
        if info.gradients:
            leaves = [positions for _, positions in moved]
            *forces, strain = torch.autograd.grad(
                values.sum(), [*leaves, strains], create_graph=True
            )
            predicted[name] |= {"positions": torch.cat(forces), "strain": strain}
    return predicted


def strained(system: System, strain: torch.Tensor) -> tuple[System, torch.Tensor]:
    """The system as a function of its positions and of a strain that changes nothing."""
    positions = system.positions.detach().requires_grad_()
    moved = System(system.types, positions @ strain, system.cell @ strain, system.pbc)
    for options in system.known_neighbor_lists():
        neighbors = system.get_neighbor_list(options).copy()
        register_autograd_neighbors(moved, neighbors)
        moved.add_neighbor_list(options, neighbors)
    for name in system.known_data():
        moved.add_data(name, system.get_data(name))
    return moved, positions
