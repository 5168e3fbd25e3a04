"""Running an exported model on structures, with the derivatives of its energies.

Letters of shapes: A atoms, S structures, P sub-targets.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from metatensor.torch import TensorMap
from metatomic.torch import AtomisticModel, ModelEvaluationOptions, ModelOutput, pick_device

from mt_shared.contract import Cartesian, Scalar, Spherical, TargetInfo, TargetType
from mt_shared.data import Dataset, add_neighbor_lists, strained_systems, systems_from
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

    ``values`` (S, ..., P), or (A, ..., P) for a value of each atom; ``gradients`` of an energy:
    ``positions`` (A, 3), dE/dr = -forces, and ``strain`` (S, 3, 3), dE/dstrain = stress * volume,
    of structures without a volume too.
    """

    values: np.ndarray
    per_atom: bool
    gradients: dict[str, np.ndarray] = field(default_factory=dict)
    type: TargetType = field(default_factory=Scalar)


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
    data: Dataset,
    requests: list[OutputRequest],
    length_unit: str,
    device: torch.device,
) -> dict[str, Predictions]:
    """The outputs of one batch of structures, in ``length_unit``, by name; the model converts.

    :param data: with the inputs that the model asks for, be there labels or not
    """
    dtype = getattr(torch, model.capabilities().dtype)
    inputs = {name: data.extra[name] for name in model.requested_inputs(use_new_names=True)}
    leaves: dict[str, torch.Tensor] = {}
    if any(request.gradients for request in requests):
        systems, positions, strains = strained_systems(data.structures, inputs, dtype, device)
        leaves = {"positions": positions, "strain": strains}
    else:
        systems = systems_from(data.structures, inputs, dtype, device)
    add_neighbor_lists(systems, model.requested_neighbor_lists(), length_unit)
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
        values, kind = _values(results[request.name])
        gradients = _gradients(values, leaves) if request.gradients else {}
        predictions[request.name] = Predictions(_array(values), request.per_atom, gradients, kind)
    return predictions


def _values(result: TensorMap) -> tuple[torch.Tensor, TargetType]:
    """The values (N, ..., P) of an output, irreps one after the other, and its type."""
    if result.keys.names == ["o3_lambda", "o3_sigma"]:
        irreps = tuple((int(degree), int(sigma)) for degree, sigma in result.keys.values)
        return torch.cat([block.values for block in result.blocks()], dim=1), Spherical(irreps)
    values = result.block().values
    return values, Cartesian(values.dim() - 2) if values.dim() > 2 else Scalar()


def _gradients(values: torch.Tensor, leaves: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """dE/dr and dE/dstrain, zero where the energies do not depend on the positions."""
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
