"""Checkpoint files: tensors and plain values, written whole or not at all, read without code."""

from __future__ import annotations

import errno
import io
import os
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from mt_shared.contract.files import whole_file
from mt_shared.errors import CheckpointError

FORMAT = "mt-checkpoint"

# what every checkpoint has; model and trainer add the rest
PARTS = ("format", "architecture", "distribution", "distribution_version")

# what zipfile, pickle and torch say of a file whose bytes are not what was written
DAMAGE = (
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    KeyError,
    IndexError,
    UnicodeDecodeError,
)


def checkpoint_header(model_class: type) -> dict[str, Any]:
    """What every checkpoint begins with: the format, and whose it is."""
    module = model_class.__module__.split(".")[0]
    distribution = module.replace("_", "-")
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        version = "unknown"
    return {
        "format": FORMAT,
        "architecture": module.removeprefix("mt_"),
        "distribution": distribution,
        "distribution_version": version,
    }


def write_checkpoint(checkpoint: dict[str, Any], path: str | Path) -> None:
    """Write beside ``path`` and rename, so that a crash leaves the old file or the new one.

    :raises CheckpointError: when the disk is full or the folder cannot be written to
    """
    path = Path(path)
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    try:
        with whole_file(path) as partial, partial.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CheckpointError(_write_failure(path, len(buffer.getbuffer()), error)) from error


def _write_failure(path: Path, size: int, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = f"the disk is full: {size / 1e6:.1f} MB are needed; make room"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = "there is no right to write there; choose another folder"
    else:
        reason = str(error)
    return f"cannot write '{path}': {reason}. What was there before is untouched"


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without running anything that is in it (``weights_only=True``).

    :raises CheckpointError: for a missing, truncated or foreign file, or one that holds code
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"'{path}' is a folder; name a checkpoint in it, such as model.ckpt")
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint '{path}'; check the path")
    try:
        _refuse_foreign(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        raise CheckpointError(
            f"'{path}' is damaged, probably truncated while it was copied or written; take the "
            "one before it (previous.ckpt in the same run folder) or copy it again"
        ) from error
    lacking = [name for name in PARTS if name not in checkpoint]
    if not isinstance(checkpoint, dict) or lacking or checkpoint["format"] != FORMAT:
        raise CheckpointError(
            f"'{path}' is not a checkpoint of mt: it lacks {', '.join(lacking) or 'its format'}; "
            "expected a file that mt train has written"
        )
    return checkpoint


def _refuse_foreign(path: Path) -> None:
    """Name what cannot be a checkpoint of ours from its table of contents and its pickle."""
    if not zipfile.is_zipfile(path):
        _refuse_code(path, _globals_of_bare_pickles(path))
        found = "empty" if path.stat().st_size == 0 else "truncated, or not a checkpoint at all"
        raise CheckpointError(
            f"'{path}' is {found}; take the one before it (previous.ckpt in the same run folder)"
        )
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any("/code/" in name for name in names):
            raise CheckpointError(
                f"'{path}' is an exported model, not a checkpoint: it can be evaluated and "
                "simulated with, but not exported again or continued; use the .ckpt beside it"
            )
        pickles = [name for name in names if name.endswith("data.pkl")]
        foreign = _foreign_globals(archive.read(pickles[0])) if pickles else []
    _refuse_code(path, foreign)


def _refuse_code(path: Path, foreign: list[str]) -> None:
    if any(name.startswith("metatrain") for name in foreign):
        raise CheckpointError(
            f"'{path}' is a checkpoint of metatrain, which holds Python objects; mt cannot "
            "continue it. Train again with the same options file, or export it with mtt and use "
            "the exported model"
        )
    if foreign:
        raise CheckpointError(
            f"'{path}' is refused: reading it would run code ({', '.join(foreign[:3])}). A "
            "checkpoint of mt holds tensors and plain values only; do not open this file"
        )


def _globals_of_bare_pickles(path: Path) -> list[str]:
    """The same of a file that is a pickle, or several, as torch wrote before it used archives."""
    names: list[str] = []
    data = path.read_bytes()
    try:
        while data:
            names += _foreign_globals(data)
            *_, (_, _, stop) = pickletools.genops(data)
            data = data[(stop or 0) + 1 :]
    except (ValueError, pickle.UnpicklingError):
        pass  # no pickle from here on
    return names


def _foreign_globals(data: bytes) -> list[str]:
    """Names that a pickle would import, other than those of tensors; nothing is executed."""
    allowed = ("torch._utils", "torch ", "torch.", "collections OrderedDict")
    names: list[str] = []
    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("SHORT_BINUNICODE", "BINUNICODE", "UNICODE"):
                strings.append(str(argument))
            elif opcode.name == "GLOBAL":
                names.append(str(argument))
            elif opcode.name == "STACK_GLOBAL":
                names.append(" ".join(strings[-2:]))
    except ValueError as error:
        raise pickle.UnpicklingError(str(error)) from error
    return [name.replace(" ", ".") for name in names if not name.startswith(allowed)]


def upgrade_by_version(
    checkpoint: dict[str, Any],
    key: str,
    current: int,
    upgrades: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]],
) -> dict[str, Any]:
    """Apply ``upgrades[v]`` (from version v to v + 1) until ``checkpoint[key]`` is ``current``.

    :raises CheckpointError: for a checkpoint of a newer version, with what to install
    """
    found = checkpoint[key]
    if found > current:
        raise CheckpointError(
            f"the checkpoint has {key.replace('_', ' ')} {found}, this installation reads up to "
            f"{current}; install the version that wrote it or a newer one: pip install "
            f"'{checkpoint['distribution']}>={checkpoint['distribution_version']}'"
        )
    for version in range(found, current):
        checkpoint = upgrades[version](checkpoint)
        checkpoint[key] = version + 1
    return checkpoint
