"""Energies and positions that float32 cannot hold: errors are those of training, and it is said."""

import csv
import re

import ase.io
import numpy as np
import pytest
import torch

from mt_core import evaluate, load_model
from mt_core.evaluation.predictions import best_device, predict, request_targets
from mt_core.options import parse_eval
from mt_shared.data import read_dataset, target_info
from mt_shared.options import read_yaml

HEAVY = -535_000.0
"""eV of each atom, as of an all-electron calculation of a heavy element."""
FAR = 1e5 * np.array([1.0, 0.3, -0.7])
LATTICE = np.diag([9.0, 10.0, 11.0])


def change(path: str, energy: float = 0.0, shift=(0.0, 0.0, 0.0), cell=None) -> None:
    """Add to the energy of each atom, move the structures, or put them into a periodic cell."""
    frames = ase.io.read(path, ":")
    for atoms in frames:
        results = atoms.calc.results
        results["energy"] += energy * len(atoms)
        atoms.positions += shift
        if cell is not None:
            atoms.set_cell(cell)
            atoms.pbc = True
        atoms.calc.atoms = atoms.copy()
    ase.io.write(path, frames)


def errors_of_table(out: str) -> dict[str, float]:
    """The errors of the model on the validation set, in the final table."""
    return {
        label: float(number)
        for label, number in re.findall(r"^(energy|forces) +\S+ +validation +(\S+)", out, re.M)
    }


def errors_of_epoch(folder, out: str) -> dict[str, float]:
    """The same in the line of the epoch whose model was delivered."""
    best = re.search(r"Best model: epoch (\d+)", out).group(1)
    with (folder / "train.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["epoch"] == best)
    units = {"energy": "meV/atom", "forces": "meV/A"}
    return {label: float(row[f"val {label} RMSE [{unit}]"]) for label, unit in units.items()}


CASES = {
    "energies of heavy elements": ({"energy": HEAVY}, "holds the 'energy' of frame"),
    "far from the origin": ({"shift": FAR}, "float32 holds positions to 0.0078"),
    "many cells away": ({"shift": 20_000 * LATTICE[2], "cell": LATTICE}, "holds positions to"),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def trained(request, workspace, succeed) -> str:
    """What a training in float32 has said."""
    changes, note = request.param
    change("ethanol.xyz", **changes)
    out = succeed("train options.yaml -r base_precision=32")
    (line,) = [line for line in out.splitlines() if note in line]
    assert line.startswith("note: "), line
    assert "base_precision: 64" in line
    return out


def test_all_that_is_said_of_the_errors_agrees(trained, run_folder):
    """The line of the epoch, the final table, ``mt eval``; forces are the slopes of the energies
    that ``mt eval`` writes, as a user would look for it.
    """
    expected = errors_of_epoch(run_folder(), trained)
    assert errors_of_table(trained) == pytest.approx(expected, rel=1e-3)
    # of all structures, in other batches
    (errors,) = evaluate("model.pt", "eval.yaml").errors.values()
    (others,) = evaluate("model.ckpt", "eval.yaml", batch_size=3).errors.values()
    for label, error in errors.items():
        assert others[label].rmse == pytest.approx(error.rmse, rel=1e-3)
        assert error.rmse < 10 * expected[label]

    atoms = ase.io.read("ethanol.xyz", 0)
    step, moved = 0.01, []
    for sign in (1, -1):
        moved.append(atoms.copy())
        moved[-1].positions[2, 0] += sign * step
    ase.io.write("moved.xyz", [atoms, *moved])
    evaluate("model.pt", {"systems": {"read_from": "moved.xyz"}}, output="out.xyz")
    here, up, down = ase.io.read("out.xyz", ":")
    slope = (up.get_potential_energy() - down.get_potential_energy()) / (2 * step)
    force = here.get_forces()[2, 0]
    assert abs(force) > 0.05
    assert force == pytest.approx(-slope, abs=0.02)


def test_nothing_is_said_of_usual_data_or_in_float64(workspace, succeed):
    assert "float32 holds" not in succeed("train options.yaml --dry-run -r base_precision=32")
    change("ethanol.xyz", energy=HEAVY, shift=FAR)
    assert "float32 holds" not in succeed("train options.yaml --dry-run -r base_precision=64")


def test_labels_of_a_constant_for_each_element_are_not_questioned(workspace, succeed):
    frames = ase.io.read("ethanol.xyz", ":")
    for atoms in frames:
        atoms.calc.results["energy"] = HEAVY * len(atoms)
    ase.io.write("ethanol.xyz", frames)
    assert "float32 holds" not in succeed("train options.yaml --dry-run -r base_precision=32")


def test_an_engine_still_gets_the_dtype_of_the_model(finished):
    """Values come in the dtype of the systems, which engines give in that of the model."""
    model = load_model("model.pt")
    assert model.capabilities().dtype == "float32"
    (spec,) = parse_eval(read_yaml("eval.yaml"), "eval.yaml")
    data = read_dataset(spec).subset([0, 1])
    requests = request_targets(model, {each.name: target_info(each) for each in spec.targets})
    double = predict(model, data, requests, "angstrom", best_device(model))["energy"].values
    model.module.takes_float64 = False
    single = predict(model, data, requests, "angstrom", best_device(model))["energy"].values
    assert np.array_equal(single, single.astype(np.float32))
    assert not np.array_equal(double, double.astype(np.float32))
    np.testing.assert_allclose(single, double, rtol=1e-6)
    assert torch.get_default_dtype() == torch.float32
