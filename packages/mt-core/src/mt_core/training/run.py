"""The run of a training, once its options are known to be right. Here torch begins."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mt_core.architectures import find_entry, first_party, notice, stage_of
from mt_core.console import logging_to
from mt_core.evaluation import (
    check_extensions,
    check_output,
    copy_result,
    model_from_checkpoint,
    save_model,
    try_export,
)
from mt_core.loading import (
    Splits,
    check_units,
    choose_devices,
    choose_dtype,
    dataset_info,
    read_splits,
    unit_notes,
)
from mt_core.options import TrainingOptions
from mt_core.training.old_data import ForgettingCheck, begin_check
from mt_core.training.restart import Restart, find_restart
from mt_core.training.run_folder import create_run_folder, write_options
from mt_core.training.start_model import read_start, upgraded, with_hypers_of
from mt_core.training.summary import error_table, usage_lines
from mt_shared.contract import (
    Architecture,
    DatasetInfo,
    DryRun,
    ModelInterface,
    TrainerInterface,
    read_checkpoint,
)
from mt_shared.data import label_table
from mt_shared.engine import trained_info
from mt_shared.registry import load

log = logging.getLogger("mt.train")


@dataclass(frozen=True)
class Result:
    """Where a training left its model, the folder of the run, and its tables of errors.

    ``forgetting`` is that of a fine-tuning on the data of the starting model, where there is one.
    """

    model: Path
    checkpoint: Path
    folder: Path
    errors: str
    forgetting: str


@dataclass(frozen=True)
class Task:
    """What is to be trained: options, architecture, where and how, and from where on.

    :param start: the checkpoint of a model to be fine-tuned
    """

    plan: TrainingOptions
    architecture: Architecture
    dtype: torch.dtype
    device: torch.device
    going_on: Restart | None
    start: dict[str, Any] | None


def prepare(plan: TrainingOptions, restart: str | Path | None, allow_changes: bool) -> Task:
    """All that can be refused before any data are read."""
    check_units(plan)
    going_on = None if restart is None else find_restart(restart, plan, allow_changes)
    architecture = load(plan.architecture.name, known=first_party())
    start = read_start(plan, architecture) if going_on is None else None
    known = start if going_on is None else going_on.checkpoint
    if plan.finetune is not None and known is not None:
        plan = with_hypers_of(plan, known)
    model_class = architecture.model_class
    return Task(
        plan=_with_seed(plan, going_on),
        architecture=architecture,
        dtype=choose_dtype(plan.base_precision, model_class),
        device=choose_devices(plan.device, model_class)[0],
        going_on=going_on,
        start=start,
    )


def run(task: Task, output: Path, extensions: str | Path | None) -> Result:
    """Train, save, export and evaluate, in a folder of the run's own."""
    check_output(output)
    check_extensions(extensions)
    folder = create_run_folder()
    with logging_to(folder / "train.log"):
        write_options(folder, task.plan.resolved)
        return _run(task, folder, output, extensions)


def _run(task: Task, folder: Path, output: Path, extensions: str | Path | None) -> Result:
    _say_start(task, folder)
    check = _begin_forgetting_check(task)
    splits = _read(task)
    splits.write(folder / "indices")
    model, trainer = make_model(task, splits)
    training, validation = splits.datasets["training"], splits.datasets["validation"]
    trainer.train(model, task.dtype, [task.device], training, validation, folder)
    trainer.save_checkpoint(model, folder / "model.ckpt")
    best = model_from_checkpoint(read_checkpoint(folder / "model.ckpt"), "export")
    save_model(best, folder / "model.pt", extensions)
    errors = ""
    if task.plan.final_eval:
        datasets = [data for part in splits.datasets.values() for data in part]
        info = trained_info(best.dataset_info, datasets)
        errors = error_table(folder / "model.pt", splits, info, extensions)
    forgetting = "" if check is None else check.table(best)
    _deliver(best.dataset_info, folder, output, extensions, (errors, forgetting))
    return Result(output, output.with_suffix(".ckpt"), folder, errors, forgetting)


