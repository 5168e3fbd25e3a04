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

from mt_core import evaluate, examples, train

SPLITS = ("training", "validation", "test")


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
    folder = sets / data.name
    if data.shipped:
        folder = scratch / data.name
        examples.copy(data.name, folder)
    return list(ase.io.iread(folder / f"{data.name}.xyz"))


def split(data: DataSet, frames: list[Atoms]) -> None:
    """Write the three parts into the current folder."""
    # of one seed for all seeds of trainings: what differs is the training, not the data
    order = np.random.default_rng(0).permutation(len(frames))
    parts = np.split(order, [data.num_train, data.num_train + data.num_valid])
    for name, part in zip(SPLITS, parts, strict=True):
        ase.io.write(f"{name}.xyz", [frames[i] for i in sorted(part)])


def make_options(data: DataSet, stress: bool, share: float, seed: int) -> dict[str, Any]:
    energy = {"key": "energy", "unit": "eV", "forces": True, "stress": stress}
    training = {"num_epochs": round(share * data.num_epochs), "log_interval": 1000}
    options: dict[str, Any] = {
        "seed": seed,
        "device": "cpu",
        "architecture": {"name": "soap_bpnn", "training": training},
    }
    for name in SPLITS:
        systems = {"read_from": f"{name}.xyz", "length_unit": "angstrom"}
        options[f"{name}_set"] = {"systems": systems, "targets": {"energy": energy}}
    return options


def judge(data: DataSet, frames: list[Atoms], arguments: argparse.Namespace, seed: int) -> str:
    """A row: root mean square errors of forces (meV/A) and energies (meV/atom), on two splits."""
    with tempfile.TemporaryDirectory() as folder:
        # a training writes into the current folder
        os.chdir(folder)
        split(data, frames)
        options = make_options(data, bool(frames[0].pbc.all()), arguments.share, seed)
        result = train(options, overrides=arguments.override)
        assert result is not None
        errors = evaluate(result.model, [options[f"{name}_set"] for name in SPLITS[1:]]).errors
        os.chdir(arguments.folder)
    found = [errors[f"{name}.xyz"] for name in SPLITS[1:]]
    cells = " | ".join(f"{each['forces'].rmse:.1f} | {each['energy'].rmse:.2f}" for each in found)
    return f"| {data.name} | {seed} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge a choice of hypers on four data sets.")
    parser.add_argument("folder", type=Path, help="where make_tuning_sets.py has put the sets")
    parser.add_argument("--names", nargs="+", help="of the sets (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the epochs of 60 s")
    parser.add_argument("-r", "--override", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.absolute()
    rows = [
        "| set | seed | validation F | E | test F | E |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        for data in SETS:
            if arguments.names is None or data.name in arguments.names:
                frames = read(data, arguments.folder, Path(scratch))
                rows += [judge(data, frames, arguments, seed) for seed in arguments.seeds]
    print("\n".join(rows))


if __name__ == "__main__":
    main()
