"""``mt train``: what it leaves, what it says, and that it does what the options say."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest

import mt_core
from mt_shared.options import load_yaml

MT_TRAIN = "train options.yaml"


def errors_of_epochs(folder):
    with (folder / "train.csv").open() as file:
        return list(csv.DictReader(file))


def files_below(folder):
    return sorted(str(path) for path in Path(folder).rglob("*") if path.is_file())


def with_options(path="options.yaml", **replaced):
    """Replace whole sections of an options file."""
    options = load_yaml(Path(path).read_text(), path) | replaced
    from mt_shared.options import dump_yaml

    Path(path).write_text(dump_yaml(options))


# ---- the folder of the run, and what is copied


def test_a_run_leaves_log_table_options_indices_checkpoints_and_model(finished, run_folder):
    names = {path.name for path in run_folder().iterdir()}
    assert names == {
        "indices",
        "latest.ckpt",
        "model.ckpt",
        "model.pt",
        "options_restart.yaml",
        "previous.ckpt",
        "train.csv",
        "train.log",
    }
    assert "epoch 2/2" in (run_folder() / "train.log").read_text()
    assert [row["epoch"] for row in errors_of_epochs(run_folder())] == ["1", "2"]


def test_every_structure_is_in_one_of_the_written_indices(finished, run_folder):
    indices = run_folder() / "indices"
    parts = {
        name: np.loadtxt(indices / f"{name}.txt", dtype=int)
        for name in ("training", "validation", "test")
    }
    assert [len(part) for part in parts.values()] == [24, 8, 8]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(40))


def test_the_results_are_copied_to_where_o_says(workspace, succeed, run_folder):
    succeed("train options.yaml -o models/first.pt")
    for name in ("first.pt", "first.ckpt"):
        copied = Path("models") / name
        assert copied.read_bytes() == (run_folder() / f"model{copied.suffix}").read_bytes()


def test_a_file_that_lies_there_is_kept_and_said(workspace, succeed, run_folder):
    Path("model.pt").write_text("an older model")
    Path("model.ckpt").write_text("an older checkpoint")
    Path("model.1.pt").write_text("one still older")
    shown = succeed(MT_TRAIN)
    assert "model.pt was there before: it is now model.2.pt" in shown
    assert "model.ckpt was there before: it is now model.1.ckpt" in shown
    assert Path("model.2.pt").read_text() == "an older model"
    assert Path("model.1.pt").read_text() == "one still older"
    assert Path("model.1.ckpt").read_text() == "an older checkpoint"
    assert Path("model.pt").read_bytes() == (run_folder() / "model.pt").read_bytes()


@pytest.mark.parametrize(
    ("output", "reason"),
    [("model.ckpt", "-o model.pt"), ("model", "-o model.pt"), ("models.pt", "is a folder")],
)
def test_a_name_that_the_model_cannot_have_is_refused_before_training(
    workspace, refuse, output, reason
):
    Path("models.pt").mkdir()
    assert reason in refuse(f"train options.yaml -o {output}")
    assert not Path("outputs").exists()


def test_the_resolved_options_train_the_same_again(finished, run_folder, succeed, newest_run):
    first = run_folder()
    succeed("train", str(first / "options_restart.yaml"))
    assert newest_run() != first
    assert errors_of_epochs(newest_run()) == errors_of_epochs(first)


def test_a_seed_that_was_not_given_is_drawn_said_and_kept(workspace, succeed, run_folder):
    shown = succeed(*MT_TRAIN.split(), "-r", "seed=null", "-r", "final_eval=false")
    seed = int(re.search(r"seed (\d+)", shown)[1])
    options = load_yaml((run_folder() / "options_restart.yaml").read_text(), "")
    assert options["seed"] == seed
    assert seed != 0


def test_a_flag_wins_over_the_file(workspace, succeed, run_folder):
    succeed(*MT_TRAIN.split(), "-r", "architecture.training.num_epochs=1")
    assert len(errors_of_epochs(run_folder())) == 1


def test_the_log_of_a_run_that_fails_ends_with_the_reason(workspace, frames, refuse, write_xyz):
    write_xyz(frames[:2])
    error = refuse(MT_TRAIN)
    (log,) = Path("outputs").glob("*/*/train.log")
    assert error.strip() in log.read_text()


# ---- what is said


def test_dry_run_shows_origins_and_cost_and_leaves_no_files(workspace, succeed):
    before = files_below(".")
    shown = succeed(*MT_TRAIN.split(), "--dry-run", "-r", "architecture.training.batch_size=4")
    assert files_below(".") == before
    rows = {
        line.split()[0]: line.split()[1:] for line in shown.splitlines() if len(line.split()) == 3
    }
    assert rows["architecture.training.batch_size"] == ["4", "flag"]
    assert rows["architecture.training.num_epochs"] == ["2", "file"]
    assert rows["architecture.training.learning_rate"][-1] == "default"
    assert re.search(r"^\d+ parameters$", shown, re.MULTILINE)
    assert "the largest batch has 36 atoms" in shown
    assert re.search(r"about \S+ s an epoch .*, \S+ min for 2 epochs$", shown, re.MULTILINE)
    assert re.search(r"peak memory \d+ MiB", shown)


def test_dry_run_of_a_restart_says_from_where_and_checks_the_data(
    finished, succeed, refuse, frames, write_xyz
):
    before = files_below(".")
    shown = succeed("train options.yaml --dry-run --restart auto")
    assert "Going on from" in shown
    assert files_below(".") == before
    write_xyz(frames[::-1])
    assert "data are not those" in refuse("train options.yaml --dry-run --restart auto")


def test_dry_run_finds_the_faults_that_training_would(workspace, frames, refuse, write_xyz):
    frames[3][1] = frames[3][1].replace("energy=", "enrgy=")
    write_xyz(frames)
    assert "frame 3" in refuse("train options.yaml --dry-run")


def test_at_most_thirty_lines_come_before_the_first_epoch(workspace, succeed):
    lines = succeed(MT_TRAIN).splitlines()
    assert next(i for i, line in enumerate(lines) if line.startswith("epoch 1/")) <= 30


def test_no_warning_of_a_library_reaches_the_user(workspace):
    code = (
        "import sys; from mt_core.cli.commands import main\n"
        "for line in ('train options.yaml', 'eval model.pt eval.yaml -o out.xyz',\n"
        "             'eval model.ckpt eval.yaml -o out.mts', 'export model.ckpt -o again.pt'):\n"
        "    assert main(line.split()) == 0"
    )
    # DeprecationWarnings are for the authors of libraries: Python itself hides them from users
    verbose = ("-W", "default", "-W", "ignore::DeprecationWarning")
    done = subprocess.run(
        [sys.executable, *verbose, "-c", code],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "warning" not in done.stdout.lower()


def test_the_final_table_has_every_split_beside_the_composition_alone(workspace, succeed):
    shown = succeed(MT_TRAIN)
    header = next(line for line in shown.splitlines() if line.startswith("RMSE"))
    assert "composition alone" in header
    for split in ("training", "validation", "test"):
        assert re.search(rf"^energy +meV/atom +{split} +\S+ +\S+$", shown, re.MULTILINE)
        assert re.search(rf"^forces +meV/A +{split} +\S+ +\S+$", shown, re.MULTILINE)


def test_the_final_table_agrees_with_mt_eval(workspace, succeed, run_folder):
    shown = succeed(MT_TRAIN)
    indices = np.loadtxt(run_folder() / "indices" / "test.txt", dtype=int).tolist()
    data = load_yaml(Path("eval.yaml").read_text(), "")
    errors = mt_core.evaluate("model.pt", data | {"indices": indices}).errors["ethanol.xyz"]
    in_table = re.search(r"^forces +meV/A +test +(\S+)", shown, re.MULTILINE)[1]
    assert float(in_table) == pytest.approx(errors["forces"].rmse, rel=1e-3)


def test_the_line_for_ase_works_as_it_is_printed(workspace, succeed):
    import metatomic_ase

    line = re.search(r"in ASE: +(.*)", succeed(MT_TRAIN))[1]
    atoms = ase.io.read("ethanol.xyz")
    labelled = atoms.get_potential_energy()
    exec(line, {"atoms": atoms, "metatomic_ase": metatomic_ase})
    assert abs(atoms.get_potential_energy() - labelled) < 1.0
    assert atoms.get_forces().shape == (9, 3)


def test_the_line_for_ase_chooses_the_variant_of_the_energy(workspace, succeed):
    import metatomic_ase

    with_options(training_set={"systems": SYSTEMS, "targets": {"energy/xtb": {"key": "energy"}}})
    line = re.search(r"in ASE: +(.*)", succeed(MT_TRAIN))[1]
    atoms = ase.io.read("ethanol.xyz")
    exec(line, {"atoms": atoms, "metatomic_ase": metatomic_ase})
    assert np.isfinite(atoms.get_potential_energy())


def test_a_model_without_an_energy_is_not_offered_to_simulations(workspace, succeed):
    dipole = {"mtt::dipole": SEVERAL["mtt::dipole"]}
    with_options(training_set={"systems": SYSTEMS, "targets": dipole})
    shown = succeed(MT_TRAIN)
    assert "LAMMPS" not in shown
    assert "mt eval model.pt" in shown


def test_no_final_evaluation_where_the_options_say_so(workspace, succeed):
    shown = succeed(*MT_TRAIN.split(), "-r", "final_eval=false")
    assert "composition alone" not in shown
    assert Path("model.pt").is_file()


# ---- data


def test_it_trains_without_a_validation_set(workspace, succeed, run_folder):
    succeed(*MT_TRAIN.split(), "-r", "validation_set=0", "-r", "test_set=0")
    assert len(np.loadtxt(run_folder() / "indices" / "training.txt")) == 40
    assert Path("model.pt").is_file()


def test_indices_choose_validation_and_test(workspace, succeed, run_folder):
    Path("test.txt").write_text("5\n6\n39\n")
    flags = ("-r", "validation_set={indices: [0, 1]}", "-r", "test_set={indices: test.txt}")
    succeed(*MT_TRAIN.split(), *flags)
    indices = run_folder() / "indices"
    assert np.loadtxt(indices / "validation.txt", dtype=int).tolist() == [0, 1]
    assert np.loadtxt(indices / "test.txt", dtype=int).tolist() == [5, 6, 39]
    assert len(np.loadtxt(indices / "training.txt")) == 35


def add_charges(frames, lacking=()):
    """A number for each atom, in all structures but some."""
    for number, frame in enumerate(frames):
        if number not in lacking:
            frame[1] = frame[1].replace("forces:R:3", "forces:R:3:q:R:1")
            frame[2:] = [
                f"{line} {0.1 * len(line.split()[0]) + 0.01 * i}"
                for i, line in enumerate(frame[2:])
            ]


SEVERAL = {
    "energy": {"unit": "eV", "forces": True},
    "mtt::dipole": {"key": "dipole", "num_subtargets": 3},
    "mtt::charge": {"key": "q", "per_atom": True, "allow_missing": True},
}
SYSTEMS = {"read_from": "ethanol.xyz", "length_unit": "angstrom"}


def test_several_targets_of_which_some_structures_lack_one(workspace, succeed, frames, write_xyz):
    add_charges(frames, lacking=range(5, 15))
    write_xyz(frames)
    with_options(training_set={"systems": SYSTEMS, "targets": SEVERAL})
    shown = succeed(MT_TRAIN)
    counts = re.findall(r"^  mtt::charge +(\d+) +(\d+) +(\d+)", shown, re.MULTILINE)
    assert np.sum(np.array(counts, dtype=int), axis=0).tolist() == [30, 10, 0]
    found = mt_core.evaluate(
        "model.pt", {"systems": SYSTEMS, "targets": SEVERAL}, output="out.xyz"
    ).errors["ethanol.xyz"]
    assert {"energy", "forces", "mtt::dipole", "mtt::charge"} == set(found)
    assert found["mtt::charge"].number == 30 * 9
    assert found["mtt::dipole"].number == 40 * 3
    image = ase.io.read("out.xyz")
    assert image.arrays["mtt_charge"].shape == (9,)
    assert image.info["mtt_dipole"].shape == (3,)


def test_several_data_sets_with_different_targets(
    workspace, succeed, frames, write_xyz, run_folder
):
    write_xyz(frames[:20], "energies.xyz")
    write_xyz(frames[20:], "dipoles.xyz")
    energies = {
        "systems": SYSTEMS | {"read_from": "energies.xyz"},
        "targets": {"energy": SEVERAL["energy"]},
    }
    dipoles = {
        "systems": SYSTEMS | {"read_from": "dipoles.xyz"},
        "targets": {"mtt::dipole": SEVERAL["mtt::dipole"]},
    }
    with_options(training_set=[energies, dipoles], validation_set=[energies], test_set=0.1)
    shown = succeed(MT_TRAIN)
    assert re.search(r"^energy .* test ", shown, re.MULTILINE)
    assert re.search(r"^mtt::dipole .* test ", shown, re.MULTILINE)
    assert "18 structures are in both training and validation" in shown
    assert len(np.loadtxt(run_folder() / "indices" / "training_1.txt")) == 18


def test_an_element_that_only_the_test_set_has_is_refused_before_training(
    workspace, refuse, frames, write_xyz
):
    frames[1][4] = frames[1][4].replace("O ", "S ")
    write_xyz(frames[:2], "other.xyz")
    with_options(
        test_set={
            "systems": SYSTEMS | {"read_from": "other.xyz"},
            "targets": {"energy": SEVERAL["energy"]},
        }
    )
    error = refuse(MT_TRAIN)
    assert "other.xyz, frame 1: the test set holds the atomic type 16" in error
    assert not list(Path("outputs").rglob("*.ckpt"))


def test_missing_units_are_said_before_training(workspace, succeed):
    with_options(training_set={"systems": {"read_from": "ethanol.xyz"}, "targets": {"energy": {}}})
    before, _, _ = succeed("train options.yaml --dry-run").partition(" parameters")
    assert "no length_unit is given" in before
    assert "'energy' has no unit" in before


EV_IN_KCAL = 23.060547830619026


def write_in_other_units(path):
    """The same structures in nm and kcal/mol."""
    images = ase.io.read("ethanol.xyz", ":")
    for image in images:
        energy, forces = image.get_potential_energy(), image.get_forces()
        image.calc = None
        image.positions /= 10
        image.info["kcal"] = energy * EV_IN_KCAL
        image.arrays["kcal_forces"] = forces * EV_IN_KCAL * 10
    ase.io.write(path, images, format="extxyz")


OTHER_UNITS = {
    "systems": {"read_from": "other.xyz", "length_unit": "nm"},
    "targets": {"energy": {"key": "kcal", "unit": "kcal/mol", "forces": {"key": "kcal_forces"}}},
}


def test_a_model_trained_in_other_units_predicts_the_same_in_any(workspace, succeed):
    write_in_other_units("other.xyz")
    with_options(training_set=OTHER_UNITS)
    flags = (
        "-r",
        "architecture.model.soap.cutoff={radius: 0.3, width: 0.05}",
        "-r",
        "base_precision=64",
    )
    shown = succeed(*MT_TRAIN.split(), *flags)
    assert "kcal/mol/nm" in shown
    in_kcal = mt_core.evaluate("model.pt", OTHER_UNITS).errors["other.xyz"]
    in_ev = mt_core.evaluate("model.pt", "eval.yaml").errors["ethanol.xyz"]
    assert in_ev["forces"].metric.unit == "meV/A"
    mev_in_kcal = EV_IN_KCAL / 1000
    assert in_kcal["energy"].rmse == pytest.approx(in_ev["energy"].rmse * mev_in_kcal, rel=1e-5)
    assert in_kcal["forces"].rmse == pytest.approx(
        in_ev["forces"].rmse * mev_in_kcal * 10, rel=1e-5
    )


# ---- fine-tuning

SLOW = (
    "-r",
    "architecture.training.learning_rate=1.0e-12",
    "-r",
    "architecture.training.num_epochs=1",
)


def first_forces_error(folder):
    return float(errors_of_epochs(folder)[0]["val forces RMSE [meV/A]"])


def test_finetuning_continues_all_weights_and_shifts_the_composition(
    finished, run_folder, succeed, newest_run, frames, write_xyz
):
    before = errors_of_epochs(run_folder())[-1]
    for frame in frames:
        frame[1] = re.sub(
            r"energy=(\S+)", lambda found: f"energy={float(found[1]) + 100}", frame[1]
        )
    write_xyz(frames)
    flag = "architecture.training.finetune.read_from=model.ckpt"
    shown = succeed(*MT_TRAIN.split(), "-r", flag, *SLOW)
    assert "Fine-tuning model.ckpt by the method 'full'" in shown
    after = errors_of_epochs(newest_run())[0]
    forces, energy = "val forces RMSE [meV/A]", "val energy RMSE [meV/atom]"
    assert float(after[forces]) == pytest.approx(float(before[forces]), rel=0.15)
    # the shift takes a constant error of the short training along
    assert float(after[energy]) < 1.15 * float(before[energy])
    predicted = mt_core.evaluate("model.pt", "eval.yaml").errors["ethanol.xyz"]["energy"]
    assert predicted.mae < 50


# ---- from Python


def test_train_takes_a_dictionary_and_says_where_everything_is(workspace):
    options = load_yaml(Path("options.yaml").read_text(), "")
    result = mt_core.train(options, output="python.pt", overrides=["final_eval=false"])
    assert result.model == Path("python.pt")
    assert result.model.is_file()
    assert (result.folder / "train.log").is_file()
    assert mt_core.load_model(result.checkpoint).capabilities().atomic_types == [1, 6, 8]


def test_stress_of_a_periodic_solid_is_trained_and_reported(workspace, succeed):
    from mt_core.examples.copies import EXAMPLES

    ice = ase.io.read(EXAMPLES / "ice" / "ice.xyz", ":8")
    ase.io.write("ice.xyz", ice, format="extxyz")
    with_options(
        training_set={
            "systems": {"read_from": "ice.xyz", "length_unit": "angstrom"},
            "targets": {"energy": {"unit": "eV", "forces": True, "stress": True}},
        }
    )
    shown = succeed(*MT_TRAIN.split(), "-r", "architecture.training.num_epochs=1")
    assert re.search(r"^stress +meV/A\^3 +test +\S+ +\S+$", shown, re.MULTILINE)
