"""``mt train``: from the options to a trained, exported and evaluated model."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from mt_core.capability_check import check_capabilities
from mt_core.datasets import (
    Splits,
    all_specs,
    check_units,
    dataset_info,
    read_splits,
    unit_notes,
)
from mt_core.devices import choose_devices, choose_dtype
from mt_core.exporting import check_extensions, model_from_checkpoint, save_model
from mt_core.lifecycle import first_party, notice, stage_of
from mt_core.logs import logging_to
from mt_core.options import TrainingOptions, parse_training
from mt_core.restart import Restart, check_architecture, find_restart
from mt_core.runs import check_output, copy_result, create_run_folder, write_options
from mt_core.summary import error_table, usage_lines
from mt_shared.contract import (
    Architecture,
    DatasetInfo,
    ModelInterface,
    TrainerInterface,
    read_checkpoint,
)
from mt_shared.data.dataset import Dataset
from mt_shared.data.label_table import label_table
from mt_shared.options import LoadedOptions, describe_origins, load_options, origins
from mt_shared.registry import ArchitectureEntry, find, load

log = logging.getLogger("mt.train")


@dataclass(frozen=True)
class Result:
    """Where a training left its model, the folder of the run, and its table of errors."""

    model: Path
    checkpoint: Path
    folder: Path
    errors: str


def train(
    options: str | Path | dict[str, Any],
    output: str | Path = "model.pt",
    extensions: str | Path | None = None,
    restart: str | Path | None = None,
    overrides: Sequence[str] = (),
    dry_run: bool = False,
    allow_changes: bool = False,
) -> Result | None:
    """Train a model as an options file says, export it, and evaluate it on every split.

    :param output: where the exported model is copied to, and beside it the checkpoint
    :param restart: a checkpoint to go on from, or ``auto`` for that of the newest run of these
        options in this folder
    :param overrides: ``a.b.c=VALUE``, each sets one option
    :param dry_run: only check, try one step and say what a training would cost; returns None
    :param allow_changes: go on from a checkpoint although options or data have changed
    """
    check_output(Path(output))
    check_extensions(extensions)
    loaded = load_options(options, tuple(overrides))
    plan = parse_training(loaded.values, loaded.source, find_entry, loaded.where)
    check_capabilities(find_entry(plan.architecture.name), all_specs(plan))
    check_units(plan)
    going_on = None if restart is None else find_restart(restart, plan, allow_changes)
    plan = _with_seed(plan, going_on)
    architecture = load(plan.architecture.name, known=first_party())
    if dry_run:
        with logging_to(None):
            _rehearse(plan, loaded, architecture, going_on)
        return None
    folder = create_run_folder()
    with logging_to(folder / "train.log"):
        write_options(folder, plan.resolved)
        return _run(plan, architecture, going_on, folder, Path(output), extensions)


def _run(
    plan: TrainingOptions,
    architecture: Architecture,
    going_on: Restart | None,
    folder: Path,
    output: Path,
    extensions: str | Path | None,
) -> Result:
    _say_start(plan, going_on, folder)
    splits = _read(plan, going_on)
    splits.write(folder / "indices")
    model, trainer = make_model(plan, architecture, splits, going_on)
    trainer.train(model, *_task(plan, architecture, splits), folder)
    trainer.save_checkpoint(model, folder / "model.ckpt")
    best = model_from_checkpoint(read_checkpoint(folder / "model.ckpt"), "export")
    save_model(best, folder / "model.pt", extensions)
    errors = (
        error_table(folder / "model.pt", splits, best.dataset_info, extensions)
        if plan.final_eval
        else ""
    )
    return _deliver(best.dataset_info, folder, output, extensions, errors)


def make_model(
    plan: TrainingOptions,
    architecture: Architecture,
    splits: Splits,
    going_on: Restart | None,
) -> tuple[ModelInterface, TrainerInterface[Any]]:
    """Model and trainer: new, from the checkpoint of a restart, or from that to be fine-tuned."""
    assert plan.seed is not None
    torch.manual_seed(plan.seed)
    info = dataset_info(plan, splits)
    hypers = plan.architecture
    finetune = hypers.training.get("finetune", {}).get("read_from")
    if going_on is None and finetune is None:
        trainer = architecture.trainer_class(hypers.training)
        return architecture.model_class(hypers.model, info), trainer
    if going_on is not None:
        context, checkpoint = "restart", going_on.checkpoint
    else:
        context, checkpoint = "finetune", read_checkpoint(finetune)
        log.info(f"Fine-tuning all weights of {finetune}")
    check_architecture(checkpoint, architecture.name)
    checkpoint = architecture.model_class.upgrade_checkpoint(checkpoint)
    checkpoint = architecture.trainer_class.upgrade_checkpoint(checkpoint)
    model = architecture.model_class.load_checkpoint(checkpoint, context).restart(info)
    trainer = architecture.trainer_class.load_checkpoint(checkpoint, hypers.training, context)
    return model, trainer


@cache
def find_entry(name: str) -> ArchitectureEntry:
    """The installed architecture of a name; the curators' manifest helps with unknown ones."""
    return find(name, known=first_party())


