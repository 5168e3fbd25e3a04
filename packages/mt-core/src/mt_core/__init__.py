"""Train, evaluate and export machine-learning models of atoms.

The command ``mt`` and these functions do the same: :func:`train`, :func:`evaluate`,
:func:`export` and :func:`load_model` take the paths and dictionaries that the command line takes.
Each is imported when it is first used, so that ``import mt_core`` stays cheap.
"""

from typing import TYPE_CHECKING, Any

from mt_core.__about__ import __version__

if TYPE_CHECKING:
    from mt_core.evaluation import evaluate, export, load_model
    from mt_core.training import train

__all__ = ["__version__", "evaluate", "export", "load_model", "train"]

# the modules are not named like the functions: importing mt_core.train would put it in the place of
# the function
_MODULE_OF = {
    "evaluate": "mt_core.evaluation",
    "export": "mt_core.evaluation",
    "load_model": "mt_core.evaluation",
    "train": "mt_core.training",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'mt_core' has no attribute '{name}'")
    from importlib import import_module

    from mt_shared.threads import wait_passively

    # what is imported next loads torch
    wait_passively()
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
