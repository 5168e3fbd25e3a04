"""``mt eval``: errors, predictions, files."""

import re
import warnings
from pathlib import Path

import ase.io
import metatensor.torch
import numpy as np
import pytest
from ase.stress import full_3x3_to_voigt_6_stress
from metatomic_ase import MetatomicCalculator

import mt_core
from mt_core.evaluation import Predictions
from mt_core.evaluation.comparison import add_errors, format_errors
from mt_core.evaluation.prediction_files import open_writer
from mt_core.examples.copies import EXAMPLES
from mt_shared.contract import Cartesian, Spherical, TargetInfo
from mt_shared.data import Dataset, Structures, TargetLabels
from mt_shared.engine import ErrorSums, Metric
from mt_shared.errors import OptionsError
from mt_shared.options import dump_yaml

RELATIVE = 1e-5  # float32, and the digits of a file
SYSTEMS = {"read_from": "ethanol.xyz", "length_unit": "angstrom"}
TARGETS = {"energy": {"unit": "eV", "forces": True}}


def predictions(path):
    images = ase.io.read(path, ":")
    energies = np.array([image.get_potential_energy() for image in images])
    return energies, np.concatenate([image.get_forces() for image in images])


def test_errors_are_printed_for_each_file_in_mev(finished, succeed, frames, write_xyz):
    write_xyz(frames[:7], "few.xyz")
    few = Path("eval.yaml").read_text().replace("ethanol.xyz", "few.xyz")
    both = [Path("eval.yaml").read_text(), few]
    Path("both.yaml").write_text(
        "".join("- " + text.replace("\n", "\n  ").rstrip() + "\n" for text in both)
    )
    shown = succeed("eval model.pt both.yaml")
    assert re.findall(r"^(\S+\.xyz):$", shown, re.MULTILINE) == ["ethanol.xyz", "few.xyz"]
    assert len(re.findall(r"^  energy +\S+ +\S+ +meV/atom$", shown, re.MULTILINE)) == 2
    assert len(re.findall(r"^  forces +\S+ +\S+ +meV/A$", shown, re.MULTILINE)) == 2
    assert "47 structures evaluated" in shown


def test_the_errors_are_those_of_the_written_predictions(finished):
    found = mt_core.evaluate("model.pt", "eval.yaml", output="out.xyz").errors["ethanol.xyz"]
    energies, forces = predictions("out.xyz")
    labels, labelled_forces = predictions("ethanol.xyz")
    by_atom = (energies - labels) / 9
    assert found["energy"].rmse == pytest.approx(1e3 * np.sqrt(np.mean(by_atom**2)), rel=1e-3)
    assert found["energy"].mae == pytest.approx(1e3 * np.mean(np.abs(by_atom)), rel=1e-3)
    difference = forces - labelled_forces
    assert found["forces"].rmse == pytest.approx(
        1e3 * np.sqrt(np.mean(difference**2)), rel=RELATIVE
    )


def test_a_prediction_of_nan_is_no_missing_label():
    errors = ErrorSums(Metric("energy", "", "energy", "meV/atom", 1e3, "atom"))
    labels = np.array([[1.0], [np.nan], [2.0]])
    sizes, volumes = np.full(3, 2), np.full(3, np.nan)
    errors.add(np.array([[1.0], [np.nan], [4.0]]), labels, sizes, volumes)
    assert (errors.number, errors.rmse) == (2, pytest.approx(1e3 * np.sqrt(0.5)))
    errors.add(np.full((1, 1), np.nan), np.ones((1, 1)), sizes[:1], volumes[:1])
    assert "inf" in format_errors({"energy": errors})


def test_without_targets_there_are_predictions_and_no_errors(finished, succeed):
    Path("eval.yaml").write_text("systems: {read_from: ethanol.xyz, length_unit: angstrom}\n")
    shown = succeed("eval model.pt eval.yaml -o out.xyz")
    assert "RMSE" not in shown
    energies, forces = predictions("out.xyz")
    assert len(energies) == 40
    assert np.abs(forces).max() > 0


