"""``mt eval MODEL DATA``: a file of structures in the place of options."""

from pathlib import Path

import ase.io
import pytest

from mt_core import evaluate, train


def errors_of(evaluation):
    (found,) = evaluation.errors.values()
    return {name: (each.rmse, each.number) for name, each in found.items()}


@pytest.mark.parametrize("model", ["model.pt", "model.ckpt"])
def test_a_file_of_structures_is_compared_as_the_options_would(finished, model, capsys):
    expected = errors_of(evaluate(model, "eval.yaml"))
    capsys.readouterr()
    assert errors_of(evaluate(model, "ethanol.xyz")) == expected
    said = capsys.readouterr().out
    assert "ethanol.xyz: compared with its energy, forces, as targets of the model" in said
    assert "taken as the model has it: lengths in angstrom, energy in eV" in said


@pytest.mark.parametrize("name", ["data", "data.extxyz", "data.traj", "data.xyz.gz", "data.db"])
def test_every_file_that_can_be_read_will_do(finished, name):
    frames = ase.io.read("ethanol.xyz", ":5")
    if name == "data":
        ase.io.write(name, frames, format="extxyz")
    else:
        ase.io.write(name, frames)
    found = errors_of(evaluate("model.pt", name))
    assert found["energy"][1] == 5
    assert set(found) == {"energy", "forces"}


def test_without_labels_there_are_predictions_alone(finished, succeed, frames, write_xyz):
    for frame in frames:
        frame[1] = 'Properties=species:S:1:pos:R:3 pbc="F F F"'
        frame[2:] = [" ".join(line.split()[:4]) for line in frame[2:]]
    write_xyz(frames, "bare.xyz")
    said = succeed("eval model.pt bare.xyz -o out.xyz")
    assert "bare.xyz: no labels to compare with (looked for energy)" in said
    assert "RMSE" not in said
    assert len(ase.io.read("out.xyz", ":")) == len(frames)


def test_labels_that_some_structures_lack_are_compared_where_they_are(finished, frames, write_xyz):
    frames[3][1] = frames[3][1].replace("energy=", "e_total=")
    write_xyz(frames, "gaps.xyz")
    assert errors_of(evaluate("model.pt", "gaps.xyz"))["energy"][1] == len(frames) - 1


def test_targets_of_ones_own_are_found_with_and_without_their_domain(workspace, frames, write_xyz):
    """A file has the key that its owner has chosen, the model the name of the options."""
    options = Path("options.yaml").read_text(encoding="utf-8")
    options = options.replace("energy: {unit: eV, forces: true}", "mtt::gap: {unit: eV, key: gap}")
    options += "final_eval: false\n"
    Path("gap.yaml").write_text(options, encoding="utf-8")
    for number, frame in enumerate(frames):
        frame[1] = frame[1].replace("energy=", f"gap={3 + 0.1 * (number % 7)} energy=")
    write_xyz(frames)
    train("gap.yaml")
    found = errors_of(evaluate("model.pt", "ethanol.xyz"))
    assert found == {"mtt::gap": found["mtt::gap"]}
    assert found["mtt::gap"][1] == len(frames)


def test_the_predictions_do_not_replace_the_data(finished, refuse):
    assert "would replace the data" in refuse("eval model.pt ethanol.xyz -o ethanol.xyz")


def test_what_is_no_data_either_is_told(finished, refuse):
    Path("notes.txt").write_text("dear diary,\ntoday\n", encoding="utf-8")
    assert "'notes.txt' cannot be read by ASE" in refuse("eval model.pt notes.txt")
