"""Structures with labels of effective medium theory, and quick fits to them."""

from __future__ import annotations

from collections.abc import Callable

import ase
import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.calculators.emt import EMT

from mt_gap.model import Gap
from mt_gap.trainer import GapTrainer
from mt_shared.contract import DatasetInfo, TargetInfo
from mt_shared.data import Dataset, Structures, TargetLabels, offsets_from_counts
from mt_shared.options import Hypers, deep_merge, resolve_hypers
from mt_shared.registry import find

INFO = DatasetInfo(
    "angstrom",
    (1, 6, 8),
    {"energy": TargetInfo("energy", "eV", gradients=("positions", "strain"))},
)
QUICK = {
    "soap": {
        "cutoff": {"radius": 3.5},
        "basis": {"max_angular": 2, "radial": {"max_radial": 2}},
    },
    "krr": {"num_sparse_points": 30, "num_directions": 2},
}


def quick_hypers(model: dict | None = None, training: dict | None = None) -> Hypers:
    """The quick hypers, and what a test wants to be different."""
    user = {"model": deep_merge(QUICK, model or {}), "training": training or {}}
    return resolve_hypers(find("gap"), user)


def distorted(number: int, seed: int = 0) -> list[ase.Atoms]:
    """Ethanol molecules and small crystals by turns, rattled."""
    crystal = ase.Atoms(
        "OCH",
        [[0.1, 0.0, 0.2], [1.2, 0.3, 0.1], [0.9, 1.4, 1.1]],
        cell=[[3.0, 0.1, 0.0], [0.2, 2.8, 0.3], [0.0, -0.2, 3.1]],
        pbc=True,
    )
    frames = []
    for each in range(number):
        atoms = molecule("CH3CH2OH") if each % 2 == 0 else crystal.copy()
        atoms.rattle(0.08, seed=seed + each)
        atoms.calc = EMT()
        frames.append(atoms)
    return frames


def structures_of(frames: list[ase.Atoms]) -> Structures:
    """The same as flat arrays."""
    return Structures(
        positions=np.concatenate([atoms.positions for atoms in frames]),
        types=np.concatenate([atoms.numbers for atoms in frames]).astype(np.int32),
        cells=np.stack([atoms.cell.array for atoms in frames]),
        pbc=np.stack([atoms.pbc for atoms in frames]),
        offsets=offsets_from_counts([len(atoms) for atoms in frames]),
    )


def dataset_of(frames: list[ase.Atoms], shift: float = 0.0) -> Dataset:
    """Energies, forces, and the stress of crystals; ``shift`` is added to the energy of an atom."""
    strain = [
        atoms.get_stress(voigt=False) * atoms.get_volume()
        if atoms.pbc.all()
        else np.full((3, 3), np.nan)
        for atoms in frames
    ]
    energies = [[atoms.get_potential_energy() + shift * len(atoms)] for atoms in frames]
    gradients = {
        "positions": -np.concatenate([atoms.get_forces() for atoms in frames]),
        "strain": np.stack(strain),
    }
    labels = TargetLabels(np.array(energies), gradients)
    structures = structures_of(frames)
    return Dataset(structures, {"energy": labels}, np.arange(len(frames)), "dataset_of()")


def unit_vectors_of(number: int, size: int = 6, seed: int = 0) -> torch.Tensor:
    """Random descriptors (number, size) of unit length."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(number, size, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(vectors, dim=1)


# ---- these functions for the tests, which cannot import them


@pytest.fixture
def info() -> DatasetInfo:
    return INFO


@pytest.fixture
def hypers() -> Callable[..., Hypers]:
    return quick_hypers


@pytest.fixture
def frames() -> Callable[..., list[ase.Atoms]]:
    return distorted


@pytest.fixture
def structures() -> Callable[..., Structures]:
    return structures_of


@pytest.fixture
def dataset() -> Callable[..., Dataset]:
    return dataset_of


@pytest.fixture
def unit_vectors() -> Callable[..., torch.Tensor]:
    return unit_vectors_of


@pytest.fixture
def train(tmp_path) -> Callable[..., Gap]:
    """Fit a model, new or given, to a data set."""

    def run(
        dataset: Dataset,
        hypers: Hypers | None = None,
        model: Gap | None = None,
        trainer: GapTrainer | None = None,
    ) -> Gap:
        """Leaves its files in ``tmp_path``, ``model.ckpt`` among them."""
        hypers = hypers or quick_hypers()
        model = model or Gap(hypers.model, INFO)
        trainer = trainer or GapTrainer(hypers.training)
        device = torch.device("cpu")
        trainer.train(model, torch.float64, [device], [dataset], [], tmp_path)
        trainer.save_checkpoint(model, tmp_path / "model.ckpt")
        return model

    return run


@pytest.fixture(scope="session")
def described() -> Gap:
    """A model with channels, but without sparse points."""
    model = Gap(quick_hypers().model, INFO)
    generator = torch.Generator().manual_seed(0)
    for part in model.spectrum.parts():
        shape = (model.expansion.num_channels, 3)
        part.set_mixing(torch.randn(shape, generator=generator, dtype=torch.float64))
    return model