def _with_seed(plan: TrainingOptions, going_on: Restart | None) -> TrainingOptions:
    """The seed of the run that goes on, the one that was given, or a random one."""
    seed = going_on.seed if going_on is not None else None
    if seed is None:
        seed = plan.seed if plan.seed is not None else random.SystemRandom().randrange(2**31)
    return replace(plan, seed=seed, resolved=plan.resolved | {"seed": seed})


def _say_start(plan: TrainingOptions, going_on: Restart | None, folder: Path | None) -> None:
    """The first lines: what is trained, how, and where the files are."""
    name = plan.architecture.name
    said = notice(name, stage_of(name))
    if said is not None:
        log.warning(said)
    if plan.architecture.unchecked:
        log.warning(f"the hypers of '{name}' are unchecked: it has no schema")
    if folder is not None:
        log.info(f"Training {name} {find_entry(name).version} in {folder}, seed {plan.seed}")
    if going_on is not None:
        log.info(going_on.describe())


def _read(plan: TrainingOptions, going_on: Restart | None) -> Splits:
    """Read the data sets and show what is in them; for a restart, they must be the same."""
    assert plan.seed is not None
    splits = read_splits(plan, plan.seed)
    if plan.print_stats is not False:
        log.info(label_table(splits.datasets).format())
    for note in (*unit_notes(plan), *splits.notes):
        log.warning(f"note: {note}")
    if going_on is not None:
        going_on.check_data(splits)
    return splits


def _task(
    plan: TrainingOptions, architecture: Architecture, splits: Splits
) -> tuple[torch.dtype, list[torch.device], list[Dataset], list[Dataset]]:
    """Dtype, devices and data sets, as a trainer takes them."""
    assert plan.seed is not None
    dtype = choose_dtype(plan.base_precision, architecture.model_class)
    devices = choose_devices(plan.device, architecture.model_class)
    log.info(f"Training on {devices[0]} in {str(dtype).removeprefix('torch.')}")
    return dtype, devices, splits.datasets["training"], splits.datasets["validation"]


def _rehearse(
    plan: TrainingOptions,
    loaded: LoadedOptions,
    architecture: Architecture,
    going_on: Restart | None,
) -> None:
    """All of a training that can be tried without one; nothing is written."""
    log.info(describe_origins(plan.resolved, origins(plan.resolved, loaded.file, loaded.flags)))
    _say_start(plan, going_on, None)
    splits = _read(plan, going_on)
    model, trainer = make_model(plan, architecture, splits, going_on)
    cost = trainer.dry_run(model, *_task(plan, architecture, splits))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    log.info(f"{parameters} parameters")
    if cost is not None:
        epochs = plan.architecture.training["num_epochs"]
        log.info(
            f"{cost.steps_per_epoch} steps an epoch, the largest batch has "
            f"{cost.largest_batch_atoms} atoms\n"
            f"about {cost.seconds_per_epoch:.3g} s an epoch without validation, "
            f"{cost.seconds_per_epoch * epochs / 60:.3g} min for {epochs} epochs\n"
            f"peak memory {cost.peak_memory / 2**20:.0f} MiB"
        )
    log.info("Dry run: everything is fine, nothing was written")


def _deliver(
    info: DatasetInfo, folder: Path, output: Path, extensions: str | Path | None, errors: str
) -> Result:
    """Copy the results to where the user wants them, and say how to use them."""
    if errors:
        log.info(errors)
    checkpoint = output.with_suffix(".ckpt")
    for source, destination in (("model.ckpt", checkpoint), ("model.pt", output)):
        said = copy_result(folder / source, destination)
        if said is not None:
            log.info(said)
    log.info(usage_lines(output, info, extensions))
    return Result(output, checkpoint, folder, errors)
