"""What does not grow with a structure: targets that are means over atoms, and whole values."""

import csv
import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.collections import g2

import mt_core
from mt_core.loading import growth_notes
from mt_core.options import parse_training
from mt_shared.data import read_dataset
from mt_shared.errors import OptionsError
from mt_shared.options import dump_yaml, load_yaml

MEAN = {"mtt::gap": {"key": "gap", "unit": "eV", "extensive": False}}
SUM = {"mtt::gap": {"key": "gap", "unit": "eV"}}


@pytest.fixture(scope="module")
def molecules(tmp_path_factory) -> Path:
    """Of 2 to 14 atoms, with an energy of EMT, and its mean over the atoms as what is to be one."""
    rng, images = np.random.default_rng(0), []
    for name in g2.names:
        image = molecule(name)
        if len(image) < 2 or not {1, 6, 7, 8}.issuperset(image.numbers):
            continue
        image.positions += rng.normal(0, 0.05, image.positions.shape)
        image.calc = EMT()
        energy = float(image.get_potential_energy())
        image.calc = None
        image.info |= {"gap": energy / len(image) + 5.0, "total": energy + 2.0 * len(image)}
        images.append(image)
    path = tmp_path_factory.mktemp("molecules") / "molecules.xyz"
    ase.io.write(path, images, format="extxyz")
    return path


@pytest.fixture
def options(workspace, molecules):
    """Write the options of a training, and of an evaluation, of targets of the molecules."""

    def write(targets, **training):
        systems = {"read_from": str(molecules), "length_unit": "angstrom"}
        data = {"systems": systems, "targets": targets}
        values = load_yaml(Path("options.yaml").read_text(), "")
        values["training_set"] = data
        values["architecture"]["training"] |= training
        Path("options.yaml").write_text(dump_yaml(values))
        # which does not say how the target is compared
        plain = {
            name: {key: each[key] for key in each if key != "extensive"}
            for name, each in targets.items()
        }
        Path("eval.yaml").write_text(dump_yaml(data | {"targets": plain}))

    return write


def of_table(shown: str, unit: str) -> dict[str, float]:
    """The errors of the model by split in the final table."""
    rows = re.findall(rf"^mtt::gap +{unit} +(\w+) +(\S+)", shown, re.MULTILINE)
    return {split: float(error) for split, error in rows}


def of_best_epoch() -> float:
    """The least error of the validation set in train.csv."""
    (file,) = Path("outputs").rglob("train.csv")
    with file.open() as opened:
        return min(float(row["val mtt::gap RMSE [meV]"]) for row in csv.DictReader(opened))


@pytest.mark.parametrize(
    ("targets", "training"),
    [(MEAN, {}), (SUM, {"per_structure_targets": ["mtt::gap"]})],
    ids=["mean", "whole"],
)
def test_epochs_table_and_evaluation_compare_whole_values(options, succeed, targets, training):
    options(targets, **training)
    found = of_table(succeed("train options.yaml"), "meV")
    assert found["validation"] == pytest.approx(of_best_epoch(), rel=1e-3)
    for model in ("model.pt", "model.ckpt"):
        ((file, errors),) = mt_core.evaluate(model, "eval.yaml", output="out.xyz").errors.items()
        predicted, labelled = (ase.io.read(each, ":") for each in ("out.xyz", file))
        left = [a.info["mtt_gap"] - b.info["gap"] for a, b in zip(predicted, labelled)]
        assert errors["mtt::gap"].metric.unit == "meV"
        assert errors["mtt::gap"].rmse == pytest.approx(1e3 * np.sqrt(np.mean(np.square(left))))


def test_the_mean_of_two_molecules_far_apart_is_that_of_one(options, succeed, molecules):
    options(MEAN | {"mtt::total": {"key": "total"}}, num_epochs=3)
    succeed("train options.yaml")
    # as it was, and after a restart and an export
    succeed("train options.yaml --restart auto -r architecture.training.num_epochs=4")
    succeed("export model.ckpt -o exported.pt")
    images = ase.io.read(molecules, ":12")
    pairs = []
    for image in images:
        far = image.copy()
        far.positions += 100.0
        pairs.append(image + far)
    ase.io.write("pairs.xyz", [*images, *pairs], format="extxyz")
    mt_core.evaluate("exported.pt", {"systems": {"read_from": "pairs.xyz"}}, output="out.xyz")
    found = ase.io.read("out.xyz", ":")
    for one, two in zip(found[:12], found[12:], strict=True):
        assert two.info["mtt_gap"] == pytest.approx(one.info["mtt_gap"], rel=1e-4)
        assert two.info["mtt_total"] == pytest.approx(2 * one.info["mtt_total"], rel=1e-4)


def test_a_mean_is_fine_tuned_as_a_mean(options, succeed, refuse):
    options(MEAN)
    succeed("train options.yaml -o old.pt")
    start = ("-r", "architecture.training.finetune.read_from=old.ckpt")
    shown = succeed("train", "options.yaml", *start)
    assert "RMSE      unit  before" in shown
    assert of_table(shown, "meV")
    options(SUM)
    error = refuse("train", "options.yaml", *start)
    assert "its target 'mtt::gap' has the extensive False, that of the options True" in error


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"energy": {"extensive": False}}, "energy.extensive: an energy with forces is a sum"),
        ({"mtt::e": {"quantity": "energy", "extensive": False}}, "an energy with forces is a sum"),
        ({"mtt::q": {"sample_kind": "atom", "extensive": False}}, "neither a sum nor a mean"),
        ({"mtt::g": {"extensive": "no"}}, "mtt::g.extensive: "),
    ],
)
def test_what_can_be_no_mean_is_refused(target, said):
    section = {"systems": "a.xyz", "targets": target}
    options = {"architecture": {"name": "toy"}, "training_set": section, "validation_set": 0.1}
    with pytest.raises(OptionsError, match=re.escape(said)):
        parse_training(options, "options.yaml")


def test_two_data_sets_agree_in_what_a_target_is():
    sets = [{"systems": "a.xyz", "targets": each} for each in (MEAN, SUM)]
    options = {"architecture": {"name": "toy"}, "training_set": sets, "validation_set": 0.1}
    with pytest.raises(OptionsError, match="extensive: found True, expected False"):
        parse_training(options, "options.yaml")


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (SUM, ["the labels of 'mtt::gap' do not grow with the number of atoms"]),
        (MEAN, []),
        ({"mtt::total": {"key": "total"}}, []),
        (
            {"mtt::total": {"key": "total", "extensive": False}},
            ["the labels of 'mtt::total' grow with the number of atoms"],
        ),
        ({"energy": {"key": "total"}}, []),
        ({"energy": {"key": "gap"}}, ["give that of the whole structure, not by atom"]),
    ],
)
def test_labels_that_do_not_grow_as_they_should_are_told(molecules, targets, said):
    section = {"systems": str(molecules), "targets": targets}
    values = {"architecture": {"name": "toy"}, "training_set": section, "validation_set": 0.0}
    options = parse_training(values, "options.yaml")
    data = [read_dataset(spec) for spec in options.training_set]
    notes = list(growth_notes(options.targets, data))
    assert len(notes) == len(said)
    assert all(text in note for text, note in zip(said, notes))
    # of structures of one size nothing can be said
    sizes = data[0].structures.atoms_per_system
    alike = data[0].subset(np.flatnonzero(sizes == np.bincount(sizes).argmax()))
    assert not list(growth_notes(options.targets, [alike]))
