"""A model of more atomic types takes over the numbers of one with fewer."""

import re
from typing import Dict, List, Set, Tuple

import torch
from torch import Tensor

from mt_shared.errors import DataError

# where the entries of an axis went, by its old and its new size
Places = Dict[Tuple[int, int], Tensor]

REFUSED = "this architecture cannot be extended by new atomic types"


def places_of_types(old_types: List[int], new_types: List[int]) -> Tensor:
    """The index of each old atomic type among the new ones, (T_old,) int64."""
    return torch.tensor([new_types.index(atomic_type) for atomic_type in old_types])


def take_over(new: torch.nn.Module, old: torch.nn.Module, places: Places) -> None:
    """Copy every tensor of ``old`` into the one of the same name in ``new``.

    Where an axis has grown, its old entries go to their places; the others stay as they are.

    :raises DataError: for an axis that has grown in a way that ``places`` does not know, for a list
        that has grown, and for a tensor that has no place in the new model
    """
    _refuse_longer_lists(new, old)
    tensors = new.state_dict()
    for name, numbers in old.state_dict().items():
        if name not in tensors:
            raise DataError(f"{REFUSED}: the larger model has nothing that is called '{name}'")
        # An index array for each axis, of shapes that broadcast (like numpy.ix_), so that all axes
        # may grow at once.
        index = []
        for axis, (size, new_size) in enumerate(zip(numbers.shape, tensors[name].shape)):
            if size != new_size and (size, new_size) not in places:
                raise DataError(
                    f"{REFUSED}: of '{name}', axis {axis} grows from {size} to {new_size}, and "
                    "its grown_axes does not say how"
                )
            place = torch.arange(size) if size == new_size else places[size, new_size]
            if len(place) != size:
                raise DataError(
                    f"{REFUSED}: of '{name}', axis {axis} has {size} old entries, and its "
                    f"grown_axes gives places of {len(place)}"
                )
            index.append(place.reshape([-1 if i == axis else 1 for i in range(numbers.dim())]))
        # the tensors of a state_dict share their memory with the model
        tensors[name][tuple(index)] = numbers


def _refuse_longer_lists(new: torch.nn.Module, old: torch.nn.Module) -> None:
    """Refuse modules or parameters that are numbered by the types and not named after them.

    Types are sorted: network 1 of (H, O) is oxygen's, and that of (H, N, O) would be nitrogen's.

    :raises DataError: names the list and what to use instead
    """
    larger = dict(new.named_modules())
    for path, module in old.named_modules():
        if path not in larger:
            continue
        after = _numbered(larger[path])
        for stem, numbers in _numbered(module).items():
            # no atomic type is 0: what is keyed by atomic number is no list
            if 0 in numbers and len(after.get(stem, numbers)) > len(numbers):
                name = ".".join(filter(None, (path, stem)))
                raise DataError(
                    f"{REFUSED}: '{name}' grows from {len(numbers)} to {len(after[stem])} entries, "
                    "which are known by their places alone, so that the weights of one element "
                    "would become those of another. Key them by atomic number, as "
                    "mt_shared.model.ElementModules does, or give one tensor an axis of types"
                )


def _numbered(module: torch.nn.Module) -> Dict[str, Set[int]]:
    """The numbers at the ends of the names in a module, by what is before: a list has none."""
    names = [*dict(module.named_children()), *dict(module.named_parameters(recurse=False))]
    found: Dict[str, Set[int]] = {}
    for name in names:
        match = re.fullmatch(r"(.*?)(\d+)", name)
        if match is not None:
            found.setdefault(match[1], set()).add(int(match[2]))
    return found
