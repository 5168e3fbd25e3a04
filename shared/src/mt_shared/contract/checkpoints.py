"""Checkpoint files: tensors and plain values, written whole or not at all, read without code."""

from __future__ import annotations

import errno
import io
import os
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from mt_shared.contract.checkpoint_keys import Checkpoint, CheckpointHeader, check_keys
from mt_shared.contract.files import whole_file
from mt_shared.errors import ArchitectureError, CheckpointError, shortened

# from the whole checkpoint of one version to that of the next
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]

FORMAT = "mt-checkpoint"

# what can be read without running code; nothing else is written
PLAIN = frozenset({Tensor, str, int, float, bool, type(None)})
MAPPINGS, SEQUENCES = (dict, OrderedDict), (list, tuple)

# what zipfile and torch say of a file whose bytes are not what was written
DAMAGE = (zipfile.BadZipFile, EOFError, LookupError, RuntimeError, ValueError)


class CodeInCheckpoint(CheckpointError):
    """A file that could not be read without running code.

    :param names: what reading it would import
    """

    def __init__(self, path: Path, names: list[str]):
        self.names = ", ".join(names[:3])
        super().__init__(
            f"'{path}' is refused: reading it would run code ({self.names}). A checkpoint of mt "
            "holds tensors and plain values only; do not open this file"
        )


def checkpoint_header(model_class: type) -> dict[str, Any]:
    """What every checkpoint begins with: a :class:`CheckpointHeader`."""
    # mt_soap_bpnn.model -> mt-soap-bpnn and soap_bpnn: one rule for all names of a package
    module = model_class.__module__.split(".")[0]
    distribution = module.replace("_", "-")
    return {
        "format": FORMAT,
        "architecture": module.removeprefix("mt_"),
        "distribution": distribution,
        "distribution_version": _installed_version(distribution),
    }


def _installed_version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


def misfit(checkpoint: Mapping[str, Any]) -> str:
    """What to know and to do where a checkpoint does not fit the code that reads it: both versions.

    The number of its version fits, since that was looked at before.
    """
    distribution, written = checkpoint["distribution"], checkpoint["distribution_version"]
    here = _installed_version(distribution)
    todo = (
        "the same version was changed in between"
        if here == written
        else f"pip install '{distribution}=={written}' reads it"
    )
    return (
        f"It was written by {distribution} {written}, and this is {distribution} {here}: {todo}. "
        "Tell the author: what is saved has changed without a new __checkpoint_version__ and an "
        "upgrade"
    )


def write_checkpoint(
    checkpoint: dict[str, Any], path: str | Path, previous: Path | None = None
) -> None:
    """Write a checkpoint, whole or not at all.

    :param previous: what was at ``path`` before gets this name
    :raises ArchitectureError: something in it is neither a tensor nor a plain value
    :raises CheckpointError: when the disk is full or the folder cannot be written to
    """
    path = Path(path)
    _refuse_objects(checkpoint)
    # Into memory first: torch writes archives in pieces, and a full disk would be met as an error
    # of its own that does not say so.
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    try:
        with whole_file(path) as partial:
            with partial.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                # a rename can reach the disk before the bytes do
                os.fsync(file.fileno())
            # not before the new one is whole: there is a whole checkpoint at every moment
            if previous is not None and path.exists():
                os.replace(path, previous)
    except BaseException as error:
        if previous is not None and not path.exists():
            # between the two renames: what was the latest is the latest again
            with suppress(OSError):
                os.replace(previous, path)
        if not isinstance(error, OSError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            size = len(buffer.getbuffer()) / 1e6
            reason = f"the disk is full: {size:.1f} MB are needed; make room"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = "there is no right to write there; choose another folder"
        else:
            reason = str(error)
        raise CheckpointError(
            f"cannot write '{path}': {reason}. What was there before is untouched"
        ) from error


def _refuse_objects(value: Any, place: str = "") -> None:
    """Refuse what could not be read again, when it is written and not when it is needed."""
    # exact types: a subclass, such as a number of NumPy's, is stored as an object of its own
    kind = type(value)
    if kind in PLAIN:
        return
    if kind not in MAPPINGS and kind not in SEQUENCES:
        raise ArchitectureError(
            f"the checkpoint cannot be written: '{place}' is a {kind.__module__}.{kind.__name__}, "
            "and only tensors, numbers, strings, None, and lists and dictionaries of these can be "
            "read again without running code. get_checkpoint of the model or save_checkpoint of "
            "the trainer has to turn it into these (to_dict(), .tolist(), str(), .detach())"
        )
    parts = list(value.values()) if kind in MAPPINGS else value
    keys = list(value) if kind in MAPPINGS else range(len(parts))
    # all at once, for a step in Python for each number of a long history would be felt
    if PLAIN.issuperset(map(type, chain(keys, parts))):
        return
    for key, part in zip(keys, parts):
        _refuse_objects(key, f"{place}.{key}".lstrip("."))
        _refuse_objects(part, f"{place}.{key}".lstrip("."))


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without running anything that is in it (``weights_only=True``).

    :return: of any version, with the keys of :class:`Checkpoint`
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
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        # Not damage, since the checksum was right: torch reads pickles of its own protocol alone.
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            _refuse_globals(path, _globals_of(archive.read(name)))
        raise CheckpointError(
            f"'{path}' holds a pickle that mt does not read; expected a file that mt train has "
            "written"
        ) from error
    except DAMAGE as error:
        raise CheckpointError(
            f"'{path}' is damaged, probably truncated while it was copied or written; take the "
            "one before it (previous.ckpt in the same run folder) or copy it again"
        ) from error
    found = checkpoint if isinstance(checkpoint, dict) else {}
    if found.get("format") != FORMAT:
        raise CheckpointError(
            f"'{path}' is not a checkpoint of mt: torch has saved {_in_words(checkpoint)} in it; "
            "expected a file that mt train has written"
        )
    lacking = sorted(CheckpointHeader.__required_keys__ - set(found))
    if lacking:
        raise CheckpointError(
            f"'{path}' is not a checkpoint of mt: it lacks {', '.join(lacking)}; expected a file "
            "that mt train has written"
        )
    writer = f"get_checkpoint of '{found['architecture']}' ({found['distribution']})"
    check_keys(found, Checkpoint, writer, f"'{path}'")
    return found


def _in_words(content: Any) -> str:
    """What torch has saved in a file that is not one of ours."""
    if isinstance(content, dict):
        keys = ", ".join(shortened(str(key), 30) for key in list(content)[:3])
        is_weights = bool(content) and all(isinstance(each, Tensor) for each in content.values())
        return f"{'weights alone' if is_weights else 'a dictionary'} ({keys or 'empty'}, ...)"
    return f"a {type(content).__name__}"


def _refuse_foreign(path: Path) -> None:
    """Say what a file is that cannot be a checkpoint of ours, and execute nothing in it."""
    if not zipfile.is_zipfile(path):
        content = path.read_bytes()
        # a bare pickle, which torch wrote before it used archives, can run what it likes
        _refuse_globals(path, _globals_of(content))
        found = "truncated, or not a checkpoint at all" if content else "empty"
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
        for name in names:
            if name.endswith("data.pkl"):
                archive.read(name)  # compares its checksum, which torch does not
    # torch.load would refuse these too, but not say which program wrote them
    _refuse_globals(path, sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)))


