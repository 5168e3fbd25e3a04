"""Models as they come from their class, with weights that leave nothing zero."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import ase
import numpy as np
import torch
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list

from mt_conformance.inputs.abilities import (
    Capabilities,
    closed_form,
    several_targets,
    targets_of_atoms,
)
from mt_conformance.inputs.data import as_dataset
from mt_conformance.inputs.subjects import Subject
from mt_shared.contract import DatasetInfo, ModelInterface, TargetInfo
from mt_shared.data import Dataset, TargetLabels
from mt_shared.model import ZBL

ATOMIC_TYPES = (1, 6, 8)
ENERGY = "energy"
OF_STRUCTURE = "mtt::of_structure"
OF_ATOM = "mtt::of_atom"


def targets_for(capabilities: Capabilities) -> dict[str, TargetInfo]:
    """An energy; where there can be more targets, one of each kind with several sub-targets."""
    gradients = tuple(sorted(capabilities["gradients"]))
    targets = {ENERGY: TargetInfo(quantity="energy", unit="eV", gradients=gradients)}
    if several_targets(capabilities):
        targets[OF_STRUCTURE] = TargetInfo(num_subtargets=3)
        if targets_of_atoms(capabilities):
            targets[OF_ATOM] = TargetInfo(sample_kind="atom", num_subtargets=2)
    return targets


def dataset_info_for(subject: Subject, types: tuple[int, ...] = ATOMIC_TYPES) -> DatasetInfo:
    """Lengths in angstrom, hydrogen, carbon and oxygen, and the targets that it is able to."""
    return DatasetInfo("angstrom", types, targets_for(subject.capabilities))


def new_model(subject: Subject, info: DatasetInfo) -> ModelInterface:
    """A model of the architecture with random weights, in evaluation mode.

    Layers that begin at zero would make every statement about predictions true, so that all
    parameters get noise. What is fitted in closed form has no random weights: it gets a small fit.
    """
    torch.manual_seed(0)
    architecture, hypers, dtype = subject.architecture, subject.resolved, subject.dtype
    model = architecture.model_class(hypers.model, info).to(dtype)
    if closed_form(subject.capabilities):
        trainer = architecture.trainer_class(hypers.training)
        data = distorted(repelled=bool(hypers.model.get("zbl")))
        with TemporaryDirectory() as folder:
            trainer.train(model, dtype, [torch.device("cpu")], [data], [], Path(folder))
        return model.eval()
    # small enough that features stay of their usual size
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.eval()


def distorted(repelled: bool) -> Dataset:
    """Molecules of ethanol with energies and forces of effective medium theory.

    :param repelled: with the repulsion of nuclei in the labels, so that a model which has it by
        itself gets the same fit as one without
    """
    # a method that ASE has for these elements; that it is no good for molecules does not matter
    structures = [molecule("CH3CH2OH") for _ in range(8)]
    labels = []
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        if repelled:
            of_nuclei = repulsion(atoms)
            energy, forces = energy + of_nuclei[0], forces + of_nuclei[1]
        labels.append((energy, forces))
    energies, forces_of_all = zip(*labels)
    gradients = {"positions": -np.concatenate(forces_of_all)}
    of_energy = TargetLabels(np.array(energies)[:, None], gradients)
    return as_dataset(structures, {ENERGY: of_energy}, "distorted molecules")


def repulsion(atoms: ase.Atoms) -> tuple[float, np.ndarray]:
    """Energy and forces (A, 3) of the repulsion of nuclei in a structure without a cell."""
    zbl = ZBL(list(ATOMIC_TYPES), "A", "eV", cutoff=10.0)
    i, j = (torch.from_numpy(side) for side in neighbor_list("ij", atoms, zbl.reach))
    species = torch.tensor([ATOMIC_TYPES.index(number) for number in atoms.numbers])
    positions = torch.tensor(atoms.positions).requires_grad_()
    energy = zbl(positions[j] - positions[i], species, i, j).sum()
    (gradient,) = torch.autograd.grad(energy, positions)
    return float(energy.detach()), -gradient.numpy()
