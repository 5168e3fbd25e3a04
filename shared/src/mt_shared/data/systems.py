"""Systems of metatomic, made of structures, with what a model asks for: inputs, neighbor lists.

Letters of shapes: A atoms, S structures, N samples, M components, P sub-targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, NeighborListOptions, System
from torch import Tensor
from vesin.metatomic import NeighborList

from mt_shared.contract import Cartesian, Spherical, TargetType
from mt_shared.data.structures import Structures

if TYPE_CHECKING:
    # a data set makes samples of itself, and samples are made of systems
    from mt_shared.data.dataset import TargetLabels

Inputs = Mapping[str, "TargetLabels"]
"""What models read of structures or atoms, by name, in the order of the structures."""

CPU = torch.device("cpu")


def systems_from(
    structures: Structures,
    inputs: Inputs | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device = CPU,
) -> list[System]:
    """A system of each structure, with these inputs, in the unit of length of the structures."""
    positions = torch.tensor(structures.positions, dtype=dtype, device=device)
    cells = torch.tensor(structures.periodic_cells, dtype=dtype, device=device)
    parts = positions.split(structures.atoms_per_system.tolist())
    return _systems(structures, parts, cells, inputs or {})


def strained_systems(
    structures: Structures, inputs: Inputs, dtype: torch.dtype, device: torch.device
) -> tuple[list[System], Tensor, Tensor]:
    """Systems to be differentiated by, and their leaves: positions (A, 3), strains (S, 3, 3).

    A strain takes a position ``r`` to ``r strain``, and a vector of a cell alike. It is an identity
    that changes nothing: the derivative by it is that by a strain at zero.
    """
    positions = torch.tensor(structures.positions, dtype=dtype, device=device, requires_grad=True)
    cells = torch.tensor(structures.periodic_cells, dtype=dtype, device=device)
    strains = torch.eye(3, dtype=dtype, device=device).repeat(structures.num_systems, 1, 1)
    strains.requires_grad_()
    parts = positions.split(structures.atoms_per_system.tolist())
    strained = [part @ strain for part, strain in zip(parts, strains, strict=True)]
    return _systems(structures, strained, cells @ strains, inputs), positions, strains


def _systems(
    structures: Structures, positions: Sequence[Tensor], cells: Tensor, inputs: Inputs
) -> list[System]:
    counts = structures.atoms_per_system.tolist()
    types = torch.tensor(structures.types, dtype=torch.int32, device=cells.device).split(counts)
    pbc = torch.tensor(structures.pbc, device=cells.device)
    systems = [
        System(types=kinds, positions=places, cell=cell, pbc=periodic)
        for kinds, places, cell, periodic in zip(types, positions, cells, pbc, strict=True)
    ]
    for name, labels in inputs.items():
        values = torch.from_numpy(labels.values)
        parts = values.split(counts if labels.sample_kind == "atom" else 1)
        for system, part in zip(systems, parts, strict=True):
            add_input(system, name, part, labels.sample_kind, labels.type, labels.unit)
    return systems


def add_input(
    system: System, name: str, values: Tensor, sample_kind: str, form: TargetType, unit: str
) -> None:
    """Give a system what a model reads of it, or of each of its atoms: values (N, ..., P)."""
    values = values.to(dtype=system.positions.dtype, device=system.positions.device)
    data = tensor_map(values, system_samples(0, len(values), sample_kind), form, short_name(name))
    # metatomic converts it to the unit of the model, but not from none
    if unit:
        data.set_info("unit", unit)
    system.add_data(name, data)


# ---- what a model asks for


def requested_inputs(model: torch.nn.Module) -> dict[str, ModelOutput]:
    """The inputs that a model and its submodules ask for, as metatomic finds them."""
    found: dict[str, ModelOutput] = {}
    for ask in _methods(model, "requested_inputs"):
        found = ask() | found
    return found


def requested_neighbor_lists(model: torch.nn.Module) -> tuple[NeighborListOptions, ...]:
    """The neighbor lists that a model and its submodules ask for, as metatomic finds them."""
    found: list[NeighborListOptions] = []
    for ask in _methods(model, "requested_neighbor_lists"):
        # equal options have other hashes
        found += [each for each in ask() if each not in found]
    return tuple(found)


def _methods(model: torch.nn.Module, name: str) -> Iterator[Callable[[], Any]]:
    """This optional method of a model and of those of its submodules that have it."""
    return (getattr(module, name) for module in model.modules() if hasattr(module, name))


def add_neighbor_lists(
    systems: list[System], options: Iterable[NeighborListOptions], length_unit: str
) -> None:
    """Give systems the neighbor lists of these options.

    :param length_unit: of the systems
    """
    for each in options:
        # without a skin, which is for structures that move
        NeighborList(each, length_unit, skin=0.0).add_neighbor_list(systems)


# ---- metatensor's form


def short_name(name: str) -> str:
    """What metatensor calls the properties of a name: ``mtt::a`` is ``a``, ``b/c`` is ``b``."""
    word = name.split("::")[-1].split("/")[0]
    return word if word.isidentifier() and word.isascii() else "_"


def system_samples(index: int, number: int, sample_kind: str) -> Labels:
    """The samples of one system: itself, or its atoms, of which there is this number."""
    if sample_kind == "system":
        return Labels(["system"], torch.tensor([[index]], dtype=torch.int32))
    atoms = torch.arange(number, dtype=torch.int32)
    samples = torch.stack([torch.full_like(atoms, index), atoms], dim=1)
    return Labels(["system", "atom"], samples, assume_unique=True)


def tensor_map(values: Tensor, samples: Labels, form: TargetType, properties: str) -> TensorMap:
    """Values (N, P), (N, 3, ..., P) or (N, M, P) with labels; irreps are a block each."""
    names = Labels.range(properties, values.shape[-1]).to(values.device)
    samples = samples.to(values.device)
    if isinstance(form, Spherical):
        parts = values.split([2 * o3_lambda + 1 for o3_lambda, _ in form.irreps], dim=1)
        blocks = []
        for part, (o3_lambda, _) in zip(parts, form.irreps, strict=True):
            orders = torch.arange(-o3_lambda, o3_lambda + 1, device=values.device).unsqueeze(1)
            component = Labels(["o3_mu"], orders.to(torch.int32))
            blocks.append(TensorBlock(part.contiguous(), samples, [component], names))
        keys = Labels(["o3_lambda", "o3_sigma"], torch.tensor(form.irreps, dtype=torch.int32))
        return TensorMap(keys.to(values.device), blocks)
    rank = form.rank if isinstance(form, Cartesian) else 0
    axes = ["xyz"] if rank == 1 else [f"xyz_{axis + 1}" for axis in range(rank)]
    components = [Labels.range(axis, 3).to(values.device) for axis in axes]
    keys = Labels.single().to(values.device)
    return TensorMap(keys, [TensorBlock(values, samples, components, names)])
