"""A simulation's process: it imports metatomic_ase, and nothing of ours.

Run as a script by the suite: ``ase_process.py MODEL EXTENSIONS OUTPUT KIND FILE ...``. As JSON it
prints the values of an output, by ``system`` or ``atom``, of each structure, of an energy with its
forces and stress, and the modules of ours that were imported.
"""

import json
import sys
import warnings
from typing import Any

import ase.io
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator


def main() -> None:
    warnings.simplefilter("ignore")
    model, extensions, name, kind, *files = sys.argv[1:]
    calculator = MetatomicCalculator(model, extensions_directory=extensions, device="cpu")
    structures = [atoms for file in files for atoms in ase.io.read(file, index=":")]
    if name == "energy":
        results = [simulated(atoms, calculator) for atoms in structures]
    else:
        output = ModelOutput(sample_kind=kind)
        results = [
            {"values": calculator.run_model(atoms, {name: output})[name].block().values.tolist()}
            for atoms in structures
        ]
    ours = sorted(name for name in sys.modules if name.startswith("mt_"))
    print(json.dumps({"results": results, "ours": ours}))


def simulated(atoms: ase.Atoms, calculator: MetatomicCalculator) -> dict[str, Any]:
    """What a simulation asks for."""
    atoms.calc = calculator
    found = {"values": [[atoms.get_potential_energy()]], "forces": atoms.get_forces().tolist()}
    if atoms.pbc.all():
        found["stress"] = atoms.get_stress(voigt=False).tolist()
    return found


if __name__ == "__main__":
    main()
