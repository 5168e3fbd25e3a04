"""A simulation's process: it imports metatomic_ase, and nothing of ours.

Run as a script by the suite: ``ase_process.py LINE OUTPUT KIND FILE ...``, with the line of Python
that gives ``atoms`` their calculator. As JSON it prints the values of an output, by ``system`` or
``atom``, of each structure, of an energy with its forces and stress, and the modules of ours that
were imported.
"""

import json
import sys
import warnings
from typing import Any

import ase.io
from metatomic.torch import ModelOutput


def main() -> None:
    warnings.simplefilter("ignore")
    line, name, kind, *files = sys.argv[1:]
    structures = [atoms for file in files for atoms in ase.io.read(file, index=":")]
    exec(line, {"atoms": structures[0]})
    calculator = structures[0].calc
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


def simulated(atoms: ase.Atoms, calculator: Any) -> dict[str, Any]:
    """What a simulation asks for."""
    atoms.calc = calculator
    found = {"values": [[atoms.get_potential_energy()]], "forces": atoms.get_forces().tolist()}
    if atoms.pbc.all():
        found["stress"] = atoms.get_stress(voigt=False).tolist()
    return found


if __name__ == "__main__":
    main()
