"""Judge a choice of hypers on four data sets: errors after a fixed number of epochs.

    python scripts/data/make_tuning_sets.py sets
    python scripts/data/tune.py sets                                             # the defaults
    python scripts/data/tune.py sets -r architecture.training.ema_decay=0.99     # one thing changed
    python scripts/data/tune.py sets --names ice --seeds 0 1 2 --share 5

Epochs are counted, not seconds, so that a busy machine does not matter: those of EPOCHS take about
60 s on two quiet cores at the defaults, ``--share 5`` about 300 s. A set is divided at random, but
always in the same way, into structures for training, 8 to 20 for validation, which choose the best
epoch, and the rest, which choose nothing. ``docs/tuning.md`` has the results.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from metatomic_ase import MetatomicCalculator

from mt_core import examples, train


@dataclass(frozen=True)
class DataSet:
    """A file, how much of it is for training and validation, and epochs of about 60 s."""

    name: str
    shipped: bool
    num_train: int
    num_valid: int
    num_epochs: int


SETS = (
    DataSet("ethanol", shipped=True, num_train=80, num_valid=20, num_epochs=560),
    DataSet("ice", shipped=True, num_train=40, num_valid=8, num_epochs=400),
    DataSet("ethanol-500K", shipped=False, num_train=80, num_valid=20, num_epochs=560),
    DataSet("aspirin", shipped=False, num_train=80, num_valid=20, num_epochs=250),
)


def read(data: DataSet, sets: Path, scratch: Path) -> list[Atoms]:
    """All structures of a set."""
    if data.shipped:
        folder = scratch / "shipped" / data.name
        if not folder.exists():
            examples.copy(data.name, folder)
    else:
        folder = sets / data.name
    return list(ase.io.iread(folder / f"{data.name}.xyz"))


def split(data: DataSet, frames: list[Atoms], folder: Path) -> dict[str, list[Atoms]]:
    """Write the three parts into the folder, and return them."""
    # of one seed for all seeds of trainings: what differs is the training, not the data
    order = np.random.default_rng(0).permutation(len(frames))
    edges = [data.num_train, data.num_train + data.num_valid]
    names = ("training", "validation", "test")
    parts = {
        name: [frames[i] for i in sorted(part)] for name, part in zip(names, np.split(order, edges))
    }
    for name, part in parts.items():
        ase.io.write(folder / f"{name}.xyz", part)
    return parts


def make_options(data: DataSet, stress: bool, share: float, seed: int) -> dict[str, Any]:
    """Options of a training at the defaults."""
    energy = {"key": "energy", "unit": "eV", "forces": True, "stress": stress}
    training = {"num_epochs": round(share * data.num_epochs), "log_interval": 1000}
    options: dict[str, Any] = {
        "seed": seed,
        "device": "cpu",
        "architecture": {"name": "soap_bpnn", "training": training},
    }
    for name in ("training", "validation", "test"):
        systems = {"read_from": f"{name}.xyz", "length_unit": "angstrom"}
        options[f"{name}_set"] = {"systems": systems, "targets": {"energy": energy}}
    return options


def errors(model: Path, frames: list[Atoms]) -> tuple[float, float]:
    """Root mean square errors of forces (meV/A) and energies (meV/atom)."""
    calculator = MetatomicCalculator(str(model))
    forces, energies = [], []
    for atoms in frames:
        copy = atoms.copy()
        copy.calc = calculator
        forces.append(copy.get_forces() - atoms.get_forces())
        energies.append((copy.get_potential_energy() - atoms.get_potential_energy()) / len(atoms))
    mean_squares = (np.mean(np.square(np.concatenate(forces))), np.mean(np.square(energies)))
    return 1e3 * float(np.sqrt(mean_squares[0])), 1e3 * float(np.sqrt(mean_squares[1]))


def judge(data: DataSet, frames: list[Atoms], arguments: argparse.Namespace, seed: int) -> str:
    """A row: errors on validation and test structures."""
    with tempfile.TemporaryDirectory() as folder:
        # a training writes into the current folder
        os.chdir(folder)
        parts = split(data, frames, Path(folder))
        options = make_options(data, bool(frames[0].pbc.all()), arguments.share, seed)
        result = train(options, overrides=arguments.override)
        assert result is not None
        found = [errors(result.model, parts[name]) for name in ("validation", "test")]
        os.chdir(arguments.folder)
    cells = " | ".join(f"{force:.1f} | {energy:.2f}" for force, energy in found)
    return f"| {data.name} | {seed} | {cells} |"


def main() -> None:
    """Train on each set and print a table, in markdown."""
    parser = argparse.ArgumentParser(description="Judge a choice of hypers on four data sets.")
    parser.add_argument("folder", type=Path, help="where make_tuning_sets.py has put the sets")
    parser.add_argument("--names", nargs="+", help="of the sets (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the epochs of 60 s")
    parser.add_argument("-r", "--override", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.absolute()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for data in SETS:
            if arguments.names is None or data.name in arguments.names:
                frames = read(data, arguments.folder, Path(scratch))
                rows += [judge(data, frames, arguments, seed) for seed in arguments.seeds]
    print("| set | seed | validation F | E | test F | E |\n| --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
