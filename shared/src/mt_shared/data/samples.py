"""One structure of a data set at a time, as metatensor has it: for trainers with their own loop.

The shared trainer takes all structures at once, see ``store.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from keyword import iskeyword
from operator import itemgetter
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import System
from numpy.typing import NDArray

from mt_shared.data.systems import (
    add_neighbor_lists,
    requested_neighbor_lists,
    short_name,
    system_samples,
    systems_from,
    tensor_map,
)

if TYPE_CHECKING:
    from mt_shared.data.dataset import Dataset, TargetLabels


class Sample(tuple[Any, ...]):
    """A named tuple: the system first, then targets and inputs, by names that may be any text.

    ``sample.system`` is ``sample["system"]`` and ``sample[0]``; so is ``sample.energy``, and of a
    name that is no word of Python ``sample["mtt::dipole"]``. What torch and metatensor do with
    named tuples (``_fields``, ``_asdict()``) they do with this one.
    """

    _fields: tuple[str, ...] = ()

    def __new__(cls, *values: Any) -> Sample:
        assert len(values) == len(cls._fields), f"expected values for {cls._fields}"
        return super().__new__(cls, values)

    # never called for a name that a class has a property of; it tells a type checker of the names
    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the sample has no '{name}'; it has {', '.join(self._fields)}")

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._fields:
                raise KeyError(f"the sample has no '{key}'; it has {', '.join(self._fields)}")
            key = self._fields.index(key)
        return super().__getitem__(key)

    def __reduce__(self) -> tuple[Any, ...]:
        """To other processes, which make the class anew."""
        return _sample, (self._fields, tuple(self))

    def __repr__(self) -> str:
        return f"Sample({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    def _asdict(self) -> dict[str, Any]:
        """The values by name."""
        return dict(zip(self._fields, self))


def _sample(fields: tuple[str, ...], values: Sequence[Any]) -> Sample:
    return _sample_class(fields)(*values)


@cache
def _sample_class(fields: tuple[str, ...]) -> type[Sample]:
    names = {
        name: property(itemgetter(index), doc=f"sample[{index}]")
        for index, name in enumerate(fields)
        if name.isidentifier() and not iskeyword(name)
    }
    return type("Sample", (Sample,), {"_fields": fields, **names})


def make_sample(dataset: Dataset, index: SupportsIndex) -> Sample:
    """Structure, labels and inputs of one index, in float64.

    The system has the inputs too, and the neighbor lists of ``dataset.neighbor_lists``. In the
    tensor maps it is the system ``index``.

    :raises IndexError: there is no such structure
    """
    # a range knows of negative indices, and of those that are not there
    number = range(len(dataset))[index]
    part = dataset.subset([number])
    (system,) = systems_from(part.structures, part.extra)
    add_neighbor_lists([system], dataset.neighbor_lists, dataset.length_unit or "")
    labels = {**part.labels, **part.extra}
    maps = [_tensor_map(name, each, number, system) for name, each in labels.items()]
    return _sample(("system", *labels), (system, *maps))


def _tensor_map(name: str, labels: TargetLabels, number: int, system: System) -> TensorMap:
    """The labels of one structure, NaN where it has none."""
    values = torch.from_numpy(labels.values)
    samples = system_samples(number, len(system), labels.sample_kind)
    # as models name what they predict
    properties = "energy" if labels.quantity == "energy" else short_name(name)
    found = tensor_map(values, samples, labels.type, properties)
    if not labels.gradients:
        return found
    # a block that is in a map takes no gradients any more
    block = found.block().copy()
    for parameter, array in labels.gradients.items():
        block.add_gradient(parameter, _gradient(parameter, array, number, block.properties))
    return TensorMap(found.keys, [block])


def _gradient(
    parameter: str, array: NDArray[np.float64], number: int, properties: Labels
) -> TensorBlock:
    # the first column names the row of the values, of which there is one
    samples, axes = Labels.range("sample", 1), ["xyz_1", "xyz_2"]
    if parameter == "positions":
        moved = system_samples(number, len(array), "atom").values
        rows = torch.zeros_like(moved[:, :1])
        samples = Labels(["sample", "system", "atom"], torch.cat([rows, moved], dim=1))
        axes = ["xyz"]
    components = [Labels.range(axis, 3) for axis in axes]
    return TensorBlock(torch.from_numpy(array).unsqueeze(-1), samples, components, properties)


def with_neighbor_lists(datasets: Sequence[Dataset], model: torch.nn.Module) -> list[Dataset]:
    """Data sets whose samples have the neighbor lists that the model asks for.

    They are computed with each sample, not here.
    """
    options = requested_neighbor_lists(model)
    return [replace(dataset, neighbor_lists=options) for dataset in datasets]
