"""Whether a hook of an architecture returns what it has to; asked in Python alone, not in exports.

Letters of shapes: A atoms, F features, S structures.
"""

from typing import Any

from torch import Tensor, nn

from mt_shared.errors import ArchitectureError

ANY = -1
"""A size that may be any."""


def check_shape(
    model: nn.Module, hook: str, found: Any, letters: str, expected: tuple[int, ...]
) -> None:
    """Refuse what a hook of a model returns, unless it is a tensor of the expected shape.

    :param letters: of the shape, such as ``(A, F)``
    :param expected: its sizes, ``ANY`` where any will do
    """
    shape: Any = type(found).__name__
    if isinstance(found, Tensor):
        shape = tuple(found.shape)
        fits = (size in (ANY, given) for given, size in zip(shape, expected))
        if len(shape) == len(expected) and all(fits):
            return
    sizes = ", ".join("any" if size == ANY else str(size) for size in expected)
    comma = "," if len(expected) == 1 else ""
    raise ArchitectureError(
        f"{type(model).__name__}.{hook} returned {shape}, expected a tensor of shape {letters} = "
        f"({sizes}{comma}); A is the number of atoms, S that of structures "
        "(atomic_energies=False), F num_features"
    )
