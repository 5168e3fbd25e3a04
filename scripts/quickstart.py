"""Train on ethanol, evaluate, export, run molecular dynamics: ``hatch run quickstart``.

Everything happens in a new folder ``quickstart-N`` (or the one that is named), with the same
functions that the command line calls.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from pathlib import Path

import numpy as np
from ase import units
from ase.io import read
from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from metatomic_ase import MetatomicCalculator

from mt_core import examples, train

TEMPERATURE = 300  # K
TIME_STEP = 0.5  # fs
STEPS = 1000


def main() -> None:
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="a new folder for all files")
    free = (Path(f"quickstart-{number}") for number in itertools.count(1))
    folder = parser.parse_args().folder or next(each for each in free if not each.exists())
    folder.mkdir(parents=True)
    folder = folder.resolve()
    examples.copy("ethanol", folder)
    os.chdir(folder)
    result = train("options.yaml")
    assert result is not None
    drift, seconds = molecular_dynamics(result.model)
    print()
    print(result.errors)
    print(
        f"\nNVE molecular dynamics, {STEPS} steps of {TIME_STEP} fs from {TEMPERATURE} K: the "
        f"energy drifts by {drift:.2g} meV/atom/ps, {1e3 * seconds / STEPS:.2g} ms a step"
    )
    print(f"\nFiles, all in {folder}:")
    for path in (result.model, result.checkpoint, "trajectory.xyz", result.folder / "train.log"):
        print(f"  {path}")
    print(f"Done in {time.perf_counter() - started:.0f} s")


def molecular_dynamics(model: Path) -> tuple[float, float]:
    """Drift of the total energy (meV/atom/ps), and seconds, of a short NVE trajectory."""
    atoms = read("ethanol.xyz", index=0)
    atoms.calc = MetatomicCalculator(str(model))
    thermalize_momenta(atoms, TEMPERATURE, rng=np.random.default_rng(0))
    # what moves or turns the whole is taken out
    Stationary(atoms)
    ZeroRotation(atoms)
    dynamics = VelocityVerlet(atoms, timestep=TIME_STEP * units.fs)
    energies: list[float] = []

    def observe() -> None:
        energies.append(atoms.get_total_energy())
        if len(energies) % 10 == 1:
            atoms.write("trajectory.xyz", append=True)

    dynamics.attach(observe)
    started = time.perf_counter()
    dynamics.run(STEPS)
    seconds = time.perf_counter() - started
    # the slope of a line, which the oscillation of the integrator does not change
    picoseconds = np.arange(len(energies)) * TIME_STEP * 1e-3
    slope = np.polyfit(picoseconds, energies, 1)[0]
    return 1e3 * slope / len(atoms), seconds


if __name__ == "__main__":
    main()
