"""``mt train``: from the options to a trained, exported and evaluated model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt_core.architectures import check_capabilities, check_removal, find_entry, stage_of
from mt_core.options import parse_training
from mt_shared.options import describe_origins, load_options, origins

if TYPE_CHECKING:
    from mt_core.training.run import Result


def train(
    options: str | Path | dict[str, Any],
    output: str | Path = "model.pt",
    extensions: str | Path | None = None,
    restart: str | Path | None = None,
    overrides: Sequence[str] = (),
    dry_run: bool = False,
    allow_changes: bool = False,
    allow_deprecated: bool = False,
) -> Result | None:
    """Train a model as an options file says, export it, and evaluate it on every split.

    :param output: where the exported model is copied to, and beside it the checkpoint
    :param restart: a checkpoint to go on from, or ``auto`` for that of the newest run of these
        options in this folder
    :param overrides: ``a.b.c=VALUE``, each sets one option
    :param dry_run: only check, try one step and say what a training would cost; returns None
    :param allow_changes: go on from a checkpoint although options or data have changed
    :param allow_deprecated: train an architecture whose date of removal has passed
    :raises UserError: says what happened, where and what to do: OptionsError, DataError,
        ArchitectureError, CheckpointError
    :raises Interrupted: a signal ended the training, and its state is saved
    """
    loaded = load_options(options, tuple(overrides))
    parsed = parse_training(loaded.values, loaded.source, find_entry, loaded.where)
    entry = find_entry(parsed.architecture.name)
    if not allow_deprecated:
        check_removal(entry.name, stage_of(entry.name, entry.distribution))
    check_capabilities(entry, parsed)
    # only now, so that a mistake in the options does not wait for torch
    from mt_core.training import run
    from mt_core.training.plan import make_plan

    plan = make_plan(parsed, restart, allow_changes)
    if dry_run:
        complete = plan.options.complete
        where_from = origins(complete, loaded.file, loaded.flags)
        run.dry_run(plan, describe_origins(complete, where_from))
        return None
    return run.run(plan, Path(output), extensions)
