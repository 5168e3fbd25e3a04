"""Root mean square error, in meV/A, of the forces of an exported model.

Usage: ``python force_error.py MODEL STRUCTURES.xyz``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from ase.io import read
from metatomic_ase import MetatomicCalculator

if __name__ == "__main__":
    model, structures = Path(sys.argv[1]), sys.argv[2]
    extensions = model.parent / "extensions"
    calculator = MetatomicCalculator(
        str(model), extensions_directory=str(extensions) if extensions.is_dir() else None
    )
    differences = []
    for atoms in read(structures, index=":"):
        labels = atoms.get_forces()
        atoms.calc = calculator
        differences.append(atoms.get_forces() - labels)
    rmse = float(np.sqrt(np.mean(np.concatenate(differences) ** 2)))
    print(json.dumps({"rmse": 1e3 * rmse}))