def make_model(task: Task, splits: Splits) -> tuple[ModelInterface, TrainerInterface[Any]]:
    """Model and trainer: new, from the checkpoint of a restart, or from that to be fine-tuned."""
    plan, architecture = task.plan, task.architecture
    assert plan.seed is not None
    torch.manual_seed(plan.seed)
    info = dataset_info(plan, splits)
    hypers = plan.architecture
    if task.going_on is not None:
        context, checkpoint = "restart", upgraded(task.going_on.checkpoint, architecture)
        task.going_on.check_model(info)
    elif task.start is not None:
        context, checkpoint = "finetune", task.start
    else:
        trainer = architecture.trainer_class(hypers.training)
        return architecture.model_class(hypers.model, info), trainer
    model = architecture.model_class.load_checkpoint(checkpoint, context).restart(info)
    trainer = architecture.trainer_class.load_checkpoint(checkpoint, hypers.training, context)
    return model, trainer


def _begin_forgetting_check(task: Task) -> ForgettingCheck | None:
    section = task.plan.finetune
    if section is None or not task.plan.final_eval:
        return None
    return begin_check(section["read_from"])


def _with_seed(plan: TrainingOptions, going_on: Restart | None) -> TrainingOptions:
    """The seed of the run that goes on, the one that was given, or a random one."""
    seed = going_on.seed if going_on is not None else None
    if seed is None:
        seed = plan.seed if plan.seed is not None else random.SystemRandom().randrange(2**31)
    return replace(plan, seed=seed, resolved=plan.resolved | {"seed": seed})


def _say_start(task: Task, folder: Path | None) -> None:
    """The first lines: what is trained, how, and where the files are."""
    plan, name = task.plan, task.plan.architecture.name
    entry = find_entry(name)
    said = notice(name, stage_of(name, entry.distribution))
    if said is not None:
        log.warning(said)
    if plan.architecture.unchecked:
        log.warning(f"the hypers of '{name}' are unchecked: it has no schema")
    if folder is not None:
        log.info(f"Training {name} {entry.version} in {folder}, seed {plan.seed}")
    if task.going_on is not None:
        log.info(task.going_on.describe())
    log.info(f"Training on {task.device} in {str(task.dtype).removeprefix('torch.')}")


def _read(task: Task) -> Splits:
    """Read the data sets and show what is in them; for a restart, they must be the same."""
    plan = task.plan
    assert plan.seed is not None
    splits = read_splits(plan, plan.seed)
    if plan.print_stats is not False:
        log.info(label_table(splits.datasets).format())
    for note in (*unit_notes(plan), *splits.notes):
        log.warning(f"note: {note}")
    if task.going_on is not None:
        task.going_on.check_data(splits)
    return splits


def rehearse(task: Task, origins: str) -> None:
    """All of a training that can be tried without one; nothing is written.

    :param origins: the resolved options and where each comes from, to be shown
    """
    with logging_to(None):
        log.info(origins)
        _say_start(task, None)
        _begin_forgetting_check(task)
        splits = _read(task)
        model, trainer = make_model(task, splits)
        training, validation = splits.datasets["training"], splits.datasets["validation"]
        cost = trainer.dry_run(model, task.dtype, [task.device], training, validation)
        try_export(model)
        _say_cost(task, model, cost)


def _say_cost(task: Task, model: ModelInterface, cost: DryRun | None) -> None:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if parameters:  # what is fitted in closed form has none yet
        log.info(f"{parameters} parameters")
    if cost is not None:
        epochs = task.plan.architecture.training["num_epochs"]
        log.info(
            f"{cost.steps_per_epoch} steps an epoch, the largest batch has "
            f"{cost.largest_batch_atoms} atoms\n"
            f"about {cost.seconds_per_epoch:.3g} s an epoch without validation, "
            f"{cost.seconds_per_epoch * epochs / 60:.3g} min for {epochs} epochs\n"
            f"peak memory {cost.peak_memory / 2**20:.0f} MiB"
        )
    log.info("Dry run: everything is fine, nothing was written")


def _deliver(
    info: DatasetInfo,
    folder: Path,
    output: Path,
    extensions: str | Path | None,
    tables: Sequence[str],
) -> None:
    """Copy the results to where the user wants them, and say how good they are and how to use."""
    for table in tables:
        if table:
            log.info(table)
    checkpoint = output.with_suffix(".ckpt")
    for source, destination in (("model.ckpt", checkpoint), ("model.pt", output)):
        said = copy_result(folder / source, destination)
        if said is not None:
            log.info(said)
    log.info(usage_lines(output, info, extensions))
