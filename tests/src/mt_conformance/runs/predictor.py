"""Running a model on ASE structures, as it comes from its class or as an engine gets it.

Neighbor lists are those of ASE, so that nothing of ours checks itself.
Letters of shapes: A atoms, S structures, P sub-targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ase
import numpy as np
import torch
from ase.neighborlist import neighbor_list
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelEvaluationOptions,
    ModelOutput,
    NeighborListOptions,
    System,
    register_autograd_neighbors,
)

from mt_conformance.inputs import ENERGY, SAMPLE_KINDS, ExtraInput, Model, extra_inputs

# metatomic lists "feature" under its old name as well, and warns when that is used
DEPRECATED_ALIAS = "features"

Selection = Sequence[tuple[int, int]]
"""Pairs of structure and atom."""


@dataclass(frozen=True)
class Gradients:
    """Energies (S,), forces (A, 3) of all structures, and dE/d(strain) (S, 3, 3)."""

    energies: torch.Tensor
    forces: torch.Tensor
    strain: torch.Tensor


@dataclass(frozen=True)
class Predictor:
    """A model, which is on ``device`` already, and what it wants of a structure."""

    model: Model | AtomisticModel
    requested: list[NeighborListOptions]
    inputs: dict[str, ExtraInput]
    outputs: dict[str, ModelOutput]
    dtype: torch.dtype
    is_exported: bool
    device: str = "cpu"

    def run(
        self,
        structures: Sequence[ase.Atoms],
        kinds: dict[str, str],
        selected: Selection | None = None,
    ) -> dict[str, TensorMap]:
        """The outputs that ``kinds`` names, each by ``system`` or by ``atom``."""
        systems, _, _ = self.systems(structures)
        return self._run(systems, kinds, selected)

    @property
    def main(self) -> str:
        """The output that most tests are about: that of the suite's main target."""
        known = [name for name in SAMPLE_KINDS if name in self.outputs]
        # of a model that was trained elsewhere, such as one that a package keeps, any
        return [*known, *self.outputs][0]

    def values(
        self,
        structures: Sequence[ase.Atoms],
        name: str | None = None,
        kind: str | None = None,
        selected: Selection | None = None,
    ) -> torch.Tensor:
        """The values (S, ..., P) or (A, ..., P) of one output, by default of the main target.

        :param kind: ``system`` or ``atom``; by default that of the labels
        """
        name = name or self.main
        kind = kind or SAMPLE_KINDS.get(name, self.outputs[name].sample_kind)
        result = self.run(structures, {name: kind}, selected)[name].block().values
        return result.detach().cpu().to(torch.float64)

    def gradients(self, structures: Sequence[ase.Atoms]) -> Gradients:
        """Energies with their derivatives, by positions and strain."""
        systems, positions, strains = self.systems(structures)
        energies = self._run(systems, {ENERGY: "system"}, None)[ENERGY].block().values
        # of the sum: no structure of a batch feels another, so that each gets its own derivative
        by_position, by_strain = torch.autograd.grad(energies.sum(), (positions, strains))
        return Gradients(energies.detach()[:, 0], -by_position, by_strain)

    def systems(
        self, structures: Sequence[ase.Atoms]
    ) -> tuple[list[System], torch.Tensor, torch.Tensor]:
        """Systems whose positions (A, 3) and cells are strained by the identity (S, 3, 3)."""
        arrays = [self._tensor(atoms.positions) for atoms in structures]
        positions = torch.cat(arrays).requires_grad_()
        # r (1 + strain) at no strain: the derivative by it is the stress times the volume
        strains = self._tensor(np.eye(3)).repeat(len(structures), 1, 1).requires_grad_()
        parts = positions.split([len(atoms) for atoms in structures])
        systems = [
            self._system(atoms, part @ strain, strain)
            for atoms, part, strain in zip(structures, parts, strains)
        ]
        return systems, positions, strains

    def _system(self, atoms: ase.Atoms, positions: torch.Tensor, strain: torch.Tensor) -> System:
        system = System(
            types=torch.tensor(atoms.numbers, dtype=torch.int32, device=self.device),
            positions=positions,
            # zeros along the directions that are not periodic
            cell=self._tensor(atoms.cell.array * atoms.pbc[:, None]) @ strain,
            pbc=torch.tensor(atoms.pbc, device=self.device),
        )
        for options in self.requested:
            neighbors = neighbors_of(atoms, options, self.dtype).to(device=self.device)
            # makes the vectors of the edges functions of positions and cell
            register_autograd_neighbors(system, neighbors, check_consistency=True)
            system.add_neighbor_list(options, neighbors)
        for name, each in self.inputs.items():
            system.add_data(name, self._input(name, each, atoms))
        return system

    def _input(self, name: str, each: ExtraInput, atoms: ase.Atoms) -> TensorMap:
        """An input of one structure, or of its atoms, in metatomic's form."""
        values = self._tensor(each.values(atoms))
        names = ["system", "atom"] if each.info.per_atom else ["system"]
        rows = torch.zeros((len(values), len(names)), dtype=torch.int32)
        rows[:, -1] = torch.arange(len(values)) if each.info.per_atom else 0
        samples = Labels(names, rows).to(self.device)
        components = [Labels.range("xyz", 3).to(self.device)] if values.dim() > 2 else []
        properties = Labels.range(name.split("::")[-1], 1).to(self.device)
        tensors = TensorMap(
            Labels.single().to(self.device),
            [TensorBlock(values, samples, components, properties)],
        )
        tensors.set_info("unit", each.info.unit)
        return tensors

    def _tensor(self, numbers: Any) -> torch.Tensor:
        return torch.tensor(numbers, dtype=self.dtype, device=self.device)

    def _run(
        self, systems: list[System], kinds: dict[str, str], selected: Selection | None
    ) -> dict[str, TensorMap]:
        outputs = {
            name: ModelOutput(unit=self.outputs[name].unit, sample_kind=kind)
            for name, kind in kinds.items()
        }
        labels = None
        if selected is not None:
            pairs = torch.tensor(list(selected), dtype=torch.int32).reshape(-1, 2)
            labels = Labels(["system", "atom"], pairs).to(self.device)
        results: dict[str, TensorMap]
        if self.is_exported:
            options = ModelEvaluationOptions("angstrom", outputs, selected_atoms=labels)
            results = self.model(systems, options, check_consistency=True)
        else:
            results = self.model(systems, outputs, labels)
        return results


