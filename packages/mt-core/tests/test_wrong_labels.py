"""Labels out of all proportion, and labels of which one kind is nothing: the others are learnt."""

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

EPOCHS = "-r architecture.training.num_epochs=30 -r architecture.training.learning_rate=0.01"


def final_errors(out: str, split: str) -> dict[str, tuple[float, float]]:
    """The errors of the model, and beside them those of the composition alone."""
    rows = re.findall(rf"^(energy|forces|stress) +\S+ +{split} +(\S+) +(\S+)$", out, re.M)
    return {label: (float(model), float(plain)) for label, model, plain in rows}


def spoil(number: int, **factors: float) -> None:
    """Multiply labels of one frame."""
    frames = ase.io.read("ethanol.xyz", ":")
    for label, factor in factors.items():
        frames[number].calc.results[label] = frames[number].calc.results[label] * factor
    ase.io.write("ethanol.xyz", frames)


def notes(out: str) -> list[str]:
    return [line for line in out.splitlines() if "out of all proportion" in line]


def rows_of(newest_run, split: str) -> list[int]:
    return np.loadtxt(newest_run() / "indices" / f"{split}.txt", dtype=int).tolist()


@pytest.mark.parametrize("factors", [{"forces": 1e4}, {"energy": 0.0, "forces": -1e5}])
def test_huber_learns_the_others(workspace, succeed, newest_run, factors):
    spoil(5, **factors)
    out = succeed(f"train options.yaml {EPOCHS} -r architecture.training.loss=huber")
    assert 5 in rows_of(newest_run, "training")
    (note,) = notes(out)
    assert note.startswith("note: the labels of 'energy' are out of all proportion in frame 5 of")
    assert "ethanol.xyz" in note and "huber" in note
    for split in ("validation", "test"):
        errors = final_errors(out, split)
        assert errors["forces"][0] < 0.6 * errors["forces"][1], errors


def test_labels_of_every_split_are_looked_at(workspace, succeed, newest_run):
    assert not notes(succeed("train options.yaml"))
    for split in ("validation", "test"):
        chosen = rows_of(newest_run, split)[0]
        spoil(chosen, forces=1e4)
        (note,) = notes(succeed("train options.yaml --dry-run"))
        assert f"frame {chosen} of ethanol.xyz (forces of " in note


def test_cells_of_one_atom(workspace, succeed):
    """Their forces are zero by symmetry: a scale of the forces alone would be nothing."""
    frames = []
    for volume in np.linspace(0.8, 1.3, 40):
        atoms = bulk("Cu", "fcc", a=3.61 * volume ** (1 / 3))
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels, stress=atoms.get_stress())
        frames.append(atoms)
    ase.io.write("ethanol.xyz", frames)
    text = Path("options.yaml").read_text().replace("forces: true", "forces: true, stress: true")
    Path("options.yaml").write_text(text)
    model = "{soap: {max_radial: 5, max_angular: 1}, bpnn: {num_neurons_per_layer: 64}}"
    out = succeed("train", "options.yaml", "-r", f"architecture.model={model}", *EPOCHS.split())
    assert not notes(out)
    for split in ("training", "validation", "test"):
        errors = final_errors(out, split)
        for label in ("energy", "stress"):
            assert errors[label][0] < 0.3 * errors[label][1], errors
