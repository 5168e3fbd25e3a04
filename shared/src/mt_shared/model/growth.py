"""A model of more atomic types takes over the numbers of one with fewer."""

from typing import Dict, List, Tuple

import torch
from torch import Tensor

from mt_shared.errors import DataError

# where the entries of an axis went, by its old and its new size
Places = Dict[Tuple[int, int], Tensor]


def places_of_types(old_types: List[int], new_types: List[int]) -> Tensor:
    """The index of each old atomic type among the new ones, (T_old,) int64."""
    return torch.tensor([new_types.index(atomic_type) for atomic_type in old_types])


def take_over(new: torch.nn.Module, old: torch.nn.Module, places: Places) -> None:
    """Copy every tensor of ``old`` into the one of the same name in ``new``.

    Where an axis has grown, its old entries go to their places; the others stay as they are.

    :raises DataError: for an axis that has grown in a way that ``places`` does not know
    """
    numbers = old.state_dict()
    # the tensors of a state_dict share their memory with the model
    for name, tensor in new.state_dict().items():
        if name not in numbers:
            continue
        # An index array for each axis, of shapes that broadcast (like numpy.ix_), so that all axes
        # may grow at once.
        index = []
        for axis, (size, new_size) in enumerate(zip(numbers[name].shape, tensor.shape)):
            if size != new_size and (size, new_size) not in places:
                raise DataError(
                    f"this architecture cannot be extended by new atomic types: of '{name}', axis "
                    f"{axis} grows from {size} to {new_size}, and it does not say how"
                )
            place = torch.arange(size) if size == new_size else places[size, new_size]
            index.append(place.reshape([-1 if i == axis else 1 for i in range(tensor.dim())]))
        tensor[tuple(index)] = numbers[name]
