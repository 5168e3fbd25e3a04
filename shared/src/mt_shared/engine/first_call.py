"""Does a model have what it reads? Asked once, before anything is trained."""

from __future__ import annotations

import copy
from collections.abc import ItemsView, Mapping, ValuesView
from typing import Any

import torch
from torch import Tensor

from mt_shared.contract import DatasetInfo
from mt_shared.data import Dataset, Graph, build_store
from mt_shared.engine.baselines import normalizations
from mt_shared.errors import ArchitectureError, OptionsError
from mt_shared.model import TrainableModel, differentiable
from mt_shared.options import WORD_OF

FIELDS = {
    "reads_positions": ("positions", "cells", "pbc", "shifts"),
    "reads_reverse": ("reverse",),
}
"""What of a graph is there for a model that declares an attribute."""

NUM_TRIED = 50
"""Among this number of structures, the first ones, the one is chosen that shows most."""


def check_first_call(
    model: TrainableModel[Any], dataset: Dataset, info: DatasetInfo, dtype: torch.dtype
) -> None:
    """Call the model and see what it reads of a graph: all of that has to be there.

    Fields that a model does not declare are empty, in training as in the exported model. One that
    reads them all the same would fail somewhere inside, or train and simulate with less than its
    author thinks. Compiled parts of a model cannot be watched: there it must not matter whether a
    field holds numbers, which are random here, or is empty.

    :param dataset: of which the structure with most edges among the first is taken
    :raises ArchitectureError: the model reads what it does not declare, or an input that is not
        there, or has energies that cannot be differentiated for their forces
    :raises OptionsError: the model does not read an input that is there
    """
    # On a CPU: an index into an empty field, which is what is looked for, would end the whole
    # process on a GPU.
    if next(model.parameters()).device.type != "cpu":
        model = copy.deepcopy(model).cpu()
    graph = _largest_graph(model, dataset, info, dtype)
    if any(target.gradients for target in info.targets.values()):
        graph = differentiable(graph)
    inputs = WatchedInputs(graph.inputs)
    undeclared = [name for name in FIELDS if not getattr(model, name)]
    random = _with_random_fields(graph, undeclared)
    watched, fields_read = _watched(random._replace(inputs=inputs))
    was_training = model.training
    model.eval()
    values = _values(model, watched, info)
    missing = [
        name
        for name in undeclared
        if fields_read.intersection(FIELDS[name])
        or (values is not None and not _agrees(model, random, info, name, values))
    ]
    model.train(was_training)
    _check_inputs(model, inputs, has_failed=values is None)
    if missing:
        fields = " or ".join(f"graph.{field}" for field in FIELDS[missing[0]])
        raise ArchitectureError(
            f"the model {type(model).__name__} reads {fields}, which is empty for a model that "
            f"does not declare it; declare it in the class: {missing[0]} = True"
        )
    # of atoms without neighbors, energies need not depend on anything
    if values is not None and len(graph.vectors) > 0:
        _check_gradients(model, values, info)


def _check_inputs(model: TrainableModel[Any], inputs: WatchedInputs, has_failed: bool) -> None:
    """Refuse an input that is read and not there, or, by a model that got to its end, unread."""
    if inputs.missing:
        key = inputs.missing[0]
        raise ArchitectureError(
            f"the model {type(model).__name__} reads the input '{key}', which the options do not "
            f"give; give it, such as extra_data: {{{key}: {{key: NAME_IN_THE_FILE}}}}"
        )
    unread = sorted(set(inputs) - inputs.read)
    if unread and not has_failed:
        raise OptionsError(
            f"the options give the input '{unread[0]}' (extra_data), which the model "
            f"{type(model).__name__} does not read; leave it out"
        )


def _check_gradients(
    model: TrainableModel[Any], values: dict[str, Tensor], info: DatasetInfo
) -> None:
    """Refuse energies without a history, of which forces and stress would always be zero."""
    for name, target in info.targets.items():
        if target.gradients and not values[name].requires_grad:
            words = [WORD_OF[gradient] for gradient in target.gradients]
            raise ArchitectureError(
                f"the model {type(model).__name__} gives an energy '{name}' that autograd cannot "
                f"derive by the positions, and the data have its {' and '.join(words)}; compute it "
                "from the edge vectors or positions by functions of torch (no detach, item, numpy "
                "or no_grad on the way), or train without, by "
                f"{' and '.join(f'{word}: false' for word in words)} below the target"
            )


class WatchedInputs(dict[str, Tensor]):
    """The inputs of a graph, which remember what of them was asked for."""

    def __init__(self, inputs: Mapping[str, Tensor]):
        super().__init__(inputs)
        self.read: set[str] = set()
        self.missing: list[str] = []

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)

    def __missing__(self, name: str) -> Tensor:
        self.missing.append(name)
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def items(self) -> ItemsView[str, Tensor]:  # type: ignore[override]
        self.read.update(self)
        return super().items()

    def values(self) -> ValuesView[Tensor]:  # type: ignore[override]
        self.read.update(self)
        return super().values()


def _watched(graph: Graph) -> tuple[Graph, set[str]]:
    """The same graph, and the names of its fields as soon as they are read."""
    read: set[str] = set()

    def field(index: int, name: str) -> property:
        def get(graph: tuple[Any, ...]) -> Any:
            read.add(name)
            return tuple.__getitem__(graph, index)

        return property(get)

    fields = {name: field(index, name) for index, name in enumerate(Graph._fields)}
    watched: Any = type("WatchedGraph", (Graph,), {"__slots__": (), **fields})
    return watched(*graph), read


def _largest_graph(
    model: TrainableModel[Any], dataset: Dataset, info: DatasetInfo, dtype: torch.dtype
) -> Graph:
    """With all fields, of the structure that has most edges."""
    store = build_store(
        [dataset.subset(range(min(NUM_TRIED, len(dataset))))],
        info,
        model.cutoff,
        normalizations(model, info.targets),
        dtype,
        reads_positions=True,
        reads_reverse=True,
    )
    return store.batch(store.edge_offsets.diff().argmax().reshape(1)).graph


def _with_random_fields(graph: Graph, undeclared: list[str]) -> Graph:
    """The graph with numbers of no meaning in the fields of these declarations."""
    generator = torch.Generator().manual_seed(0)
    found: dict[str, Any] = {}
    if "reads_positions" in undeclared:
        for name in ("positions", "cells"):
            shape, dtype = getattr(graph, name).shape, graph.vectors.dtype
            found[name] = torch.randn(shape, generator=generator, dtype=dtype)
        found["pbc"] = torch.ones_like(graph.pbc)
        found["shifts"] = torch.randint(1, 4, graph.shifts.shape, generator=generator)
    if "reads_reverse" in undeclared:
        found["reverse"] = torch.randperm(len(graph.reverse), generator=generator)
    return graph._replace(**found)


def _agrees(
    model: TrainableModel[Any],
    graph: Graph,
    info: DatasetInfo,
    name: str,
    expected: dict[str, Tensor],
) -> bool:
    """Whether the model predicts the same without the fields of one declaration."""
    empty = {field: getattr(graph, field)[:0] for field in FIELDS[name]}
    found = _values(model, graph._replace(**empty), info)
    return found is not None and all(
        torch.allclose(found[target], expected[target], equal_nan=True) for target in expected
    )


def _values(
    model: TrainableModel[Any], graph: Graph, info: DatasetInfo
) -> dict[str, Tensor] | None:
    """What the model gives, or None where it fails."""
    try:
        return model.values(graph, list(info.targets))
    # whatever it is: with the fields that it declares, the model will fail again at the first step
    except Exception:
        return None
