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
from mt_conformance.inputs.subjects import Subject
from mt_shared.contract import DatasetInfo, ModelInterface, TargetInfo
from mt_shared.data import Dataset, Structures, TargetLabels, offsets_from_counts
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


def preferred_dtype(subject: Subject) -> torch.dtype:
    """float64 where it is supported, since exact statements need digits."""
    supported = subject.architecture.model_class.__supported_dtypes__
    return torch.float64 if torch.float64 in supported else supported[0]


def new_model(subject: Subject, info: DatasetInfo) -> ModelInterface:
    """A model of the architecture with random weights, in evaluation mode.

    Layers that begin at zero would make every statement about predictions true, so that all
    parameters get noise. What is fitted in closed form has no random weights: it gets a small fit.
    """
    torch.manual_seed(0)
    if closed_form(subject.capabilities):
        return fitted_model(subject, info)
    model = subject.architecture.model_class(subject.resolved.model, info)
    model.to(preferred_dtype(subject))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.eval()


def fitted_model(subject: Subject, info: DatasetInfo) -> ModelInterface:
    """A model of the architecture after a fit to a few distorted molecules."""
    architecture, hypers, dtype = subject.architecture, subject.resolved, preferred_dtype(subject)
    model = architecture.model_class(hypers.model, info).to(dtype)
    trainer = architecture.trainer_class(hypers.training)
    repelled = bool(hypers.model.get("zbl"))
    with TemporaryDirectory() as folder:
        device = torch.device("cpu")
        trainer.train(model, dtype, [device], [distorted(repelled)], [], Path(folder))
    return model.eval()


def distorted(repelled: bool) -> Dataset:
    """Molecules of ethanol with energies and forces of effective medium theory.

    :param repelled: with the repulsion of nuclei in the labels, so that a model which has it by
        itself gets the same fit as one without
    """
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
    counts = [len(atoms) for atoms in structures]
    return Dataset(
        structures=Structures(
            positions=np.concatenate([atoms.positions for atoms in structures]),
            types=np.concatenate([atoms.numbers for atoms in structures]).astype(np.int32),
            cells=np.zeros((len(counts), 3, 3)),
            pbc=np.zeros((len(counts), 3), dtype=bool),
            offsets=offsets_from_counts(counts),
        ),
        labels={
            ENERGY: TargetLabels(
                np.array([[energy] for energy, _ in labels]),
                {"positions": -np.concatenate([forces for _, forces in labels])},
            )
        },
        frames=np.arange(len(counts)),
        source="distorted molecules",
    )


def repulsion(atoms: ase.Atoms) -> tuple[float, np.ndarray]:
    """Energy and forces (A, 3) of the repulsion of nuclei in a structure without a cell."""
    zbl = ZBL(list(ATOMIC_TYPES), "A", "eV", cutoff=10.0)
    i, j = (torch.from_numpy(side) for side in neighbor_list("ij", atoms, zbl.reach))
    species = torch.tensor([ATOMIC_TYPES.index(number) for number in atoms.numbers])
    positions = torch.tensor(atoms.positions).requires_grad_()
    energy = zbl(positions[j] - positions[i], species, i, j).sum()
    (gradient,) = torch.autograd.grad(energy, positions)
    return float(energy.detach()), -gradient.numpy()