def _globals_of(pickles: bytes) -> list[str]:
    """What pickles would import, other than tensors, as far as they can be read; nothing is run."""
    names: list[str] = []
    texts: list[str] = []
    stream = io.BytesIO(pickles)
    # until there is no pickle any more, or none from here on
    with suppress(ValueError, pickle.UnpicklingError):
        while True:
            for opcode, argument, _ in pickletools.genops(stream):
                if "UNICODE" in opcode.name:
                    texts.append(str(argument))
                elif opcode.name == "GLOBAL":
                    names.append(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":
                    names.append(".".join(texts[-2:]))
    return [name for name in names if not name.startswith(("torch.", "collections.OrderedDict"))]


def _refuse_globals(path: Path, names: list[str]) -> None:
    if any(name.startswith("metatrain") for name in names):
        raise CheckpointError(
            f"'{path}' is a checkpoint of metatrain, which holds Python objects; mt cannot "
            "continue it. Train again with the same options file, or export it with mtt and use "
            "the exported model"
        )
    if names:
        raise CodeInCheckpoint(path, names)


def upgrade_by_version(
    checkpoint: dict[str, Any], key: str, current: int, upgrades: Mapping[int, Upgrade]
) -> dict[str, Any]:
    """Apply ``upgrades[v]`` (from version v to v + 1) until ``checkpoint[key]`` is ``current``.

    :raises CheckpointError: for a checkpoint of a newer version, with what to install
    """
    if key not in checkpoint:
        raise CheckpointError(
            f"the checkpoint lacks '{key}', and so it is not known which upgrades it needs: the "
            f"class that writes it has to save its __checkpoint_version__ as '{key}'"
        )
    found = checkpoint[key]
    if found > current:
        raise CheckpointError(
            f"the checkpoint has {key.replace('_', ' ')} {found}, this installation reads up to "
            f"{current}; install the version that wrote it or a newer one: pip install "
            f"'{checkpoint['distribution']}>={checkpoint['distribution_version']}'"
        )
    # one step a version: a function is written once and never changed
    for version in range(found, current):
        if version not in upgrades:
            raise CheckpointError(
                f"the checkpoint has {key.replace('_', ' ')} {version}, and there is no upgrade "
                f"from it to {version + 1}: the author of {checkpoint['distribution']} has to name "
                "one in checkpoint_upgrades"
            )
        checkpoint = upgrades[version](checkpoint)
        checkpoint[key] = version + 1
    return checkpoint


class Versioned:
    """Model or trainer: each has a part in a checkpoint, and a version of its own."""

    __checkpoint_version__: ClassVar[int]
    """Version of the saved structure: an integer that only grows."""
    version_key: ClassVar[str]
    """Where a checkpoint says of which version this part is."""

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Bring this part of a checkpoint of any older version to the current one.

        :raises CheckpointError: when the checkpoint comes from a newer version
        """
        version, upgrades = cls.__checkpoint_version__, cls.checkpoint_upgrades()
        return upgrade_by_version(checkpoint, cls.version_key, version, upgrades)

    @classmethod
    def checkpoint_upgrades(cls) -> dict[int, Upgrade]:
        """Hook: ``{1: from_1_to_2, ...}``, functions of the whole checkpoint."""
        return {}
