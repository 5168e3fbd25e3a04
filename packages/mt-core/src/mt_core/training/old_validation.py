"""What a fine-tuned model has forgotten: its errors on the old validation set, before and after.

The old validation set comes from the folder of the run that wrote the starting checkpoint. It is
read before the new data, and only the validation set is kept.
"""

import filecmp
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mt_core.evaluation import exported, model_from_checkpoint
from mt_core.loading import FINGERPRINTS, Splits, read_splits
from mt_core.options import TrainingOptions, parse_training
from mt_core.training.run_folder import OPTIONS_FILE, OUTPUTS, past_runs, run_checkpoints
from mt_core.training.summary import SplitErrors, model_errors
from mt_shared.contract import DatasetInfo, ModelInterface, read_checkpoint
from mt_shared.data import Dataset, dataset_fingerprint
from mt_shared.engine import trained_info
from mt_shared.errors import DataError, UserError
from mt_shared.options import read_yaml
from mt_shared.tables import columns

log = logging.getLogger("mt.train")

SPLIT = "validation"


@dataclass(frozen=True)
class OldValidation:
    """The old validation set, and the errors of the starting model on it."""

    run: Path
    splits: Splits
    info: DatasetInfo
    before: SplitErrors

    def table(
        self, model: ModelInterface[Any], device: torch.device, check: Callable[[], None]
    ) -> str:
        """The errors of the starting model beside those of the fine-tuned one.

        :param check: see :func:`~mt_core.training.summary.error_table`
        """
        # it may have been told to forget targets (finetune.remove_targets)
        kept = model.dataset_info.targets
        targets = {name: info for name, info in self.info.targets.items() if name in kept}
        info = replace(self.info, targets=targets)
        after = model_errors(exported(model), self.splits, info, device, check)
        rows = [("RMSE", "unit", "before", "after")]
        for label, error in self.before[SPLIT].items():
            there = label in after[SPLIT]
            rmse = f"{after[SPLIT][label].rmse:.4g}" if there else "removed"
            rows.append((label, error.metric.unit, f"{error.rmse:.4g}", rmse))
        number = sum(len(each) for each in self.splits.datasets[SPLIT])
        head = f"Forgetting check on the validation set of {self.run} ({number} structures):"
        return f"{head}\n{columns(rows)}"


def read_old_validation(options: TrainingOptions, device: torch.device) -> OldValidation | None:
    """Read the data of the model that a fine-tuning starts from, and evaluate the model on them.

    None where that is not wanted; and where it cannot be, which is said.
    """
    if options.finetune is None or not options.final_eval:
        return None
    read_from = options.finetune["read_from"]
    try:
        run = _run_of(Path(read_from))
        datasets = _validation_set(run)
        model = model_from_checkpoint(read_checkpoint(read_from), "export")
        splits = Splits({SPLIT: datasets}, {})
        info = trained_info(model.dataset_info, datasets)
        before = model_errors(exported(model), splits, info, device)
    except (UserError, OSError) as error:
        log.info(
            f"No forgetting check: {error}. To compare on old data, run mt eval with {read_from} "
            "and with the new model"
        )
        return None
    log.info(f"Forgetting check at the end, on the validation set of {run}")
    return OldValidation(run, splits, info, before)


def _run_of(checkpoint: Path) -> Path:
    """The folder of the run that wrote a checkpoint, which may be a copy of the run's own."""
    if not checkpoint.is_file():
        raise DataError(f"'{checkpoint}' is not there any more")
    if (checkpoint.parent / OPTIONS_FILE).is_file():
        return checkpoint.parent
    for root in dict.fromkeys([checkpoint.parent / OUTPUTS, OUTPUTS]):
        for run in past_runs(root):
            if any(filecmp.cmp(copy, checkpoint, shallow=False) for copy in run_checkpoints(run)):
                return run
    raise DataError(
        f"'{checkpoint}' is not in the folder of its run, nor a copy of a checkpoint in "
        f"{OUTPUTS}/ beside it"
    )


def _validation_set(run: Path) -> list[Dataset]:
    """The validation set of a run, read again."""
    # a run lies in outputs/DATE/TIME of the folder that it was started in
    started_in = (run / "../../..").resolve()
    written = _paths_from(read_yaml(run / OPTIONS_FILE), started_in)
    options = parse_training(written, str(run / OPTIONS_FILE))
    if options.seed is None:
        raise DataError(f"{run / OPTIONS_FILE} has lost its seed")
    datasets = read_splits(options, options.seed).datasets[SPLIT]
    if not any(len(each) for each in datasets):
        raise DataError(f"the run {run} had no validation set")
    fingerprints = read_yaml(run / "indices" / FINGERPRINTS)
    before = fingerprints.get(SPLIT) if isinstance(fingerprints, dict) else None
    if before != dataset_fingerprint(datasets):
        raise DataError(f"the files of the run {run} have changed")
    return datasets


def _paths_from(options: Any, folder: Path) -> Any:
    """The options with paths that count from a folder, the one that a run was started in."""
    if isinstance(options, list):
        return [_paths_from(each, folder) for each in options]
    if not isinstance(options, dict):
        return options
    return {
        key: str(folder / value)
        if key in ("read_from", "indices") and isinstance(value, str)
        else _paths_from(value, folder)
        for key, value in options.items()
    }
