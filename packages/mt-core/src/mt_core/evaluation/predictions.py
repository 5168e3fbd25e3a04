"""Running an exported model on structures, with forces and stress of its energies.

Letters of shapes: A atoms, S structures, P sub-targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from metatomic.torch import AtomisticModel, ModelEvaluationOptions, ModelOutput, System
from vesin.metatomic import neighbor_lists_for_model

from mt_shared.data import Structures


@dataclass(frozen=True)
class Wanted:
    """One output to predict, in a unit (empty: the model's own), maybe with its gradients."""

    name: str
    unit: str
    per_atom: bool
    forces: bool
    stress: bool


@dataclass(frozen=True)
class Predictions:
    """One output for some structures.

    ``values`` (S, P), or (A, P) for a value of each atom; ``forces`` (A, 3); ``stress`` (S, 3, 3)
    in ASE's sign, NaN for structures that are not periodic in all directions.
    """

    values: np.ndarray
    per_atom: bool
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None


def predict(
    model: AtomisticModel,
    structures: Structures,
    wanted: list[Wanted],
    length_unit: str,
    device: torch.device,
) -> dict[str, Predictions]:
    """All wanted outputs of one batch of structures.

    :param length_unit: of the structures; the model converts
    """
    dtype = getattr(torch, model.capabilities().dtype)
    needs_gradient = any(output.forces or output.stress for output in wanted)
    systems, positions, strains = _systems(structures, dtype, device, needs_gradient)
    for calculator in neighbor_lists_for_model(length_unit, model, skin=0.0):
        calculator.add_neighbor_list(systems)
    options = ModelEvaluationOptions(
        length_unit=length_unit,
        outputs={
            output.name: ModelOutput(
                unit=output.unit, sample_kind="atom" if output.per_atom else "system"
            )
            for output in wanted
        },
    )
    results = model(systems, options, check_consistency=False)
    volumes = np.where(structures.pbc.all(axis=1), structures.volumes, np.nan)
    return {
        output.name: _prediction(
            results[output.name].block().values, output, positions, strains, volumes
        )
        for output in wanted
    }


def _systems(
    structures: Structures, dtype: torch.dtype, device: torch.device, needs_gradient: bool
) -> tuple[list[System], torch.Tensor, torch.Tensor]:
    """Systems whose positions and cells follow from leaf positions (A, 3) and strains (S, 3, 3)."""
    positions = torch.tensor(structures.positions, dtype=dtype, device=device)
    positions.requires_grad_(needs_gradient)
    cells = torch.tensor(structures.periodic_cells, dtype=dtype, device=device)
    types = torch.tensor(structures.types, dtype=torch.int32, device=device)
    pbc = torch.tensor(structures.pbc, device=device)
    strains = torch.eye(3, dtype=dtype, device=device).repeat(structures.num_systems, 1, 1)
    strains.requires_grad_(needs_gradient)
    counts = structures.atoms_per_system.tolist()
    parts = zip(positions.split(counts), types.split(counts), cells, pbc, strains, strict=True)
    systems = [
        System(types=kinds, positions=places @ strain, cell=cell @ strain, pbc=periodic)
        for places, kinds, cell, periodic, strain in parts
    ]
    return systems, positions, strains


def _prediction(
    values: torch.Tensor,
    wanted: Wanted,
    positions: torch.Tensor,
    strains: torch.Tensor,
    volumes: np.ndarray,
) -> Predictions:
    if not (wanted.forces or wanted.stress):
        return Predictions(_array(values), wanted.per_atom)
    gradients = _gradients(values, positions, strains)
    forces = -_array(gradients[0]) if wanted.forces else None
    stress = _array(gradients[1]) / volumes[:, None, None] if wanted.stress else None
    return Predictions(_array(values), wanted.per_atom, forces, stress)


def _gradients(
    values: torch.Tensor, positions: torch.Tensor, strains: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Zero where no atom has a neighbor, so that nothing depends on the positions."""
    if not values.requires_grad:
        return torch.zeros_like(positions), torch.zeros_like(strains)
    found = torch.autograd.grad(
        values.sum(), (positions, strains), retain_graph=True, allow_unused=True
    )
    by_position, by_strain = found
    return (
        torch.zeros_like(positions) if by_position is None else by_position,
        torch.zeros_like(strains) if by_strain is None else by_strain,
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().to(torch.float64).numpy()
