"""A run: the training itself, its delivery, or all of it that can be tried without one."""

import logging
import traceback
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from mt_core.console import logging_to, reason
from mt_core.evaluation import check_extensions, check_output, extensions_note, try_compile
from mt_core.loading import Splits
from mt_core.training.delivery import Delivered, deliver
from mt_core.training.old_validation import OldValidation, read_old_validation
from mt_core.training.plan import Plan
from mt_core.training.run_folder import create_run_folder, write_options
from mt_core.training.summary import error_table, usage_lines
from mt_core.training.trials import try_checkpoint, try_delivery, try_saving
from mt_shared.contract import DryRun, Interrupted
from mt_shared.engine import StopRequest, trained_info
from mt_shared.errors import UserError
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
        write_options(folder, plan.options.complete, plan.options.units)
        plan.announce(folder)
        # before the new data, of which there may be many
        old_validation = read_old_validation(plan.options, plan.device)
        splits = plan.read_data()
        splits.write(folder / "indices")
        model, trainer = plan.make_model(splits)
        data = splits.for_training(model)
        # what could not be delivered is not trained; of a fit in one step nothing is there yet
        if _has_epochs(plan.options.known_entry):
            try_compile(model)
        try_saving(model, trainer)
        trainer.train(model, plan.dtype, [plan.device], *data, folder)
        # a signal waits until all is delivered
        with StopRequest() as stop:
            delivered = deliver(model, trainer, folder, output, extensions)
            errors, old_errors = _final_tables(
                plan, splits, old_validation, folder, delivered, stop
            )
        log.info(usage_lines(output, delivered.best.dataset_info, delivered.extensions))
        if delivered.extensions is not None:
            log.info(extensions_note(delivered.extensions, delivered.checkpoint))
    return Result(output, delivered.checkpoint, folder, errors, old_errors)


def _final_tables(
    plan: Plan,
    splits: Splits,
    old_validation: OldValidation | None,
    folder: Path,
    delivered: Delivered,
    stop: StopRequest,
) -> tuple[str, str]:
    """The errors of the delivered model on the splits and on old data.

    :raises Interrupted: a signal came
    :raises UserError: whatever fails: by now nothing of it can cost what was trained
    """
    model, checkpoint = delivered.model, delivered.checkpoint
    evaluate = f"mt eval {quote(str(model))} eval.yaml"

    def check() -> None:
        if stop.received is not None:
            todo = f"its model is {model}, and only its errors are not known yet: {evaluate}"
            raise Interrupted(stop.received.name, 128 + stop.received, checkpoint, todo)

    errors, old_errors = "", ""
    try:
        if plan.options.final_eval:
            datasets = [dataset for part in splits.datasets.values() for dataset in part]
            info = trained_info(delivered.best.dataset_info, datasets)
            errors = error_table(model, delivered.extensions, splits, info, plan.device, check)
            log.info(errors)
        if old_validation is not None:
            old_errors = old_validation.table(delivered.best, plan.device, check)
            log.info(old_errors)
    except Interrupted:
        raise
    except Exception as error:
        # a fault of ours, or of the architecture's: who looks for it needs to know where it is
        trace = folder / "final_evaluation.txt"
        trace.write_text(traceback.format_exc(), encoding="utf-8")
        raise UserError(
            f"the training is done, its model is {model}, and its checkpoint {checkpoint}; what "
            f"failed is the final evaluation ({trace}): {reason(error)}. To evaluate the model: "
            f"{evaluate}"
        ) from error
    return errors, old_errors


def dry_run(plan: Plan, origins: str, output: Path) -> None:
    """Show the ``origins`` of the options, and try all that needs no training; write nothing."""
    check_output(output)
    with logging_to(None):
        log.info(origins)
        plan.announce(None)
        read_old_validation(plan.options, plan.device)
        splits = plan.read_data()
        model, trainer = plan.make_model(splits)
        data = splits.for_training(model)
        cost = trainer.dry_run(model, plan.dtype, [plan.device], *data)
        if cost is None:
            log.info("The trainer has no dry run: its part of a checkpoint is not tried")
            model.to(device=plan.device, dtype=plan.dtype)
        try_checkpoint(model, None if cost is None else trainer)
        try_delivery(model, splits, plan.device)
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
