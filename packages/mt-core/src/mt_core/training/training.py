"""``mt train``: from the options to a trained, exported and evaluated model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt_core.architectures import check_capabilities, check_removal, find_entry, stage_of
from mt_core.options import check_files, parse_training
from mt_shared.errors import OptionsError
from mt_shared.options import describe_origins, load_options, origins
from mt_shared.threads import limited_threads

if TYPE_CHECKING:
    from mt_core.training.run import Result


_EXPECTED = (
    "an options file, YAML that names the architecture and the data\n"
    "'mt example ethanol .' writes one to start from, with data: options.yaml"
)


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
    :param extensions: folder for compiled extensions, where the model needs any; by default
        ``extensions`` beside the exported model
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
    if allow_changes and restart is None:
        raise OptionsError("--allow-changes is for a restart: name its checkpoint with --restart")
    loaded = load_options(options, tuple(overrides), _EXPECTED)
    parsed = parse_training(loaded.values, loaded.source, find_entry, loaded.where)
    entry = find_entry(parsed.architecture.name)
    if not allow_deprecated:
        check_removal(entry.name, stage_of(entry.name, entry.distribution))
    check_capabilities(entry, parsed)
    check_files(parsed, loaded.source, loaded.where, restarts=restart is not None)
    # only now, so that a mistake in the options does not wait for torch
    with limited_threads(parsed.threads):
        from mt_core.training import run
        from mt_core.training.plan import make_plan

        plan = make_plan(parsed, restart, allow_changes)
        if dry_run:
            complete = plan.options.complete
            where_from = origins(complete, loaded.file, loaded.flags, parsed.renamed)
            run.dry_run(
                plan, describe_origins(complete, where_from, plan.options.units), Path(output)
            )
            return None
        return run.run(plan, Path(output), extensions)
