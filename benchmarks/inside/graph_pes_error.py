"""Root mean square error, in meV/A, of the forces of a model of graph-pes.

Usage: ``python graph_pes_error.py MODEL STRUCTURES.xyz``
"""

from __future__ import annotations

import json
import sys

import numpy as np
from ase.io import read
from graph_pes.models import load_model

if __name__ == "__main__":
    calculator = load_model(sys.argv[1]).ase_calculator()
    differences = []
    for atoms in read(sys.argv[2], index=":"):
        labels = atoms.get_forces()
        atoms.calc = calculator
        differences.append(atoms.get_forces() - labels)
    rmse = float(np.sqrt(np.mean(np.concatenate(differences) ** 2)))
    print(json.dumps({"rmse": 1e3 * rmse}))
