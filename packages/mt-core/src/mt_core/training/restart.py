"""Which checkpoint a restart goes on from, and whether it may."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mt_core.architectures import load_architecture
from mt_core.evaluation import open_checkpoint
from mt_core.loading import FINGERPRINTS, Splits
from mt_core.options import TrainingOptions
from mt_core.training.option_changes import Change, changes
from mt_core.training.run_folder import past_runs, read_options, run_checkpoints
from mt_core.training.start_points import (
    ModelAndTrainer,
    StartPoint,
    check_architecture,
    from_checkpoint,
    upgraded,
)
from mt_shared.contract import (
    Architecture,
    DatasetInfo,
    TrainingCheckpoint,
    check_keys,
)
from mt_shared.errors import CheckpointError, OptionsError
from mt_shared.options import deep_merge, merge_hypers, read_yaml


@dataclass(frozen=True)
class Restart(StartPoint):
    """A checkpoint to go on from, and what the run that wrote it was.

    :param changes: options that are others than when it was written
    :param skipped: what is said of newer checkpoints that are not whole
    """

    path: Path
    checkpoint: dict[str, Any]
    seed: int | None
    changes: list[Change] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    allow_changes: bool = False

    def describe(self) -> str:
        """The lines that say where the training goes on, and every option that has changed."""
        lines = [*self.skipped, f"Going on from {self.path}"]
        lines += [f"changed: {change}" for change in self.changes]
        return "\n".join(lines)

    def check_data(self, splits: Splits) -> None:
        """Refuse other data than the checkpoint's: the training would not go on as it was."""
        file = self.path.parent / "indices" / FINGERPRINTS
        if not file.is_file():
            return
        before = read_yaml(file)
        # other test data change nothing of a training
        names = [name for name in ("training", "validation") if before.get(name)]
        changed = [name for name in names if before[name] != splits.fingerprints[name]]
        if changed and not self.allow_changes:
            raise CheckpointError(
                f"the {' and '.join(changed)} data are not those that {self.path} was trained on; "
                "bring the files back, or go on all the same with --allow-changes"
            )

    def make(
        self, options: TrainingOptions, architecture: Architecture, info: DatasetInfo
    ) -> ModelAndTrainer:
        """Model and trainer as they were."""
        # not earlier: a checkpoint that is refused for its data needs no upgrade
        checkpoint = upgraded(self.checkpoint, architecture)
        known = DatasetInfo.from_dict(self.checkpoint["dataset_info"])
        new = {
            "atomic types": sorted(set(info.atomic_types) - set(known.atomic_types)),
            "targets": sorted(set(info.targets) - set(known.targets)),
            "inputs": sorted(set(info.inputs) - set(known.inputs)),
        }
        found = " and ".join(f"the new {kind} {each}" for kind, each in new.items() if each)
        if found:
            # a fine-tuning takes up all else, but no inputs
            todo = (
                "Train anew: a model reads the inputs that it was made with"
                if new["inputs"]
                else "Start from its model with architecture.training.finetune.read_from"
            )
            raise CheckpointError(
                f"the data have {found}, which {self.path} does not know: a restart goes on with "
                f"what it began with. {todo}"
            )
        return from_checkpoint(checkpoint, "restart", options, architecture, info)


def find_restart(wish: str | Path, options: TrainingOptions, allow_changes: bool) -> Restart:
    """The checkpoint of ``--restart``, a file or ``auto``, if no option differs that may not."""
    if str(wish) == "auto":
        return _newest(options, allow_changes)
    path = Path(wish)
    checkpoint = _training_checkpoint(path, options.architecture.name)
    before, now = read_options(path.parent), options.complete
    # the folder's options have the seed of the data, a checkpoint only that of its trainer; with
    # another one the fractions would divide the data in another way
    seed = (before or checkpoint["trainer"]).get("seed")
    if before is None:
        # a checkpoint away from its run still knows its hypers
        hypers = {"model": checkpoint["model_hypers"], "training": checkpoint["trainer_hypers"]}
        before = {"architecture": hypers, "seed": options.seed if seed is None else seed}
        # there they are complete: the trainer says what it makes of those of the options
        trainer_class = load_architecture(options.architecture.name).trainer_class
        training = trainer_class(options.architecture.training).hypers
        hypers = {"model": options.architecture.model, "training": training}
        now = {"architecture": hypers, "seed": options.seed}
    found = _changes(before, now, options)
    refused = _refused(found, options, allow_changes)
    if refused:
        raise _differ(path, refused, options)
    return Restart(path, checkpoint, seed, found, allow_changes=allow_changes)


