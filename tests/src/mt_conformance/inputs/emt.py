"""Structures with labels of effective medium theory, where the files of the suite have none.

It is a method that ASE has for these elements; that it is no good for molecules does not matter.
"""

import ase
import numpy as np
import torch
from ase.build import molecule
from ase.calculators.emt import EMT

from mt_conformance.inputs.data import Examples, as_dataset, labelled
from mt_conformance.inputs.edge_cases import in_void
from mt_conformance.inputs.extra import as_labels, extra_inputs
from mt_conformance.inputs.subjects import ATOMIC_TYPES
from mt_conformance.inputs.targets import (
    ENERGY,
    OF_ATOM,
    OF_STRUCTURE,
    SPHERICAL,
    SPHERICAL_OF_ATOM,
    VECTOR,
    VECTOR_OF_ATOM,
)
from mt_shared.contract import DatasetInfo
from mt_shared.data import Dataset, TargetLabels, build_store
from mt_shared.model import ZBL, differentiable, energy_gradients

PERIODICITIES = ISOLATED, SLABS, CRYSTALS = "isolated", "slabs", "crystals"


def distorted(info: DatasetInfo, repelled: bool = False) -> Dataset:
    """Molecules of ethanol with labels of the targets.

    :param info: has the targets, which are among those that the suite trains on, and the inputs
    :param repelled: with the repulsion of nuclei, so that a model that has it gets the same fit
    """
    structures = [molecule("CH3CH2OH") for _ in range(8)]
    parts: list[dict[str, np.ndarray]] = []
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.1, seed=seed)
        parts.append(_labels(atoms, repelled))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    labels = {
        name: TargetLabels(found[name], sample_kind=target.sample_kind, type=target.type)
        for name, target in info.targets.items()
    }
    if ENERGY in labels:
        labels[ENERGY].gradients["positions"] = -found[VECTOR_OF_ATOM][:, :, 0]
    inputs = as_labels(extra_inputs(info.inputs), structures)
    return as_dataset(structures, labels, "distorted molecules", inputs)


def _labels(atoms: ase.Atoms, repelled: bool) -> dict[str, np.ndarray]:
    """Of each target that the suite trains on, (S, ..., P) or (A, ..., P)."""
    method = EMT()
    energy, forces = method.get_potential_energy(atoms), method.get_forces(atoms)
    energies = method.get_potential_energies(atoms)
    if repelled:
        of_nuclei = repulsion(atoms)
        energy, forces = energy + of_nuclei[0], forces + of_nuclei[1]
    # a vector of the whole, as a dipole is: energies instead of charges
    moment = energies @ (atoms.positions - atoms.positions.mean(0))
    in_order_yzx = [1, 2, 0]
    return {
        ENERGY: np.array([[energy]]),
        OF_STRUCTURE: moment[None],
        OF_ATOM: np.stack([energies, energies**2], axis=1),
        VECTOR: moment[None, :, None],
        VECTOR_OF_ATOM: forces[:, :, None],
        SPHERICAL: moment[None, in_order_yzx, None],
        SPHERICAL_OF_ATOM: forces[:, in_order_yzx, None],
    }


def of_each_periodicity(examples: Examples) -> dict[str, list[ase.Atoms]]:
    """Molecules, slabs and crystals, three of each, with energies, forces and, of crystals, stress.

    The cell of a slab has two vectors: it has no volume, and so no stress.
    """
    crystals = examples.ice(3)
    slabs = [in_void(atoms, directions=2)[0] for atoms in crystals]
    found = {ISOLATED: examples.ethanol(3), SLABS: slabs, CRYSTALS: crystals}
    return {kind: [calculated(atoms) for atoms in found[kind]] for kind in found}


def of_each_volume(examples: Examples) -> list[ase.Atoms]:
    """Structures that are periodic in no, two and three directions, each with all that EMT gives.

    A molecule in a box, whose stress is none and written as zeros; slabs with a third vector, which
    have a volume and a stress; a film without one, which has neither; crystals.
    """
    (boxed,), crystals = examples.ethanol(), examples.ice(4)
    boxed.set_cell([12.0, 13.0, 14.0])
    boxed = calculated(boxed)
    boxed.calc.results["stress"] = np.zeros(6)
    slabs = crystals[:2]
    for slab in slabs:
        slab.pbc = [True, True, False]
    film = in_void(crystals[2], directions=2)[0]
    return [boxed, *map(calculated, [*slabs, film, *crystals[2:]])]


def calculated(atoms: ase.Atoms) -> ase.Atoms:
    """With the energy and forces of EMT, and with the stress where it is defined."""
    method = EMT()
    energy, forces = method.get_potential_energy(atoms), method.get_forces(atoms)
    has_volume = atoms.pbc.any() and atoms.cell.rank == 3
    return labelled(atoms, energy, forces, method.get_stress(atoms) if has_volume else None)


def repulsion(atoms: ase.Atoms) -> tuple[float, np.ndarray]:
    """Energy and forces (A, 3) of the repulsion of nuclei in a structure without a cell."""
    zbl = ZBL(list(ATOMIC_TYPES), "A", "eV", cutoff=10.0)
    info = DatasetInfo("angstrom", ATOMIC_TYPES, {})
    store = build_store([as_dataset([atoms], {}, "a molecule")], info, zbl.reach, {}, torch.float64)
    graph = differentiable(store.batch(torch.arange(1)).graph)
    energies = zbl(graph).unsqueeze(1)
    gradients = energy_gradients(energies, graph, ("positions",), create_graph=False)
    return float(energies.detach().sum()), -gradients["positions"].numpy()