def test_the_checkpoint_predicts_what_the_exported_model_predicts(finished):
    mt_core.evaluate("model.pt", {"systems": SYSTEMS}, output="exported.xyz")
    mt_core.evaluate("model.ckpt", {"systems": SYSTEMS}, output="checkpoint.xyz")
    for exported, checkpoint in zip(predictions("exported.xyz"), predictions("checkpoint.xyz")):
        np.testing.assert_allclose(exported, checkpoint, rtol=RELATIVE, atol=RELATIVE)


def test_a_model_is_known_by_what_is_in_it_not_by_its_name(finished, succeed):
    Path("model.ckpt").rename("renamed.pt")
    Path("model.pt").rename("renamed.model")
    expected = succeed("eval renamed.pt eval.yaml")
    assert succeed("eval renamed.model eval.yaml") == expected


def test_the_batch_size_changes_no_prediction(finished):
    for size in (1, 7, 1000):
        mt_core.evaluate("model.pt", {"systems": SYSTEMS}, output=f"{size}.xyz", batch_size=size)
    for other in ("7.xyz", "1000.xyz"):
        for one, several in zip(predictions("1.xyz"), predictions(other)):
            np.testing.assert_allclose(one, several, rtol=RELATIVE, atol=RELATIVE)


def test_a_batch_of_nothing_is_refused(finished, refuse):
    assert "expected 1 or more" in refuse("eval model.pt eval.yaml -b 0")


def test_other_units_of_the_options_convert_the_predictions(finished):
    in_ev = mt_core.evaluate("model.pt", {"systems": SYSTEMS}, output="ev.xyz")
    targets = {"energy": {"unit": "kcal/mol", "forces": False}}
    mt_core.evaluate("model.pt", {"systems": SYSTEMS, "targets": targets}, output="kcal.xyz")
    assert in_ev.num_structures == 40
    ev, kcal = (predictions(name)[0] for name in ("ev.xyz", "kcal.xyz"))
    np.testing.assert_allclose(kcal, ev * 23.060547830619026, rtol=RELATIVE)


def test_units_that_the_options_leave_out_are_the_model_s_and_said(finished, succeed):
    whole = succeed("eval model.pt eval.yaml")
    Path("eval.yaml").write_text("systems: ethanol.xyz\ntargets: {energy: {forces: true}}\n")
    shown = succeed("eval model.pt eval.yaml")
    assert "as the model has it: lengths in angstrom, energy in eV" in shown
    assert shown.endswith(whole)


def test_metatensor_files_hold_values_forces_and_stress_as_gradients(finished, succeed):
    written = succeed("eval model.pt eval.yaml -o out.mts")
    assert "out_energy.mts" in written
    mt_core.evaluate("model.pt", "eval.yaml", output="out.xyz")
    energies, forces = predictions("out.xyz")
    block = metatensor.torch.load("out_energy.mts").block()
    assert block.samples.names == ["system"]
    np.testing.assert_allclose(block.values[:, 0].numpy(), energies, rtol=RELATIVE)
    gradient = block.gradient("positions")
    assert gradient.samples.names == ["sample", "system", "atom"]
    np.testing.assert_allclose(-gradient.values[:, :, 0].numpy(), forces, atol=1e-6)
    assert block.gradients_list() == ["positions"]  # nothing is periodic


def periodic_and_not():
    """Ethanol alone, and in a cell; both hold the same molecule."""
    alone, boxed = ase.io.read("ethanol.xyz"), ase.io.read("ethanol.xyz")
    boxed.set_cell([9.0, 9.0, 9.0])
    boxed.pbc = True
    for image in (alone, boxed):
        image.calc = None
    ase.io.write("mixed.xyz", [alone, boxed, alone], format="extxyz")


@pytest.mark.parametrize("batch_size", [1, 3])
def test_stress_is_written_for_the_periodic_structures_alone(finished, batch_size):
    periodic_and_not()
    data = {"systems": SYSTEMS | {"read_from": "mixed.xyz"}}
    for name in ("out.xyz", "out.mts"):
        mt_core.evaluate("model.pt", data, output=name, batch_size=batch_size)
    alone, boxed, last = ase.io.read("out.xyz", ":")
    assert "stress" not in alone.calc.results
    assert "stress" not in last.calc.results
    strain = metatensor.torch.load("out_energy.mts").block().gradient("strain")
    assert strain.samples.values[:, 0].tolist() == [1]
    in_file = strain.values[0, :, :, 0].numpy() / 9.0**3
    np.testing.assert_allclose(in_file, boxed.get_stress(voigt=False), atol=1e-7)