def _newest(options: TrainingOptions, allow_changes: bool) -> Restart:
    """The furthest whole checkpoint of the newest run of these options.

    Where every run differs in what may not change, the error is about the one that differs least.
    """
    runs = past_runs()
    if not runs:
        raise CheckpointError(
            "there is nothing to restart from: no run with a checkpoint lies in outputs/ here; "
            "begin with mt train without --restart, or name a checkpoint"
        )
    refused_runs: dict[Path, list[Change]] = {}
    skipped: list[str] = []
    for run in runs:
        before = read_options(run)
        if before is None:
            continue
        found = _changes(before, options.complete, options)
        refused = _refused(found, options, allow_changes)
        if refused:
            refused_runs[run] = refused
            continue
        for path in run_checkpoints(run):
            try:
                checkpoint = _training_checkpoint(path, options.architecture.name)
            except CheckpointError as error:
                skipped.append(str(error))
                continue
            seed = (before or checkpoint["trainer"]).get("seed")
            return Restart(path, checkpoint, seed, found, skipped, allow_changes)
    if refused_runs:
        nearest = min(refused_runs, key=lambda run: len(refused_runs[run]))
        raise _differ(nearest, refused_runs[nearest], options)
    raise CheckpointError(
        "no run in outputs/ here has a checkpoint to go on from that can be read; name one "
        "with --restart FILE, or begin anew without --restart\n" + "\n".join(skipped)
    )


def _training_checkpoint(path: Path, architecture: str) -> dict[str, Any]:
    checkpoint = open_checkpoint(path)
    check_architecture(checkpoint, architecture)
    if checkpoint.get("trainer") is None:
        raise CheckpointError(
            f"'{path}' holds a model without the state of its training; start from it with "
            "architecture.training.finetune.read_from instead"
        )
    writer = f"save_checkpoint of the trainer of '{architecture}'"
    check_keys(checkpoint, TrainingCheckpoint, writer, f"'{path}'")
    return checkpoint


def _changes(before: dict[str, Any], now: dict[str, Any], options: TrainingOptions) -> list[Change]:
    """The changes in what the user says, and not in what others say where the user is silent.

    Hypers that an older version did not know had their defaults; a fine-tuned model has those of
    the model that it started from.
    """
    # a seed that nobody gave was drawn by chance then, and is not another one now
    if now["seed"] is None:
        now = now | {"seed": before.get("seed")}
    written = before.get("architecture") or {}
    hypers = merge_hypers(options.known_entry, written, options.length_unit)
    section = written | {"model": hypers.model, "training": hypers.training}
    if options.finetune is not None:
        model = deep_merge(hypers.model, options.written_model)
        now = now | {"architecture": now["architecture"] | {"model": model}}
    return changes(before | {"architecture": section}, now)


def _refused(found: list[Change], options: TrainingOptions, allow_changes: bool) -> list[Change]:
    # what was asked for with --allow-changes is obeyed, but for what could only be ignored
    accepted = ("free", "on_request") if allow_changes else ("free",)
    entry = options.known_entry
    return [change for change in found if change.at_restart(entry) not in accepted]


def _differ(where: Path, refused: list[Change], options: TrainingOptions) -> OptionsError:
    fixed = [change for change in refused if change.at_restart(options.known_entry) == "fixed"]
    listed = "\n".join(
        f"  {change}{' (cannot change)' if change in fixed else ''}" for change in refused
    )
    todo = (
        "train anew without --restart: what cannot change took effect when the training began"
        if fixed
        else "go on with the new ones with --allow-changes"
    )
    return OptionsError(
        f"the options differ from those of {where}:\n{listed}\nset them back, or {todo}"
    )
