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
from force_error import calculator_of

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
    atoms.calc = calculator_of(arguments.model)
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(0))
    dynamics = VelocityVerlet(atoms, timestep=TIME_STEP * units.fs)
    # TorchScript specializes and compiles in its first calls
    dynamics.run(arguments.warm_up)
    block = max(1, arguments.steps // BLOCKS)
    edges = [time.perf_counter()]
    for _ in range(BLOCKS):
        dynamics.run(block)
        edges.append(time.perf_counter())
    seconds = np.median(np.diff(edges))
    assert np.isfinite(atoms.positions).all(), "the trajectory has left the world of numbers"
    print(json.dumps({"milliseconds": 1e3 * seconds / block, "atoms": len(atoms)}))


if __name__ == "__main__":
    main()
