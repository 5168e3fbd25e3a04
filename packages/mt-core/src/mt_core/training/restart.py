"""Which checkpoint a restart goes on from, and whether it may."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mt_core.architectures import find_entry
from mt_core.loading import FINGERPRINTS, Splits
from mt_core.options import TrainingOptions
from mt_core.training.run_folder import (
    Change,
    changes,
    is_fixed,
    is_free,
    past_runs,
    read_options,
    run_checkpoints,
)
from mt_shared.contract import DatasetInfo, read_checkpoint
from mt_shared.errors import CheckpointError, OptionsError
from mt_shared.options import deep_merge, merge_hypers, read_yaml


@dataclass(frozen=True)
class Restart:
    """A checkpoint to go on from, and what the run that wrote it was."""

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
        """Refuse other data than the checkpoint's: the training would not go on as it was.

        :raises CheckpointError: unless changes were asked for
        """
        file = self.path.parent / "indices" / FINGERPRINTS
        if not file.is_file():
            return
        before = read_yaml(file)
        names = [name for name in ("training", "validation") if before.get(name)]
        changed = [name for name in names if before[name] != splits.fingerprints[name]]
        if changed and not self.allow_changes:
            raise CheckpointError(
                f"the {' and '.join(changed)} data are not those that {self.path} was trained on; "
                "bring the files back, or go on all the same with --allow-changes"
            )

    def check_model(self, info: DatasetInfo) -> None:
        """Refuse elements and targets that the training was not begun with.

        :raises CheckpointError: names them
        """
        known = DatasetInfo.from_dict(self.checkpoint["dataset_info"])
        new_types = sorted(set(info.atomic_types) - set(known.atomic_types))
        new_targets = sorted(set(info.targets) - set(known.targets))
        if new_types or new_targets:
            raise CheckpointError(
                f"the data have the new atomic types {new_types} and the new targets "
                f"{new_targets}, which {self.path} does not know: a restart goes on with what it "
                "began with. Start from its model with architecture.training.finetune.read_from"
            )


def find_restart(wish: str | Path, plan: TrainingOptions, allow_changes: bool) -> Restart:
    """The checkpoint of ``--restart``.

    :param wish: a file, or ``auto``
    :raises CheckpointError: when there is none, or it is of another architecture
    :raises OptionsError: when options have changed that may not, unless changes are allowed
    """
    if str(wish) == "auto":
        return _newest(plan, allow_changes)
    path = Path(wish)
    checkpoint = _training_checkpoint(path, plan.architecture.name)
    found = _compare(read_options(path.parent), checkpoint, plan)
    _refuse(found, path, allow_changes)
    seed = _seed(path.parent, checkpoint)
    return Restart(path, checkpoint, seed, found, allow_changes=allow_changes)


def _newest(plan: TrainingOptions, allow_changes: bool) -> Restart:
    runs = past_runs()
    if not runs:
        raise CheckpointError(
            "there is nothing to restart from: no run with a checkpoint lies in outputs/ here; "
            "begin with mt train without --restart, or name a checkpoint"
        )
    nearest: tuple[Path, list[Change], int] | None = None
    skipped: list[str] = []
    for run in runs:
        options = read_options(run)
        if options is None:
            continue
        found = _changes(options, plan)
        refused = len(_refused(found, allow_changes))
        if not refused:
            restart = _best_of(run, plan, found, allow_changes, skipped)
            if restart is not None:
                return restart
        elif nearest is None or refused < nearest[2]:
            nearest = run, found, refused
    if nearest is None:
        raise CheckpointError(
            "no run in outputs/ here has a checkpoint to go on from that can be read; name one "
            "with --restart FILE, or begin anew without --restart\n" + "\n".join(skipped)
        )
    _refuse(nearest[1], nearest[0], allow_changes)
    raise AssertionError("the nearest run differs in what may not change")


def _best_of(
    run: Path, plan: TrainingOptions, found: list[Change], allow_changes: bool, skipped: list[str]
) -> Restart | None:
    """The furthest checkpoint of a run that is whole; what is said of broken ones is added."""
    for path in run_checkpoints(run):
        try:
            checkpoint = _training_checkpoint(path, plan.architecture.name)
        except CheckpointError as error:
            skipped.append(str(error))
            continue
        return Restart(path, checkpoint, _seed(run, checkpoint), found, skipped, allow_changes)
    return None


def _training_checkpoint(path: Path, architecture: str) -> dict[str, Any]:
    checkpoint = read_checkpoint(path)
    check_architecture(checkpoint, architecture)
    if checkpoint.get("trainer") is None:
        raise CheckpointError(
            f"'{path}' holds a model without the state of its training; start from it with "
            "architecture.training.finetune.read_from instead"
        )
    return checkpoint


def check_architecture(checkpoint: dict[str, Any], name: str) -> None:
    """Refuse the checkpoint of another architecture.

    :raises CheckpointError: names both
    """
    if checkpoint["architecture"] != name:
        raise CheckpointError(
            f"the checkpoint is of the architecture '{checkpoint['architecture']}', the options "
            f"are for '{name}'; a model cannot change its architecture"
        )


def _seed(folder: Path, checkpoint: dict[str, Any]) -> int | None:
    """With another seed the fractions would divide the data in another way."""
    seed: int | None = (read_options(folder) or checkpoint["trainer"]).get("seed")
    return seed


def _compare(
    before: dict[str, Any] | None, checkpoint: dict[str, Any], plan: TrainingOptions
) -> list[Change]:
    if before is not None:
        return _changes(before, plan)
    # a checkpoint away from its run still knows its hypers
    sections = {"model": checkpoint["model_hypers"], "training": checkpoint["trainer_hypers"]}
    now = {"model": plan.architecture.model, "training": plan.architecture.training}
    found = _differences({"architecture": sections}, {"architecture": now}, plan)
    seed = checkpoint["trainer"].get("seed")
    if None not in (seed, plan.seed) and seed != plan.seed:
        found.append(Change("seed", seed, plan.seed))
    return found


def _changes(before: dict[str, Any], plan: TrainingOptions) -> list[Change]:
    now = plan.resolved
    if now["seed"] is None:
        now = now | {"seed": before.get("seed")}
    return _differences(before, now, plan)


def _differences(
    before: dict[str, Any], now: dict[str, Any], plan: TrainingOptions
) -> list[Change]:
    """The changes in what the user says, and not in what others say where the user is silent.

    Hypers that an older version did not know had their defaults; a fine-tuned model has those of
    the model that it started from.
    """
    given = before.get("architecture") or {}
    hypers = merge_hypers(find_entry(plan.architecture.name), given)
    before = before | {"architecture": given | {"model": hypers.model, "training": hypers.training}}
    if plan.finetune is not None:
        model = deep_merge(hypers.model, plan.architecture.given_model)
        now = now | {"architecture": now["architecture"] | {"model": model}}
    return changes(before, now)


def _refused(found: list[Change], allow_changes: bool) -> list[Change]:
    kept = [change for change in found if not is_free(change)]
    return [change for change in kept if is_fixed(change)] if allow_changes else kept


def _refuse(found: list[Change], where: Path, allow_changes: bool) -> None:
    refused = _refused(found, allow_changes)
    if not refused:
        return
    listed = "\n".join(f"  {change}" for change in refused)
    if any(is_fixed(change) for change in refused):
        todo = (
            "set them back, or train anew without --restart: seed, model and baselines are in the "
            "checkpoint and cannot change"
        )
    else:
        todo = (
            "set them back, or go on with the new ones with --allow-changes (epochs, intervals and "
            "paths may always change)"
        )
    raise OptionsError(f"the options differ from those of {where}:\n{listed}\n{todo}")
