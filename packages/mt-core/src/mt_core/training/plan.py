"""All that a run needs, from options that are known to be right; and what it says of it."""

import logging
import random
from dataclasses import dataclass
from pathlib import Path

import torch

from mt_core.architectures import load_architecture, notice, stage_of
from mt_core.loading import (
    Splits,
    check_inputs_of_training,
    check_units,
    choose_device,
    choose_dtype,
    dataset_info,
    growth_notes,
    read_splits,
    type_notes,
    unit_notes,
)
from mt_core.options import TrainingOptions
from mt_core.training.data_notes import data_notes
from mt_core.training.restart import find_restart
from mt_core.training.start_points import (
    ModelAndTrainer,
    RandomWeights,
    StartPoint,
    read_other_model,
)
from mt_shared.contract import Architecture
from mt_shared.data import label_table
from mt_shared.engine import Trainer
from mt_shared.options import raise_faults, unread_hypers
from mt_shared.registry import SCHEMA
from mt_shared.threads import describe_threads

log = logging.getLogger("mt.train")

# of so many the table of labels is shown on demand alone, as in metatrain
MANY_STRUCTURES = 1_000_000


@dataclass(frozen=True)
class Plan:
    """What is to be trained: options, architecture, where and how, and from where on."""

    options: TrainingOptions
    architecture: Architecture
    dtype: torch.dtype
    device: torch.device
    start: StartPoint

    @property
    def seed(self) -> int:
        """Known by now, even where chance has decided."""
        assert self.options.seed is not None
        return self.options.seed

    def announce(self, folder: Path | None) -> None:
        """The first lines: what is trained, how, and where the files are."""
        options, entry = self.options, self.options.known_entry
        said = notice(entry.name, stage_of(entry.name, entry.distribution))
        if said is not None:
            log.warning(said)
        if options.architecture.unchecked:
            shared = _is_shared(self.architecture)
            but = ", but for those of the shared trainer" if shared else ""
            log.warning(
                f"the values of the hypers of '{entry.name}' are unchecked{but}: it has no {SCHEMA}"
            )
        if folder is not None:
            log.info(f"Training {entry.name} {entry.version} in {folder}, seed {self.seed}")
        start = self.start.describe()
        if start is not None:
            log.info(start)
        threads = f", {describe_threads()}" if self.device.type == "cpu" else ""
        log.info(f"Training on {self.device} in {str(self.dtype).removeprefix('torch.')}{threads}")

    def read_data(self) -> Splits:
        """The data sets, once it is shown what is in them, and they go with the start point."""
        splits = read_splits(self.options, self.seed)
        num_structures = sum(len(data) for part in splits.datasets.values() for data in part)
        wish = self.options.print_stats
        if wish is True or (wish == "auto" and num_structures < MANY_STRUCTURES):
            log.info(label_table(splits.datasets).format())
        elif wish == "auto":
            log.info(
                f"{num_structures} structures; the table of their labels takes a while, and is "
                "shown with print_stats: true"
            )
        notes = [*unit_notes(self.options), *type_notes(self.options, splits), *splits.notes]
        notes += growth_notes(self.options.targets, splits.datasets["training"])
        for note in notes:
            log.warning(f"note: {note}")
        self.start.check_data(splits)
        return splits

    def make_model(self, splits: Splits) -> ModelAndTrainer:
        """Model and trainer, from the start point, for these data."""
        # after the data are read: a reader that draws random numbers must not change the weights
        torch.manual_seed(self.seed)
        info = dataset_info(self.options, splits)
        model, trainer = self.start.make(self.options, self.architecture, info)
        check_inputs_of_training(model, info.inputs)
        for note in data_notes(splits, model, self.dtype, _is_shared(self.architecture)):
            log.warning(f"note: {note}")
        info.statistics.forget_data()
        return model, trainer


def make_plan(options: TrainingOptions, restart: str | Path | None, allow_changes: bool) -> Plan:
    """All that can be refused before any data are read."""
    check_units(options)
    # the cheapest refusals first: a restart looks at options alone, a fine-tuning loads torch code
    start: StartPoint = RandomWeights()
    if restart is not None:
        start = find_restart(restart, options, allow_changes)
    architecture = load_architecture(options.architecture.name)
    _check_names(options, architecture)
    if restart is None and options.finetune is not None:
        start = read_other_model(options, architecture)
    if options.finetune is not None and start.checkpoint is not None:
        # a fine-tuned model keeps the hypers that it was made with
        options = options.with_model_hypers(start.checkpoint["model_hypers"])
    seed = start.seed if start.seed is not None else options.seed
    if seed is None:
        seed = random.SystemRandom().randrange(2**31)
    model_class = architecture.model_class
    return Plan(
        options=options.with_seed(seed),
        architecture=architecture,
        dtype=choose_dtype(options.base_precision, model_class),
        device=choose_device(options.device, model_class),
        start=start,
    )


def _check_names(options: TrainingOptions, architecture: Architecture) -> None:
    """Refuse hypers of the shared trainer where another one trains, and no schema has said so."""
    entry = options.known_entry
    if entry.schema is not None or _is_shared(architecture):
        return
    # where a training starts from is read by mt train itself
    read_here = {"finetune": {"read_from": None}}
    faults = unread_hypers(entry, options.complete["architecture"], read_here)
    raise_faults(faults, f"'{entry.name}', whose trainer is its own")


def _is_shared(architecture: Architecture) -> bool:
    return issubclass(architecture.trainer_class, Trainer)
