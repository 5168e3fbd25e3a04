"""Running an exported model on structures, with the derivatives of its energies.

Letters of shapes: A atoms, S structures, P sub-targets.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from metatomic.torch import (
    AtomisticModel,
    ModelEvaluationOptions,
    ModelOutput,
    System,
    pick_device,
)
from vesin.metatomic import neighbor_lists_for_model

from mt_shared.contract import TargetInfo
from mt_shared.data import Structures
from mt_shared.errors import OptionsError, did_you_mean


@dataclass(frozen=True)
class OutputRequest:
    """One output to ask a model for, in a unit (empty: the model's own).

    ``gradients``: with its derivatives by positions and strain; of energies of structures alone.
    """

    name: str
    unit: str
    per_atom: bool
    gradients: bool


@dataclass(frozen=True)
class Predictions:
    """One output of some structures, in the form of its labels.

    ``values`` (S, P), or (A, P) for a value of each atom; ``gradients`` of an energy: ``positions``
    (A, 3), dE/dr = -forces, and ``strain`` (S, 3, 3), dE/dstrain = stress * volume, of structures
    without a volume too.
    """

    values: np.ndarray
    per_atom: bool
    gradients: dict[str, np.ndarray] = field(default_factory=dict)


def trained_outputs(model: AtomisticModel) -> dict[str, ModelOutput]:
    """The outputs of the model that are targets, rather than features."""
    return {
        name: output
        for name, output in model.capabilities().outputs.items()
        if name not in ("feature", "features") and "::aux::" not in name
    }


def request_targets(model: AtomisticModel, targets: dict[str, TargetInfo]) -> list[OutputRequest]:
    """What to ask of the model for these targets, in their units."""
    outputs = trained_outputs(model)
    requests = []
    for name, target in targets.items():
        if name not in outputs:
            raise OptionsError(
                f"the model does not predict '{name}'{did_you_mean(name, outputs)}; "
                f"it predicts {', '.join(sorted(outputs))}"
            )
        # metatomic converts units, but not from none
        unit = target.unit if outputs[name].unit else ""
        gradients = target.is_energy and not target.per_atom and target.num_subtargets == 1
        requests.append(OutputRequest(name, unit, target.per_atom, gradients))
    return requests


def best_device(model: AtomisticModel) -> torch.device:
    """The first device of the model's list that this machine has."""
    return torch.device(pick_device(model.capabilities().supported_devices, None))


def predict(
    model: AtomisticModel,
    structures: Structures,
    requests: list[OutputRequest],
    length_unit: str,
    device: torch.device,
) -> dict[str, Predictions]:
    """The outputs of one batch of structures, in ``length_unit``, by name; the model converts."""
    dtype = getattr(torch, model.capabilities().dtype)
    needs_gradient = any(request.gradients for request in requests)
    systems, positions, strains = _systems(structures, dtype, device, needs_gradient)
    for calculator in neighbor_lists_for_model(length_unit, model, skin=0.0):
        calculator.add_neighbor_list(systems)
    outputs = {
        request.name: ModelOutput(
            unit=request.unit, sample_kind="atom" if request.per_atom else "system"
        )
        for request in requests
    }
    options = ModelEvaluationOptions(length_unit=length_unit, outputs=outputs)
    # that check is for those who write a model, and the conformance suite makes it
    results = model(systems, options, check_consistency=False)
    predictions = {}
    for request in requests:
        values = results[request.name].block().values
        gradients = _gradients(values, positions, strains) if request.gradients else {}
        predictions[request.name] = Predictions(_array(values), request.per_atom, gradients)
    return predictions


def _systems(
    structures: Structures, dtype: torch.dtype, device: torch.device, needs_gradient: bool
) -> tuple[list[System], torch.Tensor, torch.Tensor]:
    """Systems whose positions and cells follow from leaf positions (A, 3) and strains (S, 3, 3)."""
    positions = torch.tensor(structures.positions, dtype=dtype, device=device)
    positions.requires_grad_(needs_gradient)
    cells = torch.tensor(structures.periodic_cells, dtype=dtype, device=device)
    types = torch.tensor(structures.types, dtype=torch.int32, device=device)
    pbc = torch.tensor(structures.pbc, device=device)
    # r -> r strain, of positions and cell vectors alike, with an identity that changes nothing: the
    # derivative by it is that by a strain at zero
    strains = torch.eye(3, dtype=dtype, device=device).repeat(structures.num_systems, 1, 1)
    strains.requires_grad_(needs_gradient)
    counts = structures.atoms_per_system.tolist()
    parts = zip(positions.split(counts), types.split(counts), cells, pbc, strains, strict=True)
    systems = [
        System(types=kinds, positions=places @ strain, cell=cell @ strain, pbc=periodic)
        for places, kinds, cell, periodic, strain in parts
    ]
    return systems, positions, strains


def _gradients(
    values: torch.Tensor, positions: torch.Tensor, strains: torch.Tensor
) -> dict[str, np.ndarray]:
    """dE/dr and dE/dstrain, zero where the energies do not depend on the positions."""
    leaves = {"positions": positions, "strain": strains}
    # where no atom of the batch has a neighbor, there may be no graph to go back through
    if not values.requires_grad:
        return {name: np.zeros(leaf.shape) for name, leaf in leaves.items()}
    # one backward pass for all: each structure has positions and a strain of its own, so that the
    # derivative of the sum is that of its energy. The graph is kept for the other outputs.
    found = torch.autograd.grad(
        values.sum(), list(leaves.values()), retain_graph=True, materialize_grads=True
    )
    return {name: _array(gradient) for name, gradient in zip(leaves, found)}


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().to(torch.float64).numpy()
