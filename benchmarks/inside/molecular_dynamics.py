"""Milliseconds of a step of NVE molecular dynamics with an exported model, in ASE.

Usage: ``python molecular_dynamics.py MODEL STRUCTURES.xyz NX NY NZ --steps N --warm-up N``
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import read
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from metatomic_ase import MetatomicCalculator

TEMPERATURE = 300  # K
# Short, so that both models see the same neighborhoods, whatever forces little training gave them.
TIME_STEP = 0.1  # fs
# The median of blocks is not moved by a moment in which the machine does something else.
BLOCKS = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("structures")
    parser.add_argument("repeat", type=int, nargs=3)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    arguments = parser.parse_args()

    atoms = read(arguments.structures, index=0)
    assert isinstance(atoms, Atoms)
    if math.prod(arguments.repeat) > 1:
        atoms = atoms.repeat(arguments.repeat)
    # both trainings put the compiled code that a model needs beside it, if it needs any
    extensions = arguments.model.parent / "extensions"
    atoms.calc = MetatomicCalculator(
        str(arguments.model), extensions_directory=str(extensions) if extensions.is_dir() else None
    )
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(0))
    dynamics = VelocityVerlet(atoms, timestep=TIME_STEP * units.fs)
    dynamics.run(arguments.warm_up)
    block = max(1, arguments.steps // BLOCKS)
    seconds = np.median([block_seconds(dynamics, block) for _ in range(BLOCKS)])
    assert np.isfinite(atoms.positions).all(), "the trajectory has left the world of numbers"
    print(json.dumps({"milliseconds": 1e3 * seconds / block, "atoms": len(atoms)}))


def block_seconds(dynamics: VelocityVerlet, steps: int) -> float:
    """Of this many steps."""
    started = time.perf_counter()
    dynamics.run(steps)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
