"""Losses of installed packages: found by their name, checked without torch, used by the engine."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from mt_shared.contract import TargetInfo
from mt_shared.engine import loss_terms, make_element_loss
from mt_shared.errors import OptionsError, UserError
from mt_shared.options import TERM_KEYS, hyper_table, installed_losses, resolve_hypers
from mt_shared.options.hypers import ENGINE_URN, engine_schema

ENERGY = TargetInfo(quantity="energy", unit="eV", gradients=("positions",))
TOY = SimpleNamespace(
    name="toy",
    default_hypers={"model": {}, "training": {}},
    schema={"properties": {"training": {"$ref": ENGINE_URN, "unevaluatedProperties": False}}},
)
CHARBONNIER = """
class Charbonnier:
    def __init__(self, epsilon=1.0):
        self.epsilon = epsilon

    def __call__(self, predicted, label):
        return ((predicted - label) ** 2 + self.epsilon**2).sqrt().mean() - self.epsilon
"""
SCHEMA = {
    "description": "Smooth everywhere.",
    "type": "object",
    "properties": {
        "epsilon": {"description": "Where it bends.", "type": "number", "exclusiveMinimum": 0}
    },
}
VALUE = "robust_losses.smooth:Charbonnier"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lay down a distribution of losses, as pip leaves it: name, entry points, files."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def lay_down(distribution="robust-losses", points=None, files=None, source=CHARBONNIER):
        module = distribution.replace("-", "_")
        points = points or {"charbonnier": f"{module}.smooth:Charbonnier"}
        info = tmp_path / f"{module}-1.2.0.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.0\n"
        (info / "METADATA").write_text(metadata)
        lines = [f"{name} = {value}\n" for name, value in points.items()]
        (info / "entry_points.txt").write_text("".join(["[mt.losses]\n", *lines]))
        content = {"__init__.py": "", "smooth.py": source}
        content |= {f"schema-{name}.json": json.dumps(SCHEMA) for name in points}
        package = tmp_path / module
        package.mkdir()
        for name, text in {**content, **(files or {})}.items():
            if text is not None:
                (package / name).write_text(text)
        return tmp_path

    yield lay_down
    for name in [name for name in sys.modules if name.partition(".")[0] == "robust_losses"]:
        del sys.modules[name]


def fault_of(loss):
    """What is said of an option ``loss`` that is refused."""
    with pytest.raises(OptionsError) as error:
        resolve_hypers(TOY, {"training": {"loss": loss}}, target_names=["energy"])
    first, *faults = str(error.value).splitlines()
    assert "1 fault" in first, faults
    return faults[0].strip().removeprefix("architecture.training.")


# ---- what is installed


def test_the_losses_of_mt_shared_are_found_like_all_others():
    entries = installed_losses()
    assert {"mse", "mae", "huber"} <= set(entries)
    assert entries["huber"].distribution == "mt-shared"
    assert entries["huber"].error is None


def test_an_installed_loss_is_read_without_importing_it(install):
    folder = install(source="raise SystemExit('imported')")
    code = (
        "import sys; from mt_shared.options import installed_losses;"
        "entry = installed_losses()['charbonnier']; assert entry.error is None, entry.error;"
        "assert entry.schema['description'] == 'Smooth everywhere.';"
        "print(sorted({'torch', 'numpy', 'robust_losses'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == "[]", run.stderr


def test_the_schema_stands_beside_the_module(install, tmp_path):
    install(points={"charbonnier": "robust_losses:Charbonnier"}, files={"__init__.py": CHARBONNIER})
    assert installed_losses()["charbonnier"].error is None
    assert (tmp_path / "robust_losses" / "schema-charbonnier.json").is_file()


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (None, VALUE, "there is no "),
        ("{", VALUE, "is not JSON"),
        ("[]", VALUE, "found an empty list, expected a mapping"),
        ('{"properties": {}}', VALUE, "description: is missing, expected text"),
        ('{"description": "x", "properties": {"a": {}}}', VALUE, "properties.a.description: is"),
        (json.dumps(SCHEMA | {"additionalProperties": True}), VALUE, "expected false"),
        (json.dumps(SCHEMA | {"required": 3}), VALUE, "required: found 3, expected a list"),
        (
            json.dumps(SCHEMA).replace("number", "nubmer"),
            VALUE,
            "schema-charbonnier.json is no JSON schema: properties/epsilon/type",
        ),
        (json.dumps(SCHEMA).replace("epsilon", "weight"), VALUE, "the setting 'weight' cannot be"),
        (json.dumps(SCHEMA).replace("epsilon", "a-b"), VALUE, "the setting 'a-b' cannot be given"),
        (json.dumps(SCHEMA), "robust_losses.smooth", "expected NAME = package.module:Name"),
        (json.dumps(SCHEMA), "robust_loses.smooth:X", "the package 'robust_loses', which is not"),
    ],
)
def test_a_broken_loss_is_refused_with_its_reason_and_hinders_no_other(
    install, schema, value, expected
):
    install(points={"charbonnier": value}, files={"schema-charbonnier.json": schema})
    assert expected in installed_losses()["charbonnier"].error
    assert expected in fault_of("charbonnier")
    resolve_hypers(TOY, {"training": {"loss": "huber"}})
    with pytest.raises(UserError, match="the loss 'charbonnier' cannot be used"):
        make_element_loss("charbonnier", {})


def test_a_name_that_two_packages_register_is_refused_with_both(install):
    install()
    install("other-losses")
    said = fault_of({"energy": {"type": "charbonnier"}})
    assert "'charbonnier' is refused: other-losses and robust-losses both register" in said
    assert "pip uninstall other-losses, or robust-losses" in said


def test_a_package_cannot_take_a_loss_of_mt_shared_over(install):
    install(points={"mse": VALUE})
    entry = installed_losses()["mse"]
    assert (entry.distribution, entry.error) == ("mt-shared", None)
    assert "reserved for the loss of mt-shared, and robust-losses registers it too" in entry.clash
    assert "pip uninstall robust-losses," in entry.clash
    resolve_hypers(TOY, {"training": {"loss": "mse"}})
    assert make_element_loss("mse", {})(torch.ones(2), torch.zeros(2)) == 1.0


@pytest.mark.parametrize("name", ["mse", "charbonnier"])
def test_a_distribution_without_a_name_hinders_no_other(install, name):
    folder = install()
    install("nameless-losses", points={name: "nameless_losses.smooth:Charbonnier"})
    metadata = folder / "nameless_losses-1.2.0.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\n")
    entries = installed_losses()
    assert entries["mse"].error is None
    assert entries["mae"].error is None
    resolve_hypers(TOY, {})


def test_names_of_metatrain_are_reserved(install):
    install(points={"masked_mse": VALUE})
    assert "reserved for the loss of metatrain, and robust-losses registers it" in fault_of(
        {"energy": {"forces": "masked_mse"}}
    )


def test_an_installation_without_entry_points_says_how_to_mend_it(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("mt_shared.options.losses.entry_points_of", lambda group: [])
    with pytest.raises(UserError, match="pip install --force-reinstall mt-shared"):
        installed_losses()


# ---- the option


@pytest.mark.parametrize(
    "loss",
    [
        "charbonnier",
        {"energy": "charbonnier"},
        {"energy": {"type": "charbonnier", "epsilon": 0.1, "weight": 2, "forces": "mse"}},
        {"energy": {"forces": {"type": "charbonnier", "epsilon": 1}}},
        {"energy": {"gradients": {"positions": {"type": "charbonnier"}}}},
    ],
)
def test_a_loss_of_a_package_is_an_option_like_any_other(install, loss):
    install()
    hypers = resolve_hypers(TOY, {"training": {"loss": loss}}, target_names=["energy"])
    assert hypers.training["loss"] == loss


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("charbonier", "loss: found 'charbonier', expected a loss (charbonnier, huber, mae, mse,"),
        ("charbonier", "(did you mean 'charbonnier'?)"),
        ("charbonier", "or what a package adds by mt.losses)"),
        ({"energy": {"type": "charbonier"}}, "loss.energy.type: found 'charbonier', expected a"),
        ({"energy": {"type": "charbonier"}}, "(did you mean 'charbonnier'?)"),
        (
            {"energy": {"type": "charbonnier", "epsilno": 1}},
            "loss.energy.epsilno: unknown key, did you mean 'epsilon'?",
        ),
        (
            {"energy": {"type": "charbonnier", "wieght": 1}},
            "loss.energy.wieght: unknown key, did you mean 'weight'?",
        ),
        (
            {"energy": {"forces": {"type": "charbonnier", "epsilon": 0}}},
            "loss.energy.forces.epsilon: found 0, expected a number above 0",
        ),
        (
            {"energy": {"epsilon": 1}},
            "loss.energy.epsilon: 1 is refused: only the type 'charbonnier' has it",
        ),
        (
            {"energy": {"type": "charbonnier", "delta": 1}},
            "loss.energy.delta: 1 is refused: only the type 'huber' has it",
        ),
        ("masked_mse", "loss: 'masked_mse' is refused: its mask comes from an extra data set"),
        ({"energy": {"type": "pointwise"}}, "loss.energy.type: 'pointwise' is refused: it is the"),
    ],
)
def test_wrong_options_are_named_with_what_was_meant(install, loss, expected):
    install()
    assert expected in fault_of(loss)


def test_losses_may_share_the_name_of_a_setting(install):
    other = SCHEMA | {"properties": {"epsilon": {"description": "A kind.", "enum": ["a", "b"]}}}
    points = {"charbonnier": VALUE, "other": VALUE}
    install(points=points, files={"schema-other.json": json.dumps(other)})
    good = {"energy": {"type": "other", "epsilon": "a", "forces": {"type": "charbonnier"}}}
    resolve_hypers(TOY, {"training": {"loss": good}})
    assert "epsilon: found 'a', expected a number above 0" in fault_of(
        {"energy": {"type": "charbonnier", "epsilon": "a"}}
    )
    assert "epsilon: found 1, expected 'a' or 'b'" in fault_of(
        {"energy": {"type": "other", "epsilon": 1}}
    )
    assert "only the type 'charbonnier' or 'other' has it" in fault_of({"energy": {"epsilon": 1}})


def test_a_setting_without_a_default_has_to_be_given(install):
    install(files={"schema-charbonnier.json": json.dumps(SCHEMA | {"required": ["epsilon"]})})
    loss = {"energy": {"type": "charbonnier", "epsilon": 0.1}}
    resolve_hypers(TOY, {"training": {"loss": loss}})
    assert "epsilon: is missing, expected a number above 0" in fault_of(
        {"energy": {"type": "charbonnier"}}
    )
    assert "write a mapping of type, epsilon" in fault_of("charbonnier")


def test_the_table_of_hypers_has_the_settings_of_every_loss(install):
    install(files={"schema-charbonnier.json": json.dumps(SCHEMA | {"additionalProperties": False})})
    table = {hyper.name: hyper for hyper in hyper_table(TOY)}
    epsilon = table["training.loss.TARGET.epsilon"]
    assert (epsilon.kind, epsilon.bounds) == ("a number", "above 0")
    assert epsilon.description == "Of charbonnier: Where it bends."
    kind = table["training.loss.TARGET.forces.type"]
    assert "charbonnier: Smooth everywhere." in kind.description
    assert "charbonnier, huber, mae, mse" in kind.kind


def test_settings_stand_beside_the_keys_of_the_engine():
    parts = engine_schema()["$defs"]
    (_, mapping) = parts["target_loss"]["anyOf"]
    assert {*parts["loss_keys"]["properties"], *mapping["properties"]} == set(TERM_KEYS)


# ---- the engine


def test_terms_are_made_of_it_with_its_settings(install):
    install()
    spec = {"energy": {"weight": 0.5, "forces": {"type": "charbonnier", "epsilon": 2.0}}}
    energy, forces = loss_terms(spec, {"energy": ENERGY})
    assert (energy.weight, forces.weight) == (0.5, 1.0)
    error = torch.tensor([[0.0, 1.5, -3.0]])
    expected = ((error**2 + 4) ** 0.5 - 2).mean()
    torch.testing.assert_close(forces.function(error, torch.zeros(1, 3)), expected)
    torch.testing.assert_close(energy.function(error, torch.zeros(1, 3)), (error**2).mean())


def test_a_function_may_make_a_loss(install):
    source = "def Charbonnier(power=2):\n    return lambda p, q: ((p - q) ** power).mean()\n"
    install(source=source)
    assert make_element_loss("charbonnier", {"power": 4})(torch.ones(3), torch.zeros(3)) == 1.0


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpi", "cannot be imported from robust_losses.smooth:Charbonnier: ModuleNot"),
        ("raise SystemExit(3)", "cannot be imported from .*SystemExit: 3"),
        ("class Charbonier: pass", "cannot be imported from .*has no attribute 'Charbonnier'"),
        ("class Charbonnier: pass", "fails with the settings {'epsilon': 2.0}: TypeError"),
        (
            "class Charbonnier:\n    def __init__(self, epsilon):\n        raise ValueError('odd')",
            "fails with the settings {'epsilon': 2.0}: ValueError: odd",
        ),
        (
            "def Charbonnier(epsilon):\n    return lambda p, q: p - q",
            r"gives a tensor of shape \(2,\), expected the mean",
        ),
        ("def Charbonnier(epsilon):\n    return lambda p, q: 0.5", "gives 0.5, expected the mean"),
        (
            "def Charbonnier(epsilon):\n    return lambda p, q: (p - q).abs().mean().detach()",
            "gives a tensor without a gradient, so that nothing would train",
        ),
    ],
)
def test_a_loss_that_does_not_work_is_its_packages_fault(install, source, expected):
    install(source=source)
    with pytest.raises(UserError, match=rf"'charbonnier' \(robust-losses 1.2.0\) {expected}"):
        make_element_loss("charbonnier", {"epsilon": 2.0})


def test_one_that_is_not_installed_is_named_with_the_nearest():
    with pytest.raises(UserError, match=r"'hubr' is not installed \(did you mean 'huber'\?\)"):
        make_element_loss("hubr", {})
