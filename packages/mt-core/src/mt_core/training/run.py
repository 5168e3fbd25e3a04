"""A run: the training itself, its delivery, or all of it that can be tried without one."""

import logging
from dataclasses import dataclass
from pathlib import Path

from mt_core.console import logging_to
from mt_core.evaluation import (
    check_extensions,
    check_output,
    copy_result,
    model_from_checkpoint,
    save_model,
    try_compile,
)
from mt_core.training.old_validation import read_old_validation
from mt_core.training.plan import Plan
from mt_core.training.run_folder import create_run_folder, write_options
from mt_core.training.summary import error_table, usage_lines
from mt_core.training.trials import try_checkpoint, try_delivery
from mt_shared.contract import DryRun, read_checkpoint
from mt_shared.engine import trained_info
from mt_shared.registry import ArchitectureEntry

log = logging.getLogger("mt.train")


@dataclass(frozen=True)
class Result:
    """Where a training left its files, and its tables of errors: on the splits, on old data."""

    model: Path
    checkpoint: Path
    folder: Path
    errors: str
    old_errors: str


def run(plan: Plan, output: Path, extensions: str | Path | None) -> Result:
    """Train, save, export and evaluate, in a folder of the run's own."""
    # hours later it would be too late to say that the result cannot be written
    check_output(output)
    check_extensions(extensions)
    folder = create_run_folder()
    with logging_to(folder / "train.log"):
        write_options(folder, plan.options.complete)
        plan.announce(folder)
        # before the new data, of which there may be many
        old_validation = read_old_validation(plan.options)
        splits = plan.read_data()
        splits.write(folder / "indices")
        model, trainer = plan.make_model(splits)
        data = splits.for_training(model)
        # what could not be delivered is not trained; of a fit in one step nothing is there yet
        if _has_epochs(plan.options.known_entry):
            try_compile(model)
        trainer.train(model, plan.dtype, [plan.device], *data, folder)
        trainer.save_checkpoint(model, folder / "model.ckpt")

        # from the file, so that what is delivered is what was saved
        best = model_from_checkpoint(read_checkpoint(folder / "model.ckpt"), "export")
        save_model(best, folder / "model.pt", extensions)
        errors = ""
        if plan.options.final_eval:
            datasets = [dataset for part in splits.datasets.values() for dataset in part]
            info = trained_info(best.dataset_info, datasets)
            errors = error_table(folder / "model.pt", splits, info, extensions)
        old_errors = "" if old_validation is None else old_validation.table(best)
        for table in filter(None, (errors, old_errors)):
            log.info(table)
        checkpoint = output.with_suffix(".ckpt")
        for source, destination in (("model.ckpt", checkpoint), ("model.pt", output)):
            copy_result(folder / source, destination)
        log.info(usage_lines(output, best.dataset_info, extensions))
    return Result(output, checkpoint, folder, errors, old_errors)


def dry_run(plan: Plan, origins: str) -> None:
    """Show the ``origins`` of the options, and try all that needs no training; write nothing."""
    with logging_to(None):
        log.info(origins)
        plan.announce(None)
        read_old_validation(plan.options)
        splits = plan.read_data()
        model, trainer = plan.make_model(splits)
        data = splits.for_training(model)
        cost = trainer.dry_run(model, plan.dtype, [plan.device], *data)
        if cost is None:
            log.info("The trainer has no dry run: its part of a checkpoint is not tried")
            model.to(device=plan.device, dtype=plan.dtype)
        try_checkpoint(model, None if cost is None else trainer)
        try_delivery(model, splits)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        if parameters:  # what is fitted in closed form has none yet
            log.info(f"{parameters} parameters")
        if cost is not None:
            log.info(
                f"{cost.steps_per_epoch} steps an epoch, the largest batch has "
                f"{cost.largest_batch_atoms} atoms\n"
                f"about {cost.seconds_per_epoch:.3g} s an epoch without validation"
                f"{_whole_time(cost)}\n"
                f"peak memory {cost.peak_memory / 2**20:.0f} MiB"
            )
        log.info("Dry run: everything is fine, nothing was written")


def _has_epochs(entry: ArchitectureEntry) -> bool:
    capabilities = entry.capabilities
    # who says nothing of it is taken for the usual, as by the suite
    return capabilities is None or capabilities["fit"] == "gradient"


def _whole_time(cost: DryRun) -> str:
    """What all epochs would take, to follow what one does; empty where there is no telling."""
    if cost.num_epochs is None:
        return ""
    minutes = cost.seconds_per_epoch * cost.num_epochs / 60
    return f", {minutes:.3g} min for {cost.num_epochs} epochs"
