"""The files that the options of a training name: told at once where one cannot be there."""

from collections.abc import Iterator
from pathlib import Path

from mt_core.options.parsing import TrainingOptions, Where
from mt_core.options.rules import PARTS
from mt_shared.options import Fault, KeyPath, leaves, raise_faults
from mt_shared.user_files import fault_of_data, missing

_READ_FROM = ("architecture", "training", "finetune", "read_from")


def check_files(
    options: TrainingOptions, source: str, where: Where | None = None, restarts: bool = False
) -> None:
    """Refuse files that are not there, or that the first bytes show to be something else.

    :param restarts: a training that goes on needs no checkpoint that it once began with
    :param where: see :func:`mt_shared.options.raise_faults`
    :raises OptionsError: names each file once, with the first place that names it
    """
    named: dict[str, tuple[KeyPath, str | None]] = {}
    for path, name, fault in _files(options, restarts):
        named.setdefault(name, (path, fault))
    faults = []
    for name, (path, fault) in named.items():
        beside = Path(source).parent / name
        if fault is not None and not Path(name).exists():
            if beside.is_file():
                fault += f" (beside the options there is {beside})"
            # a bare text is a path, and a word is rarely meant as one
            elif "targets" in path and name.isidentifier():
                fault += f"; if it is a key of the file, write {{key: {name}}}"
        faults += [] if fault is None else [Fault(path, fault)]
    raise_faults(faults, source, where)


def _files(options: TrainingOptions, restarts: bool) -> Iterator[tuple[KeyPath, str, str | None]]:
    """Where a file is named, its name, and what is wrong with it."""
    for part in PARTS:
        for path, value in leaves(options.complete[part], (part,)):
            if isinstance(value, str) and path[-1] == "read_from":
                yield path, value, fault_of_data(value)
            # a list of numbers is a leaf as well
            elif isinstance(value, str) and path[-1] == "indices":
                yield path, value, _fault_if_missing(value, "file of indices")
    if options.finetune is not None and not restarts:
        name = options.finetune["read_from"]
        yield _READ_FROM, name, _fault_if_missing(name, "checkpoint")


def _fault_if_missing(name: str, what: str) -> str | None:
    return None if Path(name).exists() else missing(name, what)
