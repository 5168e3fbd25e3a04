"""``mt eval MODEL DATA``: a file of structures in the place of options.

Its labels are those of the model's targets that it has under their usual names: that of the target,
with or without ``mtt::``, and ``forces``, ``stress`` and ``virial``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from pathlib import Path

from metatomic.torch import AtomisticModel

from mt_core.evaluation.predictions import targets_of
from mt_shared.contract import TargetInfo
from mt_shared.data import read_chunks
from mt_shared.errors import OptionsError
from mt_shared.options import (
    GRADIENT_OF,
    STANDARD_INPUTS,
    DatasetSpec,
    GradientSpec,
    SystemsSpec,
    TargetSpec,
)
from mt_shared.user_files import CHECKPOINT, EMPTY, EXPORTED_MODEL, OPTIONS, kind_of

log = logging.getLogger("mt.eval")

# structures in which labels are looked for
_NUM_LOOKED_AT = 64
_OPTIONS_SUFFIXES = (".yaml", ".yml", ".json")


def is_data(model: str | Path, path: str | Path) -> bool:
    """Whether a file holds data rather than options.

    :raises OptionsError: it is a model, whose place is the first
    """
    # of what is not there the reader of options tells
    if Path(path).suffix in _OPTIONS_SUFFIXES or not Path(path).is_file():
        return False
    kind = kind_of(path)
    if kind in (EXPORTED_MODEL, CHECKPOINT):
        raise OptionsError(
            f"'{path}' is {kind.name}; the model comes first: mt eval {path} {model}"
        )
    return kind not in (OPTIONS, EMPTY)


def spec_of_data(model: AtomisticModel, path: str) -> DatasetSpec:
    """The structures of a file, and the labels that it has of the model's targets."""
    systems = SystemsSpec(path)
    first = next(read_chunks(DatasetSpec(systems), _NUM_LOOKED_AT))
    names = set(first.unused_keys)
    targets = [_target_spec(*each, path, names) for each in targets_of(model).items()]
    keys = [key for each in targets for key in (each.key, *(part.key for part in each.gradients))]
    found = [key for key in dict.fromkeys(keys) if key in names]
    if found:
        log.info(f"{path}: compared with its {', '.join(found)}, as targets of the model")
    else:
        looked_for = ", ".join(dict.fromkeys(keys))
        log.info(f"{path}: no labels to compare with (looked for {looked_for}); predictions alone")
    return DatasetSpec(systems, tuple(targets) if found else (), tuple(_inputs(model, path)))


def _target_spec(name: str, target: TargetInfo, path: str, names: Collection[str]) -> TargetSpec:
    short = name.removeprefix("mtt::")
    has_gradients = target.is_energy and not target.per_atom and target.num_subtargets == 1
    words = [word for word in GRADIENT_OF if has_gradients and word in names]
    return TargetSpec(
        name=name,
        key=short if short in names else name,
        read_from=path,
        quantity=target.quantity,
        sample_kind=target.sample_kind,
        type=target.type.to_dict(),
        num_subtargets=target.num_subtargets,
        extensive=target.extensive,
        gradients=tuple(GradientSpec(word, word, path, required=False) for word in words),
        # nobody has asked for any
        allow_missing=True,
    )


def _inputs(model: AtomisticModel, path: str) -> Iterator[TargetSpec]:
    """What the model reads: of names that are its own it does not say of what type they are."""
    for name, request in model.requested_inputs(use_new_names=True).items():
        kind = STANDARD_INPUTS[name].type if name in STANDARD_INPUTS else "scalar"
        yield TargetSpec(name, name, path, sample_kind=request.sample_kind, type=kind)