PBC = {"bulk": "TTT", "slab": "TTF", "wire": "FFT", "molecule in a box": "FFF", "molecule": ""}


@pytest.fixture
def mixed(finished):
    """A file with the same molecule as bulk, slab, wire, in a box, and alone."""
    images = {}
    for name, pbc in PBC.items():
        images[name] = ase.io.read("ethanol.xyz")
        images[name].calc = None
        if pbc:
            images[name].set_cell([7.0, 8.0, 9.0])
            images[name].pbc = [each == "T" for each in pbc]
    ase.io.write("mixed.xyz", images.values(), format="extxyz")
    return images


@pytest.mark.parametrize("batch_size", [1, 5])
def test_stress_is_that_of_ase_for_whatever_is_periodic(mixed, batch_size):
    data = {"systems": SYSTEMS | {"read_from": "mixed.xyz"}}
    for file in ("out.xyz", "out.mts"):
        mt_core.evaluate("model.pt", data, output=file, batch_size=batch_size)
    written = dict(zip(PBC, ase.io.read("out.xyz", ":")))
    strain = metatensor.torch.load("out_energy.mts").block().gradient("strain")
    assert strain.samples.values[:, 0].tolist() == [0, 1, 2], "molecules have no stress"
    calculator = MetatomicCalculator("model.pt")
    for row, name in enumerate(["bulk", "slab", "wire"]):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not periodic in all directions")
            expected = calculator.get_stress(mixed[name])
        assert np.abs(expected).max() > 1e-5, "there is a stress to compare"
        np.testing.assert_allclose(written[name].get_stress(), expected, rtol=1e-4, atol=1e-8)
        in_file = strain.values[row, :, :, 0].numpy() / (7.0 * 8.0 * 9.0)
        in_file = full_3x3_to_voigt_6_stress(in_file)
        np.testing.assert_allclose(in_file, expected, rtol=1e-4, atol=1e-8)
    for name in ("molecule in a box", "molecule"):
        assert "stress" not in written[name].calc.results
        assert written[name].get_forces().shape == (9, 3)


def test_bulk_slabs_and_molecules_of_one_file_are_compared(mixed):
    data = {"systems": SYSTEMS | {"read_from": "mixed.xyz"}}
    mt_core.evaluate("model.pt", data, output="labelled.xyz")
    images = ase.io.read("labelled.xyz", ":")
    for image in images[:3]:
        image.calc.results["stress"] += 1e-3
    ase.io.write("labelled.xyz", images, format="extxyz")
    energy = {"unit": "eV", "forces": True, "stress": True, "allow_missing": True}
    systems = SYSTEMS | {"read_from": "labelled.xyz"}
    data = {"systems": systems, "targets": {"energy": energy}}
    found = mt_core.evaluate("model.pt", data).errors["labelled.xyz"]
    assert found["forces"].number == 5 * 9 * 3
    assert found["stress"].number == 3 * 9, "bulk, slab and wire"
    assert found["stress"].rmse == pytest.approx(1.0, rel=1e-3)


def test_files_with_different_targets_are_numbered_as_they_are_read(finished, frames, write_xyz):
    write_xyz(frames[:3], "first.xyz")
    write_xyz(frames[3:5], "second.xyz")
    whole = {"systems": SYSTEMS | {"read_from": "first.xyz"}, "targets": TARGETS}
    part = {"systems": SYSTEMS | {"read_from": "second.xyz"}, "targets": TARGETS}
    mt_core.evaluate("model.pt", [whole, part], output="out.mts", batch_size=2)
    block = metatensor.torch.load("out_energy.mts").block()
    assert block.samples.values[:, 0].tolist() == [0, 1, 2, 3, 4]
    systems = block.gradient("positions").samples.column("system")
    assert systems.tolist() == np.repeat(np.arange(5), 9).tolist()


def test_predictions_that_lie_there_are_kept_and_said(finished, succeed):
    Path("out.xyz").write_text("older predictions")
    assert "out.xyz was there before: it is now out.1.xyz" in succeed(
        "eval model.pt eval.yaml -o out.xyz"
    )
    assert Path("out.1.xyz").read_text() == "older predictions"