def neighbors_of(atoms: ase.Atoms, options: NeighborListOptions, dtype: torch.dtype) -> TensorBlock:
    """The neighbor list of one structure, in metatomic's form."""
    centers, others, shifts, vectors = neighbor_list("ijSD", atoms, options.cutoff)
    samples = torch.cat(
        [torch.tensor(centers)[:, None], torch.tensor(others)[:, None], torch.tensor(shifts)], 1
    ).to(torch.int32)
    values = torch.tensor(vectors, dtype=dtype).reshape(-1, 3, 1)
    if not options.full_list:
        first = _first_of_each_pair(samples)
        samples, values = samples[first], values[first]
    names = ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]
    return TensorBlock(
        values=values,
        samples=Labels(names, samples),
        components=[Labels.range("xyz", 3)],
        properties=Labels.range("distance", 1),
    )


def _first_of_each_pair(samples: torch.Tensor) -> torch.Tensor:
    """Of each pair, which ASE gives in both directions, the direction that sorts first."""
    # an edge and its reverse differ in the sign of (j - i, shift); the first entry that is not zero
    # decides, and outweighs all that follow
    signs = torch.cat([(samples[:, 1] - samples[:, 0])[:, None], samples[:, 2:]], 1).sign()
    weights = torch.tensor([8, 4, 2, 1], dtype=signs.dtype)
    return (signs * weights).sum(1) > 0


def predictor_of(model: Model) -> Predictor:
    """The model as its class gives it, run as the exported one is."""
    exported = exported_predictor(model.export())
    return replace(exported, model=model, outputs=model.supported_outputs(), is_exported=False)


def exported_predictor(model: AtomisticModel) -> Predictor:
    """A model as it was read from an exported file."""
    capabilities = model.capabilities()
    outputs = {name: capabilities.outputs[name] for name in capabilities.outputs}
    outputs.pop(DEPRECATED_ALIAS, None)
    dtype = getattr(torch, capabilities.dtype)
    inputs = extra_inputs(model.requested_inputs(use_new_names=True))
    return Predictor(
        model, model.requested_neighbor_lists(), inputs, outputs, dtype, is_exported=True
    )
