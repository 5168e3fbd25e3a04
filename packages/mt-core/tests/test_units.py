"""Units of labels and of hypers, from the options to what is shown, trained and kept."""

import re
from pathlib import Path

import ase.io
import ase.units
import pytest

from mt_shared.contract import read_checkpoint
from mt_shared.options import dump_yaml, load_yaml, read_yaml

HARTREE_PER_BOHR = ase.units.Hartree / ase.units.Bohr
# what metatomic takes for one
BOHR = 0.5291772105448199


def with_options(path="options.yaml", **replaced):
    options = load_yaml(Path(path).read_text(), path) | replaced
    Path(path).write_text(dump_yaml(options))


def data_of(file, length_unit="angstrom", **energy):
    systems = {"read_from": file, "length_unit": length_unit}
    return {"systems": systems, "targets": {"energy": {"unit": "eV", **energy}}}


@pytest.fixture
def in_hartree(workspace):
    """The ethanol with forces in Hartree/bohr, and positions in angstrom."""
    frames = ase.io.read("ethanol.xyz", ":")
    for atoms in frames:
        atoms.arrays["dft_forces"] = atoms.get_forces() / HARTREE_PER_BOHR
    ase.io.write("hartree.xyz", frames, format="extxyz")
    return {"key": "dft_forces", "unit": "Hartree/bohr"}


def test_forces_in_a_unit_of_their_own_are_trained_and_compared_in_that_of_the_energy(
    in_hartree, succeed
):
    shown = succeed("train options.yaml -o plain.pt -r architecture.training.num_epochs=1")
    with_options(training_set=data_of("hartree.xyz", forces=in_hartree))
    with_unit = succeed("train options.yaml -r architecture.training.num_epochs=1")

    def line(text):
        return re.search(r"^epoch 1/1 .*forces ([\d.]+) \(val ([\d.]+)\) meV/A", text, re.M)

    assert line(with_unit).groups() == line(shown).groups()
    # without a unit of the energy, which is then the model's
    evaluated = data_of("hartree.xyz", forces=in_hartree)
    del evaluated["targets"]["energy"]["unit"]
    Path("hartree.yaml").write_text(dump_yaml(evaluated))
    ours, theirs = (
        re.findall(r"^  (?:energy|forces) .*$", succeed("eval", "model.pt", file), re.MULTILINE)
        for file in ("hartree.yaml", "eval.yaml")
    )
    assert ours == theirs and len(ours) == 2


REFUSED = {
    "kcal": (data_of("ethanol.xyz", unit="kcal"), "write 'kcal/mol'"),
    "forces": (data_of("ethanol.xyz", forces={"unit": "Hartree"}), "of force cannot be used"),
    "no unit of the energy": (
        data_of("ethanol.xyz", unit="", forces={"unit": "Hartree/bohr"}),
        "the unit of their energy is not given",
    ),
    "a length": (
        data_of("ethanol.xyz", length_unit="bhor"),
        "training_set.systems.length_unit .*expected angstrom .*did you mean 'bohr'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_units_that_cannot_be_are_refused_before_data_are_read(workspace, refuse, name):
    data, reason = REFUSED[name]
    Path("ethanol.xyz").write_text("1\nno energy is here\nH 0 0 0\n")
    with_options(training_set=data)
    assert re.search(reason, refuse("train options.yaml"))


@pytest.fixture
def in_bohr(workspace):
    """The ethanol in bohr, and a model that is all defaults but for its size."""
    frames = ase.io.read("ethanol.xyz", ":")
    for atoms in frames:
        atoms.arrays["in_bohr"] = atoms.get_forces() * BOHR
        atoms.positions /= BOHR
        atoms.info["energy_of_file"] = atoms.calc.results["energy"]
    ase.io.write("bohr.xyz", frames, format="extxyz")
    with_options(
        training_set=data_of("bohr.xyz", "bohr", key="energy_of_file", forces={"key": "in_bohr"}),
        architecture={
            "name": "soap_bpnn",
            "model": {
                "soap": {"max_radial": 2, "max_angular": 1, "cutoff": {"width": 1.0}},
                "bpnn": {"num_neurons_per_layer": 8},
            },
            "training": {"batch_size": 8, "num_epochs": 2, "checkpoint_interval": 1},
        },
    )


def test_default_lengths_are_converted_and_kept_with_their_unit(
    in_bohr, succeed, run_folder, refuse
):
    radius = float(f"{5 / BOHR:.10g}")
    shown = succeed("train options.yaml --dry-run")
    assert re.search(rf"soap\.cutoff\.radius +{radius} bohr +default", shown)
    assert re.search(r"soap\.cutoff\.width +1\.0 bohr +file", shown)
    succeed("train options.yaml")
    soap = read_checkpoint("model.ckpt")["model_hypers"]["soap"]
    assert soap["cutoff"] == {"radius": radius, "width": 1.0}
    assert soap["atomic_gaussian_width"] == pytest.approx(0.3 / BOHR)
    assert soap["radial_scaling"]["exponent"] == 4

    options = (run_folder() / "options_restart.yaml").read_text()
    assert f"cutoff: {{radius: {radius}, width: 1.0}}  # radius in bohr, width in bohr" in options
    assert read_yaml(run_folder() / "options_restart.yaml")["architecture"]["model"]["soap"] == soap
    # a restart finds the same, whoever has written it
    longer = "-r architecture.training.num_epochs=3"
    assert "Going on from" in succeed(f"train options.yaml --restart auto {longer}")
    radius_of_file = "-r architecture.model.soap.cutoff.radius=5.0"
    changed = refuse(f"train options.yaml --restart auto {longer} {radius_of_file}")
    assert f"cutoff.radius: {radius} -> 5.0 (cannot change)" in changed


def test_a_checkpoint_of_other_lengths_keeps_them(in_bohr, succeed):
    """As one that was made when defaults were not converted."""
    succeed(*"train options.yaml -o old.pt -r architecture.model.soap.cutoff.radius=5.0".split())
    with_options(
        "options.yaml",
        architecture={
            "name": "soap_bpnn",
            "training": {"num_epochs": 1, "finetune": {"read_from": "old.ckpt"}},
        },
    )
    succeed("train options.yaml")
    assert read_checkpoint("model.ckpt")["model_hypers"]["soap"]["cutoff"]["radius"] == 5.0


def test_describe_shows_the_unit_of_defaults_and_of_what_is_written(succeed):
    shown = succeed("describe soap_bpnn")
    assert "model.soap.cutoff.radius: 5.0 angstrom" in shown
    assert "in length_unit of the data" in shown
    section = succeed("describe soap_bpnn --defaults")
    assert "radius: 5.0  # angstrom" in section and "# Lengths are in length_unit" in section
    soap = load_yaml(section, "defaults")["architecture"]["model"]["soap"]
    assert soap["cutoff"]["radius"] == 5.0