def test_predictions_never_replace_the_data(finished, refuse):
    before = Path("ethanol.xyz").read_bytes()
    assert "would replace the data" in refuse("eval model.pt eval.yaml -o ./ethanol.xyz")
    assert Path("ethanol.xyz").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("out.csv", "extended xyz"),
        ("ethanol.xyz/out.xyz", "cannot write"),
        ("folder.xyz", "is a folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(finished, refuse, name, reason):
    Path("folder.xyz").mkdir()
    assert reason in refuse(f"eval model.pt eval.yaml -o {name}")
    assert Path("folder.xyz").is_dir()


def test_a_target_that_the_model_does_not_have_is_refused(finished, refuse):
    Path("eval.yaml").write_text(
        "systems: {read_from: ethanol.xyz, length_unit: angstrom}\n"
        "targets: {energy/dft: {unit: eV}}\n"
    )
    assert "did you mean 'energy'?" in refuse("eval model.pt eval.yaml")


def test_an_element_that_training_never_saw_is_refused_with_its_frame(
    finished, refuse, frames, write_xyz
):
    frames[5][4] = frames[5][4].replace("O ", "S ")
    write_xyz(frames)
    Path("out.xyz").write_text("older predictions")
    error = refuse("eval model.pt eval.yaml -b 2 -o out.xyz")
    assert "ethanol.xyz, frame 5: the atomic type 16 was not in the training" in error
    assert "[1, 6, 8]" in error
    assert Path("out.xyz").read_text() == "older predictions"


SPOILT = {
    "two atoms in one place": "ethanol.xyz, frame 5 (the first is 0): atoms 1 and 2 are in one",
    "no atoms": "ethanol.xyz, frame 5 (the first is 0): it has no atoms",
    "cut off": "the file is cut off",
    "a label that is missing": "'energy' of target 'energy' is missing",
    "a label that is NaN": "'energy' of target 'energy' is NaN",
}


@pytest.mark.parametrize("fault", SPOILT)
def test_data_that_training_would_refuse_are_refused(finished, refuse, frames, write_xyz, fault):
    frame = frames[5]
    if fault == "two atoms in one place":
        frame[4] = " ".join([frame[4].split()[0], *frame[3].split()[1:]])
    elif fault == "no atoms":
        frames[5] = ["0", frame[1]]
    elif fault == "cut off":
        frames[-1] = frames[-1][:6]
    elif fault == "a label that is missing":
        frame[1] = frame[1].replace("energy=", "e_total=")
    else:
        frame[1] = re.sub(r"energy=\S+", "energy=nan", frame[1])
    write_xyz(frames)
    Path("out.xyz").write_text("older predictions")
    assert SPOILT[fault] in refuse("eval model.pt eval.yaml -b 3 -o out.xyz")
    assert Path("out.xyz").read_text() == "older predictions"


def test_labels_with_another_number_of_sub_targets_are_refused(workspace, refuse, succeed):
    text = Path("options.yaml").read_text()
    Path("options.yaml").write_text(
        text.replace(
            "energy: {unit: eV, forces: true}", "mtt::dipole: {key: dipole, num_subtargets: 3}"
        )
    )
    succeed("train options.yaml -r architecture.training.num_epochs=1")
    Path("eval.yaml").write_text("systems: ethanol.xyz\ntargets: {mtt::dipole: {key: energy}}\n")
    error = refuse("eval model.pt eval.yaml")
    assert "predicts 3 sub-targets of 'mtt::dipole'" in error
    assert "num_subtargets 1" in error


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"hello", "some other text"),
        (b"PK\x03\x04 cut off", "a zip archive that is cut off: copy it again"),
    ],
)
def test_a_foreign_file_is_no_model(finished, refuse, content, found):
    Path("foreign.pt").write_bytes(content)
    said = refuse("eval foreign.pt eval.yaml")
    assert f"'foreign.pt' is {found}; expected a model that mt train" in said


def test_a_model_that_was_cut_off_is_said_to_be(finished, refuse):
    Path("cut.pt").write_bytes(Path("model.pt").read_bytes()[:30_000])
    assert "cut off" in refuse("eval cut.pt eval.yaml")


