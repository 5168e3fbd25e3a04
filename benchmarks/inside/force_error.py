"""Root mean square error, in meV/A, of the forces of an exported model, or of one of graph-pes.

Usage: ``python force_error.py MODEL STRUCTURES.xyz``
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from ase.io import read


def calculator_of(model: Path) -> Any:
    """For ASE; an environment has either graph-pes or metatomic-ase."""
    if find_spec("graph_pes"):
        from graph_pes.models import load_model

        return load_model(str(model)).ase_calculator()
    from metatomic_ase import MetatomicCalculator

    # both trainings put the compiled code that a model needs beside it, if it needs any
    extensions = model.parent / "extensions"
    return MetatomicCalculator(
        str(model), extensions_directory=str(extensions) if extensions.is_dir() else None
    )


if __name__ == "__main__":
    calculator = calculator_of(Path(sys.argv[1]))
    differences = []
    for atoms in read(sys.argv[2], index=":"):
        labels = atoms.get_forces()
        atoms.calc = calculator
        differences.append(atoms.get_forces() - labels)
    rmse = float(np.sqrt(np.mean(np.concatenate(differences) ** 2)))
    print(json.dumps({"rmse": 1e3 * rmse}))
