"""A simulation's process: it imports metatomic_ase, and nothing of ours.

Run as a script by the suite: ``ase_process.py MODEL EXTENSIONS FILE ...``; it prints energies,
forces and stress of each structure as JSON, with the modules of ours that were imported.
"""

import json
import sys
import warnings

import ase.io
from metatomic_ase import MetatomicCalculator


def main() -> None:
    warnings.simplefilter("ignore")
    model, extensions, *files = sys.argv[1:]
    calculator = MetatomicCalculator(model, extensions_directory=extensions, device="cpu")
    results = []
    for atoms in (atoms for file in files for atoms in ase.io.read(file, index=":")):
        atoms.calc = calculator
        found = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces().tolist()}
        if atoms.pbc.all():
            found["stress"] = atoms.get_stress(voigt=False).tolist()
        results.append(found)
    ours = sorted(name for name in sys.modules if name.startswith("mt_"))
    print(json.dumps({"results": results, "ours": ours}))


if __name__ == "__main__":
    main()