def test_a_program_that_is_no_atomistic_model_is_refused(finished, refuse):
    import torch

    torch.jit.script(torch.nn.Linear(2, 2)).save("linear.pt")
    assert "does not contain a metatomic model" in refuse("eval linear.pt eval.yaml")


def test_a_model_that_is_not_there_is_said(finished, refuse):
    assert "there is no model 'modle.pt'" in refuse("eval modle.pt eval.yaml")


def test_the_model_can_be_evaluated_on_a_solid_with_its_elements(finished, succeed):
    ice = ase.io.read(EXAMPLES / "ice" / "ice.xyz", ":3")
    ase.io.write("ice.xyz", ice, format="extxyz")
    Path("eval.yaml").write_text(
        "systems: {read_from: ice.xyz, length_unit: angstrom}\n"
        "targets: {energy: {unit: eV, forces: true, stress: true}}\n"
    )
    shown = succeed("eval model.pt eval.yaml -o out.xyz")
    assert re.search(r"^  stress +\S+ +\S+ +meV/A\^3$", shown, re.MULTILINE)
    assert ase.io.read("out.xyz").get_stress().shape == (6,)


STRUCTURES = Structures(
    positions=np.arange(9.0).reshape(3, 3),
    types=np.array([1, 1, 8], dtype=np.int32),
    cells=np.zeros((2, 3, 3)),
    pbc=np.zeros((2, 3), dtype=bool),
    offsets=np.array([0, 1, 3]),
)
VECTORS = np.arange(9.0).reshape(3, 3, 1)


@pytest.mark.parametrize(
    ("kind", "keys", "components"),
    [(Cartesian(1), ["_"], ["xyz"]), (Spherical(((1, 1),)), ["o3_lambda", "o3_sigma"], ["o3_mu"])],
)
def test_vectors_are_written_with_their_components(tmp_path, kind, keys, components):
    with open_writer(tmp_path / "out.mts") as writer:
        found = Predictions(VECTORS, per_atom=True, type=kind)
        writer.write(STRUCTURES, {"mtt::field": found})
    written = metatensor.torch.load(str(tmp_path / "out_mtt_field.mts"))
    assert written.keys.names == keys
    assert [each.names for each in written.block().components] == [components]
    np.testing.assert_array_equal(written.block().values, VECTORS)


def test_a_type_other_than_the_model_s_is_refused():
    labels = {"mtt::field": TargetLabels(VECTORS, sample_kind="atom")}
    data = Dataset(STRUCTURES, labels, np.arange(2), "vectors.xyz")
    target = TargetInfo(sample_kind="atom", type=Cartesian(1))
    found = Predictions(VECTORS, per_atom=True, type=Spherical(((1, 1),)))
    with pytest.raises(OptionsError, match=r"predicts 'mtt::field' as .*spherical.*cartesian"):
        add_errors({}, {"mtt::field": found}, data, {"mtt::field": target}, "A")


def test_energies_of_atoms_are_written_as_ase_has_them(tmp_path):
    with open_writer(tmp_path / "out.xyz") as writer:
        values = np.array([[1.0], [2.0], [3.0]])
        writer.write(STRUCTURES, {"energy": Predictions(values, per_atom=True)})
    columns = [image.calc.results["energies"] for image in ase.io.read(tmp_path / "out.xyz", ":")]
    assert np.concatenate(columns).tolist() == [1, 2, 3]


@pytest.mark.parametrize("asked", [True, None])
def test_a_stress_that_cannot_be_is_said_once_a_file(finished, succeed, frames, write_xyz, asked):
    for frame in frames[:3]:
        frame[1] += ' stress="0 0 0 0 0 0 0 0 0"'
    write_xyz(frames[:3], "boxed.xyz")
    targets = {"energy": {"unit": "eV", "forces": True}}
    if asked:
        targets["energy"]["stress"] = True
    options = {"systems": {**SYSTEMS, "read_from": "boxed.xyz"}, "targets": targets}
    Path("boxed.yaml").write_text(dump_yaml(options))
    shown = succeed("eval model.pt boxed.yaml -b 1")
    assert shown.count("3 structures have no stress: they are periodic nowhere, have no cell") == 1
