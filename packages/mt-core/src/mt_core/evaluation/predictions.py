"""Running an exported model on structures, with the derivatives of its energies.

Letters of shapes: A atoms, S structures, P sub-targets.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from metatensor.torch import TensorMap
from metatomic.torch import AtomisticModel, ModelEvaluationOptions, ModelOutput, pick_device

from mt_core.evaluation.models import largest_batch_of, trained_targets
from mt_shared.contract import Cartesian, Scalar, Spherical, TargetInfo, TargetType
from mt_shared.data import (
    Dataset,
    add_neighbor_lists,
    cut_batches,
    strained_systems,
    systems_from,
)
from mt_shared.errors import OptionsError, did_you_mean, is_out_of_memory

log = logging.getLogger("mt.eval")

NUM_STRUCTURES = 64
"""As many at a time, if nothing else is asked for."""


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


def targets_of(model: AtomisticModel) -> dict[str, TargetInfo]:
    """What the model was trained on, as it was trained on it.

    One that another program has exported does not say it: of that all outputs, energies of
    structures, and others of what its capabilities name.
    """
    outputs = trained_outputs(model)
    trained = {name: each for name, each in trained_targets(model).items() if name in outputs}
    if trained:
        return trained
    targets = {}
    for name, output in outputs.items():
        # by its name, metatomic knows an energy: energy, energy/pbe, ...
        is_energy = name.split("/")[0] == "energy"
        quantity, kind = ("energy", "system") if is_energy else ("", output.sample_kind)
        targets[name] = TargetInfo(quantity=quantity, unit=output.unit, sample_kind=kind)
    return targets


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


@dataclass
class PiecewisePredictor:
    """Predicts data sets of any size, with so many structures at a time as fit into memory.

    These are no more atoms than a batch of the training may have held, and fewer once memory has
    run out for more.

    :param num_structures: at a time, and that alone counts; None: by the atoms, as above
    """

    model: AtomisticModel
    requests: list[OutputRequest]
    length_unit: str
    device: torch.device
    num_structures: int | None = None

    def __post_init__(self) -> None:
        given = self.num_structures is not None
        self._max_atoms = None if given else largest_batch_of(self.model)
        self.model = self.model.to(self.device)

    def __call__(self, data: Dataset) -> Iterator[tuple[Dataset, dict[str, Predictions]]]:
        """Each piece, in their order, and its outputs by name, in ``length_unit``.

        :raises Exception: whatever the model fails with
        """
        num_atoms = torch.from_numpy(data.structures.atoms_per_system)
        left, size = torch.arange(len(data)), self.num_structures or NUM_STRUCTURES
        while len(left):
            indices = cut_batches(left[:size], num_atoms, size, self._max_atoms)[0]
            piece = data.subset(indices.numpy())
            predictions = self._predict(piece)
            if predictions is not None:
                yield piece, predictions
                left = left[len(indices) :]

    def _predict(self, piece: Dataset) -> dict[str, Predictions] | None:
        """None: memory has run out, and less will be tried from here on."""
        try:
            return predict(self.model, piece, self.requests, self.length_unit, self.device)
        except Exception as error:
            if len(piece) == 1 or not is_out_of_memory(error):
                raise
        # not before here: the traceback has held on to what did not fit
        num_atoms = piece.structures.num_atoms
        self._max_atoms = num_atoms // 2
        log.info(
            f"The memory ran out for {len(piece)} structures at a time ({num_atoms} atoms): fewer "
            "from here on"
        )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None


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
    # Where the model rounds for itself what its network reads, and adds the composition in float64,
    # as in training: large energies and structures far from the origin keep their digits.
    if getattr(model.module, "takes_float64", False):
        dtype = torch.float64
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
