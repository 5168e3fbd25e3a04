"""Names of targets: they work from the options to a file of predictions, or are refused at once."""

from pathlib import Path

import ase.io
import metatensor.torch
import numpy as np
import pytest
from metatomic.torch import load_atomistic_model

import mt_core
from mt_core.options import parse_eval, parse_training, plain_name
from mt_shared.errors import OptionsError
from mt_shared.options import dump_yaml, load_yaml

TRAINING = {
    "architecture": {"name": "toy"},
    "training_set": {"systems": "a.xyz", "targets": {"energy": {}}},
    "validation_set": 0.1,
}
OF_STRUCTURE = ["mtt::band-gap", "mtt::2b", "mtt::a::b-c", "mtt::gap/pbe0", "energy/r2-scan"]
OF_ATOM = ["mtt::charge/pbe", "mtt::q-x", "charge/2"]


def parse(targets=None, inputs=None):
    data = {"systems": "a.xyz", "targets": targets or {"energy": {}}, "extra_data": inputs or {}}
    return parse_training(TRAINING | {"training_set": data}, "options.yaml")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("mtt::my charge", "mtt::my_charge"),
        ("mtt::q:x", "mtt::q_x"),
        ("mtt::Ladung_ä", "mtt::Ladung_a"),
        ("mtt::e.tot", "mtt::e_tot"),
        ("energy/my pbe", "energy/my_pbe"),
        ("energy/pbe.d3", "energy/pbe_d3"),
        ("mtt::gap/b3 lyp", "mtt::gap/b3_lyp"),
        ("mtt:: x", "mtt::x"),
        ("mtt::x ", "mtt::x"),
        ("mtt::a\tb", "mtt::a_b"),
        ('mtt::a"b', "mtt::a_b"),
        ("mtt::a=b", "mtt::a_b"),
        ("mtt::a\\b", "mtt::a_b"),
        ("mtt::a/b/c", "mtt::a/b_c"),
        ("mtt::/b", "mtt::b"),
        ("mtt::a/", "mtt::a"),
        ("mtt::::b", "mtt::b"),
        ("mtt::电荷", "mtt::my_name"),
        ("mtt::(e)", "mtt::e"),
    ],
)
def test_what_an_exported_model_or_a_file_could_not_have_is_refused_with_the_options(name, instead):
    with pytest.raises(OptionsError) as error:
        parse({name: {}})
    assert "letters a to z" in str(error.value)
    assert f"write '{instead}', with 'key: {name}'" in str(error.value)
    with pytest.raises(OptionsError) as error:
        parse({name: {"key": "q"}})
    assert f"write '{instead}'" in str(error.value)
    assert "with 'key:" not in str(error.value)
    parse({instead: {"key": name}})


@pytest.mark.parametrize("name", ["mtt::electric field", "mtt::e.x", "my::Feld_ü"])
def test_inputs_have_such_names_too(name):
    with pytest.raises(OptionsError, match="letters a to z"):
        parse(inputs={name: {}})


def test_one_fault_is_told_of_a_name_that_has_several():
    with pytest.raises(OptionsError, match="1 fault in the options"):
        parse({"my energy": {}})


@pytest.mark.parametrize(
    ("targets", "column"),
    [
        (("mtt::a/b", "mtt::a_b"), "mtt_a_b"),
        (("mtt::u", "mtt::u_forces"), "mtt_u_forces"),
        (("mtt::u_stress", "mtt::u"), "mtt_u_stress"),
        (("mtt::a::b", "mtt::a/b"), "mtt_a_b"),
    ],
)
def test_two_names_of_one_column_are_refused(targets, column):
    with pytest.raises(OptionsError, match=f"it is '{column}', as '{targets[0]}': rename one"):
        parse({name: {} for name in targets})


def test_what_marks_features_is_no_name_of_a_target():
    with pytest.raises(OptionsError, match="are no targets"):
        parse({"mtt::aux::x": {}})


def test_an_evaluation_takes_the_names_of_any_model():
    (spec,) = parse_eval({"systems": "a.xyz", "targets": {"mtt::my charge": {}}}, "eval.yaml")
    assert spec.targets[0].name == "mtt::my charge"
    assert plain_name("mtt::my charge") == "mtt_my_charge"


def test_names_work_from_the_options_to_files_of_predictions(workspace, succeed):
    names, images = [*OF_STRUCTURE, *OF_ATOM], ase.io.read("ethanol.xyz", ":12")
    for image in images:
        image.calc = None
        image.info = {f"l{names.index(name)}": image.positions[0, 0] for name in OF_STRUCTURE}
        image.arrays |= {f"l{names.index(name)}": image.positions[:, 0] for name in OF_ATOM}
    ase.io.write("data.xyz", images, format="extxyz")
    targets = {name: {"key": f"l{number}"} for number, name in enumerate(names)}
    for name in OF_ATOM:
        targets[name]["sample_kind"] = "atom"
    data = {"systems": {"read_from": "data.xyz", "length_unit": "angstrom"}, "targets": targets}
    options = load_yaml(Path("options.yaml").read_text(), "") | {"training_set": data}
    Path("options.yaml").write_text(dump_yaml(options))
    Path("eval.yaml").write_text(dump_yaml(data))

    succeed("train options.yaml --dry-run")
    shown = succeed("train options.yaml")
    assert all(f"\n{name} " in shown for name in names)
    succeed("train options.yaml --restart auto -r architecture.training.num_epochs=3")
    assert set(names) <= set(load_atomistic_model("model.pt").capabilities().outputs)
    shown = succeed("eval model.pt eval.yaml -o out.xyz")
    assert all(f"  {name} " in shown for name in names)
    succeed("eval model.ckpt eval.yaml -o out.mts")

    # the columns are read back, by ASE and as labels
    found = ase.io.read("out.xyz", ":")
    for name in names:
        plain = plain_name(name)
        written = [(each.arrays if name in OF_ATOM else each.info)[plain] for each in found]
        block = metatensor.torch.load(f"out_{plain}.mts").block()
        np.testing.assert_allclose(
            np.hstack(written), block.values[:, 0].numpy(), rtol=1e-5, atol=1e-7
        )
    keys = {name: each | {"key": plain_name(name)} for name, each in targets.items()}
    Path("again.yaml").write_text(dump_yaml({"systems": "out.xyz", "targets": keys}))
    errors = mt_core.evaluate("model.pt", "again.yaml").errors["out.xyz"]
    assert max(errors[name].rmse for name in names) < 1e-6
