"""Structures and options files, the same ones for both sides."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from sides import Side

Frame = list[str]
SPLIT_SEED = 0
DISPLACEMENT = 0.02  # angstrom, of each coordinate


@dataclass(frozen=True)
class Data:
    """Three files of extended xyz with energy and forces, and stress where there is a cell."""

    train: Path
    valid: Path
    test: Path
    stress: bool = False


def shipped(ours: Side, name: str, folder: Path) -> Data:
    """A shipped example, 8 : 1 : 1, divided at random but always in the same way."""
    if not (folder / "train.xyz").is_file():
        ours.call(["example", name, "."], folder)
        # the file is in the order of one trajectory, whose first and last structures differ
        frames = read_frames(folder / f"{name}.xyz")
        random.Random(SPLIT_SEED).shuffle(frames)
        tenth = len(frames) // 10
        write_frames(folder / "valid.xyz", frames[:tenth])
        write_frames(folder / "test.xyz", frames[tenth : 2 * tenth])
        write_frames(folder / "train.xyz", frames[2 * tenth :])
    train, valid, test = (folder / f"{split}.xyz" for split in ("train", "valid", "test"))
    return Data(train, valid, test, stress=name == "ice")


def many(ethanol: Data, number: int, folder: Path) -> Data:
    """As many structures for training, made of the shipped ones by small displacements.

    Energies and forces stay as they are: they are there to be read, not to be learned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = read_frames(ethanol.train)
    generator = random.Random(SPLIT_SEED)
    frames = [_displaced(source[i % len(source)], generator) for i in range(number)]
    write_frames(folder / "many.xyz", frames)
    return Data(folder / "many.xyz", ethanol.valid, ethanol.test)


def _displaced(frame: Frame, generator: random.Random) -> Frame:
    lines = []
    for line in frame[2:]:
        # of the shipped file: species, positions, forces
        species, *columns = line.split()
        moved = [f"{float(x) + generator.gauss(0, DISPLACEMENT):.6f}" for x in columns[:3]]
        lines.append(" ".join([species, *moved, *columns[3:]]) + "\n")
    return [*frame[:2], *lines]


def read_frames(path: Path) -> list[Frame]:
    """The lines of each structure."""
    lines = iter(path.read_text(encoding="utf-8").splitlines(keepends=True))
    return [[count, *islice(lines, 1 + int(count))] for count in lines]


def write_frames(path: Path, frames: list[Frame]) -> None:
    path.write_text("".join(chain.from_iterable(frames)), encoding="utf-8")


def write_options(
    path: Path, data: Data, architecture: dict[str, Any], seed: int = 0, precision: int = 32
) -> Path:
    """An options file, in the part of YAML that is also JSON.

    Device and precision are what both choose by themselves, named to be sure of it.
    """
    options = {
        "device": "cpu",
        "base_precision": precision,
        "seed": seed,
        "architecture": architecture,
        "training_set": _data_set(data.train, data.stress),
        "validation_set": _data_set(data.valid, data.stress),
        "test_set": _data_set(data.test, data.stress),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(options, indent=2), encoding="utf-8")
    return path


def soap_bpnn(num_epochs: int, log_interval: int = 5) -> dict[str, Any]:
    """The architecture that both sides have; all other hypers are the defaults."""
    training = {"batch_size": 8, "num_epochs": num_epochs, "log_interval": log_interval}
    return {"name": "soap_bpnn", "training": training}


def _data_set(path: Path, stress: bool) -> dict[str, Any]:
    energy = {"key": "energy", "unit": "eV", "forces": True, "stress": stress}
    systems = {"read_from": str(path), "length_unit": "angstrom"}
    return {"systems": systems, "targets": {"energy": energy}}
