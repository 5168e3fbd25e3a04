"""Sums over atoms, and metatensor objects at the border of a model. TorchScript reads this file.

Letters of shapes: A atoms, S systems, P properties.
"""

from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System
from torch import Tensor

from mt_shared.data import Graph


def collect(
    systems: List[System],
    atomic: Dict[str, Tensor],
    outputs: Dict[str, ModelOutput],
    property_names: Dict[str, str],
    owners: Tensor,
    selected_atoms: Optional[Labels],
) -> Dict[str, TensorMap]:
    """The outputs that were asked for, from the values of the atoms, in the dtype of the systems.

    :param atomic: (A, P) by output
    :param owners: (A,) the system of each atom
    """
    dtype = systems[0].positions.dtype
    samples = atom_samples(systems)
    selected = selection(samples, selected_atoms)
    if selected is not None:
        samples = samples[selected]
        owners = owners[selected]

    results: Dict[str, TensorMap] = {}
    for name, output in outputs.items():
        values = atomic[name]
        if selected is not None:
            values = values[selected]
        if output.sample_kind == "atom":
            values, labels = values.to(dtype), Labels(["system", "atom"], samples)
        else:
            totals = torch.zeros(
                (len(systems), values.shape[1]), dtype=values.dtype, device=values.device
            )
            totals = totals.index_add(0, owners, values)
            numbers = torch.arange(len(totals), dtype=torch.int32, device=values.device)
            values, labels = totals.to(dtype), Labels(["system"], numbers.unsqueeze(1))
        results[name] = single_block(values, labels, property_names[name])
    return results


def sum_over_atoms(values: Tensor, graph: Graph) -> Tensor:
    """Sums (S, P) over the atoms of each structure of values (A, P)."""
    zeros = values.new_zeros((len(graph.num_atoms), values.shape[1]))
    return zeros.index_add(0, graph.system, values)


def shares_of_mean(values: Tensor, graph: Graph) -> Tensor:
    """What each atom adds to the mean over the atoms of its structure, of values (A, P)."""
    return values / graph.num_atoms[graph.system].unsqueeze(1)


def atom_samples(systems: List[System]) -> Tensor:
    """The pairs (system, atom) of all atoms in the order of the systems, int32 (A, 2)."""
    samples: List[Tensor] = []
    for i, system in enumerate(systems):
        atoms = torch.arange(len(system), dtype=torch.int32, device=system.types.device)
        samples.append(torch.stack([torch.full_like(atoms, i), atoms], dim=1))
    return torch.cat(samples)


def selection(samples: Tensor, selected_atoms: Optional[Labels]) -> Optional[Tensor]:
    """Places in ``samples`` (A, 2) of the selected atoms; None where all are meant."""
    if selected_atoms is None:
        return None
    # A pair becomes one number, since TorchScript has no isin for rows.
    stride = int(samples[:, 1].max()) + 1 if len(samples) > 0 else 1
    selected = selected_atoms.values.to(samples.dtype)
    keys = samples[:, 0] * stride + samples[:, 1]
    selected_keys = selected[:, 0] * stride + selected[:, 1]
    return torch.nonzero(torch.isin(keys, selected_keys))[:, 0]


def single_block(values: Tensor, samples: Labels, property_name: str) -> TensorMap:
    """A TensorMap of one block without components."""
    properties = torch.arange(values.shape[1], dtype=torch.int32, device=values.device)
    block = TensorBlock(
        values=values,
        samples=samples,
        components=torch.jit.annotate(List[Labels], []),
        properties=Labels([property_name], properties.unsqueeze(1)),
    )
    keys = Labels(["_"], torch.zeros((1, 1), dtype=torch.int32, device=values.device))
    return TensorMap(keys, [block])
