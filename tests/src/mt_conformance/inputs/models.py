"""Models as they come from their class, with weights that leave nothing zero."""

from pathlib import Path
from tempfile import TemporaryDirectory

import ase
import numpy as np
import torch
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list

from mt_conformance.inputs import abilities
from mt_conformance.inputs.data import as_dataset
from mt_conformance.inputs.subjects import ATOMIC_TYPES, ENERGY, Subject
from mt_shared.contract import DatasetInfo, ModelInterface
from mt_shared.data import Dataset, TargetLabels
from mt_shared.model import ZBL


def new_model(subject: Subject, info: DatasetInfo | None = None) -> ModelInterface:
    """A model of the architecture with random weights, in evaluation mode.

    Layers that begin at zero would make every statement about predictions true, so that all
    parameters get noise. What is fitted in closed form has no random weights: it gets a small fit.
    """
    torch.manual_seed(0)
    architecture, hypers, dtype = subject.architecture, subject.resolved, subject.dtype
    info = info or subject.dataset_info()
    model = architecture.model_class(hypers.model, info).to(dtype)
    if abilities.closed_form(subject.capabilities):
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

    :param repelled: with the repulsion of nuclei, so that a model that has it gets the same fit
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
