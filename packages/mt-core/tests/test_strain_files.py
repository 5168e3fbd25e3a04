"""Bulk, slabs, wires and clusters in one file: which has a stress, from the file to delivery."""

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mt_shared.options import dump_yaml, load_yaml

NUM_FRAMES = 6
NAN = np.full((3, 3), np.nan)


def copper(rng, pbc, cell=True):
    """Copper, rattled and strained, with ASE's energy and forces, and its virial apart."""
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell * rng.uniform(0.97, 1.03), scale_atoms=True)
    atoms.set_cell(atoms.cell.array + np.diag([0.0 if each else 8.0 for each in pbc]))
    atoms.pbc = pbc
    atoms.rattle(0.08, rng=rng)
    atoms.calc = EMT()
    energy, forces, stress = (
        atoms.get_potential_energy(),
        atoms.get_forces(),
        atoms.get_stress(voigt=False),
    )
    virial = -stress * atoms.get_volume()
    if not cell:
        atoms.cell = np.zeros((3, 3))
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms, virial


def frames_of(pbc, kind="stress", label=None, cell=True):
    """Structures with ASE's stress or virial, or with this one; ``False``: with none."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(NUM_FRAMES):
        atoms, virial = copper(rng, pbc, cell)
        found = virial if kind == "virial" else -virial / (atoms.get_volume() if cell else 1.0)
        if label is not False:
            atoms.info[f"my_{kind}"] = found if label is None else label
        frames.append(atoms)
    return frames


BULK, SLAB, WIRE, CLUSTER = (True,) * 3, (True, True, False), (True, False, False), (False,) * 3
FILES = {
    "clusters in a box with a stress of zeros": (
        "stress",
        frames_of(BULK) + frames_of(CLUSTER, label=np.zeros((3, 3))),
    ),
    "slabs and wires": ("stress", frames_of(SLAB) + frames_of(WIRE)),
    "NaN where metatrain's users have none": (
        "stress",
        frames_of(BULK) + frames_of(SLAB, label=NAN) + frames_of(CLUSTER, label=NAN, cell=False),
    ),
    "a virial without a cell": ("virial", frames_of(CLUSTER, "virial", cell=False)),
    "a virial of bulk alone": (
        "virial",
        frames_of(BULK, "virial") + frames_of(CLUSTER, "virial", label=False, cell=False),
    ),
}
HAVE_STRESS = {
    "clusters in a box with a stress of zeros": NUM_FRAMES,
    "slabs and wires": 2 * NUM_FRAMES,
    "NaN where metatrain's users have none": NUM_FRAMES,
    "a virial without a cell": 0,
    "a virial of bulk alone": NUM_FRAMES,
}


@pytest.mark.parametrize("name", FILES)
def test_what_has_a_stress_is_trained_on_it_and_compared_with_it(workspace, succeed, name):
    kind, frames = FILES[name]
    ase.io.write("copper.xyz", frames, format="extxyz")
    options = load_yaml(Path("options.yaml").read_text(), "options.yaml")
    data = {
        "systems": {"read_from": "copper.xyz", "length_unit": "angstrom"},
        "targets": {"energy": {"unit": "eV", kind: {"key": f"my_{kind}"}}},
    }
    Path("options.yaml").write_text(dump_yaml(options | {"training_set": data}))
    Path("eval.yaml").write_text(dump_yaml(data))
    shown = succeed("train options.yaml")
    assert re.search(r"^Best model: epoch [12]$", shown, re.MULTILINE)
    assert not re.search(r"\b(inf|nan)\b", shown), shown

    from mt_core import evaluate

    errors = evaluate("model.pt", "eval.yaml", output="out.xyz").errors["copper.xyz"]
    compared = errors["stress"].number if "stress" in errors else 0
    assert compared == 9 * HAVE_STRESS[name]
    # what is predicted has a stress wherever ASE's calculator would give one
    for atoms in ase.io.read("out.xyz", ":"):
        assert ("stress" in atoms.calc.results) == bool(atoms.pbc.any())
