"""The options of training and evaluation: what they become, and what is wrong with them."""

import subprocess
import sys
from copy import deepcopy
from types import SimpleNamespace

import pytest

from mt_core.options.parsing import Indices, eval_schema, options_schema, parse_eval, parse_training
from mt_core.options.rules import STANDARD_TARGETS
from mt_shared.errors import ArchitectureError, OptionsError, UserError
from mt_shared.options import (
    STANDARD_INPUTS,
    DatasetSpec,
    GradientSpec,
    SystemsSpec,
    dump_yaml,
    engine_defaults,
    load_yaml,
)

VECTOR = {"cartesian": {"rank": 1}}
BASE = {
    "architecture": {"name": "toy"},
    "training_set": {"systems": "a.xyz", "targets": {"energy": {}}},
    "validation_set": 0.1,
}


def _options(**more):
    return deepcopy(BASE) | more


def _training_set(targets, **systems):
    return {"systems": {"read_from": "a.xyz", **systems}, "targets": targets}


def _target(given, name="energy"):
    parsed = parse_training(_options(training_set=_training_set({name: given})), "options.yaml")
    return parsed.training_set[0].targets[0]


def _error(options):
    with pytest.raises(OptionsError) as error:
        parse_training(options, "options.yaml")
    return str(error.value)


def _toy(name):
    schema = {
        "properties": {
            "model": {"additionalProperties": False, "properties": {"cutoff": {"type": "number"}}},
            "training": {"$ref": "urn:mt-shared:engine:1", "unevaluatedProperties": False},
        }
    }
    return SimpleNamespace(name=name, default_hypers={"model": {"cutoff": 5.0}}, schema=schema)


def test_defaults():
    parsed = parse_training(_options(), "options.yaml")
    assert (parsed.device, parsed.base_precision, parsed.seed) == (None, None, None)
    assert (parsed.print_stats, parsed.final_eval) == ("auto", True)
    assert (parsed.validation_set, parsed.test_set) == (0.1, 0.0)
    assert parsed.architecture.atomic_types is None
    assert parsed.architecture.unchecked


def test_an_energy_takes_forces_and_stress_along_where_they_are():
    assert _target({}).gradients == (
        GradientSpec("forces", "forces", "a.xyz", required=False),
        GradientSpec("stress", "stress", "a.xyz", required=False),
    )
    assert _target({}).quantity == "energy"


@pytest.mark.parametrize(
    ("forces", "gradient"),
    [
        (True, GradientSpec("forces", "forces", "a.xyz", "ase")),
        ("f.xyz", GradientSpec("forces", "forces", "f.xyz")),
        ({"key": "f"}, GradientSpec("forces", "f", "a.xyz", "ase")),
        ({"read_from": "f.mts", "reader": "metatensor"}, None),
        (False, None),
    ],
)
def test_shorthands_of_gradients(forces, gradient):
    given = {"reader": "ase", "forces": forces, "stress": False}
    if isinstance(forces, dict) and "reader" in forces:
        gradient = GradientSpec("forces", "forces", "f.mts", "metatensor")
    assert _target(given).gradients == ((gradient,) if gradient else ())


def test_asking_for_the_virial_leaves_out_the_stress():
    assert [gradient.kind for gradient in _target({"virial": "v.xyz"}).gradients] == [
        "forces",
        "virial",
    ]


@pytest.mark.parametrize(
    ("name", "given", "quantity"),
    [
        ("energy/pbe", {}, "energy"),
        ("mtt::e", {"quantity": "energy"}, "energy"),
        ("mtt::e", {"forces": True}, "energy"),
        ("mtt::dipole", {"quantity": "dipole"}, "dipole"),
        ("mtt::x", {}, ""),
        ("mtt::x", {"forces": False}, ""),
    ],
)
def test_what_is_an_energy(name, given, quantity):
    target = _target(given, name)
    assert target.quantity == quantity
    assert bool(target.gradients) == (quantity == "energy")


@pytest.mark.parametrize("given", [{"per_atom": True}, {"num_subtargets": 2}])
def test_energies_of_atoms_or_with_sub_targets_have_no_gradients(given):
    assert _target(given).gradients == ()


def test_per_atom_is_a_sample_kind():
    assert _target({"per_atom": True}, "mtt::x").sample_kind == "atom"
    assert _target({"per_atom": False, "sample_kind": "system"}, "mtt::x").sample_kind == "system"


def test_a_target_in_another_file_guesses_its_reader():
    systems = {"reader": "ase", "length_unit": "angstrom"}
    targets = {"energy": {}, "mtt::x": "x.mts"}
    options = _options(training_set=_training_set(targets, **systems))
    (dataset,) = parse_training(options, "options.yaml").training_set
    assert dataset.systems == SystemsSpec("a.xyz", "ase", "angstrom")
    assert [(t.read_from, t.reader, t.key) for t in dataset.targets] == [
        ("a.xyz", "ase", "energy"),
        ("x.mts", None, "mtt::x"),
    ]


def test_a_path_is_a_data_set_with_an_energy():
    parsed = parse_training(_options(training_set="t.xyz", validation_set="v.xyz"), "o.yaml")
    (dataset,) = parsed.validation_set
    assert isinstance(dataset, DatasetSpec)
    assert [(target.name, target.read_from) for target in dataset.targets] == [("energy", "v.xyz")]


def test_indices_and_lists_of_data_sets():
    first = {"systems": "a.xyz", "targets": {"energy": {}}, "indices": [0, 2]}
    second = {"systems": "b.xyz", "targets": {"mtt::x": {"allow_missing": True}}}
    parsed = parse_training(_options(training_set=[first, second]), "options.yaml")
    assert [dataset.indices for dataset in parsed.training_set] == [(0, 2), None]
    assert parsed.training_set[1].targets[0].allow_missing
    parsed = parse_training(_options(validation_set={"indices": [1]}), "options.yaml")
    assert parsed.validation_set == Indices((1,))
    parsed = parse_training(_options(test_set={"indices": "test.txt"}), "options.yaml")
    assert parsed.test_set == Indices("test.txt")


def test_elements_may_be_symbols():
    options = _options(architecture={"name": "toy", "atomic_types": ["O", 1]})
    assert parse_training(options, "options.yaml").architecture.atomic_types == (1, 8)


def test_hypers_are_completed_and_checked_with_the_rest():
    architecture = {"name": "toy", "training": {"atomic_baseline": {"energy": {"H": -1}}}}
    parsed = parse_training(_options(architecture=architecture), "options.yaml", _toy)
    assert parsed.architecture.model == {"cutoff": 5.0}
    given = engine_defaults() | architecture["training"]
    assert parsed.architecture.training == given
    assert parsed.complete["architecture"]["training"] == given
    assert not parsed.architecture.unchecked
    architecture["training"] = {"batch_sze": 1, "loss": {"mtt::x": "mse"}}
    with pytest.raises(OptionsError) as error:
        parse_training(_options(architecture=architecture, seed=-1), "options.yaml", _toy)
    assert str(error.value).startswith("options.yaml: 3 faults")
    assert "'mtt::x' is not a target of the data sets" in str(error.value)


def test_an_unknown_architecture_is_one_fault_among_others():
    def find(name):
        raise ArchitectureError(f"the architecture '{name}' is not installed")

    with pytest.raises(ArchitectureError, match=r"^the architecture 'toy' is not installed$"):
        parse_training(_options(), "options.yaml", find)
    with pytest.raises(OptionsError, match=r"2 faults(.|\n)*name: the architecture 'toy' is not"):
        parse_training(_options(seed=-1), "options.yaml", find)


def test_resolved_options_train_the_same_again():
    targets = {"energy": {"virial": True}, "mtt::x": {"per_atom": True, "num_subtargets": 2}}
    inputs = {"extra_data": {"mtt::w": "w.xyz"}}
    options = _options(
        training_set=[_training_set(targets) | {"indices": [0, 1]} | inputs],
        validation_set={"systems": "v.xyz", "targets": targets} | inputs,
        test_set=0.25,
        device="cuda:1",
        architecture={"name": "toy", "training": {"atomic_baseline": {"energy": {"C": 1.0}}}},
    )
    first = parse_training(options, "options.yaml", _toy)
    again = load_yaml(dump_yaml(first.complete), "options_restart.yaml")
    assert parse_training(again, "options_restart.yaml", _toy) == first


def test_the_options_given_are_not_changed():
    options = _options(training_set="a.xyz")
    before = deepcopy(options)
    parse_training(options, "options.yaml", _toy)
    assert options == before


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"energy": {"stress": True, "virial": True}}, "energy.virial: 'stress' and 'virial' are"),
        ({"mtt::x": {"quantity": "dipole", "forces": True}}, "x.forces: only one energy of each"),
        ({"energy": {"per_atom": True, "stress": True}}, "energy.stress: only one energy of each"),
        ({"energy": {"num_subtargets": 2, "forces": "f"}}, "energy.forces: only one energy of"),
        ({"mtt::x": {"per_atom": True, "sample_kind": "system"}}, "x.per_atom: contradicts"),
        ({"energy": {"quantity": "dipole"}}, "energy.quantity: found 'dipole', expected 'energy'"),
        ({"dipole": {}}, "targets.dipole: it is no output that metatomic knows; a name of your"),
        ({"enrgy": {}}, "targets.enrgy: it is no output that metatomic knows (did you mean 'ener"),
        ({"forces": {}}, "targets.forces: it is a gradient: write 'forces: true' below"),
        ({"charges": {}}, "targets.charges: metatomic calls it 'charge'"),
        ({"energy": {}, "key": "U0"}, "targets.key: it describes a target: indent it"),
        ({"charge": {}, "mtt::charge": {}}, "'charge' and 'mtt::charge' are the same target"),
        ({"other::x": {}}, "targets.other::x: it is no output that metatomic knows"),
        ({"energy": {"forces": "off"}}, "energy.forces: 'off' is refused: in YAML 1.2 it is text"),
        ({"mtt::x": {"sample_kind": "atom_pair"}}, "'atom_pair' is refused"),
        ({"energy": {"unti": "eV"}}, "energy.unti: unknown key, did you mean 'unit'?"),
        ({"energy": None}, "targets.energy: found nothing (null), expected a path or a mapping"),
        ({}, "training_set.targets: found an empty mapping, expected at least one entry"),
        ({"mtt::x": {"type": "vector"}}, "x.type: found 'vector', expected scalar, {cartesian:"),
        ({"mtt::x": {"type": {"cartesian": {"rank": 0}}}}, "cartesian.rank: found 0, expected a"),
        ({"mtt::x": {"type": {"spherical": {}}}}, "type.spherical.irreps: is missing"),
    ],
)
def test_faulty_targets(targets, message):
    error = _error(_options(training_set=_training_set(targets)))
    assert error.startswith("options.yaml: 1 fault ")
    assert message in error


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"chrge": {}}, "'mtt::x' (did you mean 'charge'?)"),
        (
            {"charges": {}},
            "charges: metatomic calls it 'charge': rename it, and say 'key: charges'",
        ),
        ({"energy": {}}, "extra_data.energy: 'energy' is a target as well"),
        ({"::x": {}}, "extra_data.::x: found '::x', expected an input of engines (charge, mass"),
        ({"charge": {"forces": True}}, "charge.forces: unknown key"),
        ({"charge": {"allow_missing": True}}, "charge.allow_missing: unknown key"),
        ({"charge": {"per_atom": True, "sample_kind": "system"}}, "charge.per_atom: contradicts"),
        (
            {"mtt::x": {"type": {"spherical": {"irreps": [{"o3_lambda": 0, "o3_sigma": 1}] * 2}}}},
            "spherical.irreps: an input has one irrep",
        ),
    ],
)
def test_faulty_inputs(inputs, message):
    training_set = _training_set({"energy": {}}) | {"extra_data": inputs}
    assert message in _error(_options(training_set=training_set))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("charge", {}),
        ("charge", {"sample_kind": "atom"}),
        ("spin_multiplicity", {"type": "scalar", "num_subtargets": 1}),
        ("mass", {"per_atom": True}),
        ("momentum", {"sample_kind": "atom", "type": VECTOR}),
        ("velocity", {"sample_kind": "atom", "type": VECTOR}),
        ("mtt::field", {"type": VECTOR, "num_subtargets": 2}),
        ("ase::tags", {"sample_kind": "atom"}),
    ],
)
def test_names_of_inputs(name, form):
    inputs = {name: {"key": "w", "unit": "e", **form}}
    training_set = _training_set({"energy": {}}) | {"extra_data": inputs}
    parsed = parse_training(_options(training_set=training_set), "options.yaml")
    assert parsed.inputs[name].key == "w"


@pytest.mark.parametrize(
    ("inputs", "faults"),
    [
        (
            {"charge": {"type": VECTOR}},
            ["charge.type: found {cartesian: {rank: 1}}, expected scalar, as engines give"],
        ),
        ({"charge": {"num_subtargets": 2}}, ["charge.num_subtargets: found 2, expected 1"]),
        ({"mass": "masses.xyz"}, ["mass.sample_kind: found system, expected atom"]),
        ({"spin_multiplicity": {"per_atom": True}}, [".sample_kind: found atom, expected system"]),
        (
            {"velocity": {}},
            [".sample_kind: found system, expected atom", ".type: found scalar, expected {cart"],
        ),
        # what the schema refuses is told once
        ({"charge": {"num_subtargets": 0}}, ["charge.num_subtargets: found 0, expected a"]),
    ],
)
def test_a_standard_input_is_what_engines_give(inputs, faults):
    training_set = _training_set({"energy": {}}) | {"extra_data": inputs}
    error = _error(_options(training_set=training_set))
    assert error.startswith(f"options.yaml: {len(faults)} fault")
    assert all(fault in error for fault in faults)


def test_inputs_stand_below_extra_data():
    dataset = _training_set({"energy": {}}) | {"inputs": {"charge": {"key": "Q"}}}
    said = "inputs: a mapping is refused: what a model reads stands below 'extra_data'"
    assert f"training_set.{said}" in _error(_options(training_set=dataset))
    with pytest.raises(OptionsError, match=said):
        parse_eval(dataset, "eval.yaml")


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            {"charge": {}},
            {},
            "set.1.extra_data.charge: another data set gives it, and a model reads",
        ),
        ({}, {"charge": {}}, "set.1.extra_data.charge: another has none, and a model reads it of"),
        (
            {"charge": {"unit": "e"}},
            {"charge": {"unit": "C"}},
            "charge.unit: found 'C', expected 'e'",
        ),
    ],
)
@pytest.mark.parametrize("part", ["training_set", "validation_set"])
def test_every_data_set_has_the_same_inputs(first, second, message, part):
    sets = [_training_set({"energy": {}}) | {"extra_data": each} for each in (first, second)]
    if part == "training_set":
        assert message in _error(_options(training_set=sets))
    else:
        assert message.removeprefix("set.1.") in _error(
            _options(training_set=sets[0], validation_set=sets[1])
        )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"validation_set": 0.6, "test_set": 0.4}, "0.6 and test_set 0.4 leave nothing to train"),
        ({"validation_set": 1.0}, "validation_set: found 1.0, expected a number of at least 0 and"),
        ({"validation_set": True}, "validation_set: found true, expected a fraction, a path,"),
        ({"validation_set": {"indices": [-1]}}, "indices.0: found -1, expected a whole number"),
        ({"validation_set": {"systems": "v.xyz"}}, "validation_set.targets: is missing, expected"),
        ({"test_set": {"indices": [1], "system": "x"}}, "test_set.system: unknown key, did you"),
        ({"training_set": []}, "training_set: found an empty list, expected at least one entry"),
        ({"training_set": 3}, "training_set: found 3, expected a path, a data set or a list"),
        ({"device": "multi-gpu"}, "device: 'multi-gpu' is refused"),
        ({"device": "tpu"}, "device: found 'tpu', expected cpu, cuda, cuda:0"),
        ({"base_precision": 16}, "base_precision: 16 is refused"),
        ({"base_precision": 32.0}, "base_precision: found 32.0, expected 32, 64 or null"),
        ({"seed": True}, "seed: found true"),
        ({"wandb": {}}, "wandb: an empty mapping is refused"),
        ({"architecture": {"name": "experimental.toy"}}, "never part of its name"),
        ({"architecture": {"name": "toy", "atomic_types": [0]}}, "atomic_types.0: found 0"),
        ({"architecture": {"name": "toy", "model": 3}}, "model: found 3, expected a mapping"),
        ({"training": {"num_epochs": 3}}, "training: a mapping is refused: it belongs below"),
        ({"trainig_set": "a.xyz"}, "trainig_set: unknown key, did you mean 'training_set'?"),
    ],
)
def test_faulty_options(more, message):
    error = _error(_options(**more))
    assert message in error
    assert "valid under" not in error


def test_a_data_set_that_is_not_there_is_said():
    assert "validation_set: is missing, expected a fraction, a path" in _error(
        {"architecture": {"name": "toy"}, "training_set": "a.xyz"}
    )


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            {"energy": {"unit": "Ry"}},
            "training_set.1.targets.energy.unit: found 'Ry', expected 'eV'",
        ),
        ({"energy": {"unit": "eV", "per_atom": True}}, "sample_kind: found 'atom', expected"),
    ],
)
def test_a_target_is_the_same_in_every_data_set(second, message):
    first = _training_set({"energy": {"unit": "eV"}})
    assert message in _error(_options(training_set=[first, _training_set(second)]))


def test_data_sets_agree_on_the_unit_of_length():
    first, second = (_training_set({"energy": {}}, length_unit=unit) for unit in ("nm", "bohr"))
    error = _error(_options(training_set=first, validation_set=second))
    assert "validation_set.systems.length_unit: found 'bohr', expected 'nm'" in error


def test_a_target_of_the_validation_set_is_trained_on():
    error = _error(_options(validation_set=_training_set({"mtt::x": {}})))
    assert "validation_set.targets.mtt::x: training_set has no such target" in error


def test_mere_indices_need_one_training_file():
    both = [_training_set({"energy": {}}), _training_set({"energy": {}})]
    error = _error(_options(training_set=both, validation_set={"indices": [1]}))
    assert "validation_set.indices: training_set has several data sets" in error


def test_options_of_an_evaluation():
    (dataset,) = parse_eval({"systems": "a.xyz"}, "eval.yaml")
    assert dataset == DatasetSpec(SystemsSpec("a.xyz"))
    first = {"systems": {"read_from": "a.xyz"}, "targets": {"energy": {"key": "U0"}}}
    datasets = parse_eval([first, {"systems": "b.xyz", "indices": [3]}], "eval.yaml")
    assert datasets[0].targets[0].key == "U0"
    assert datasets[1].indices == (3,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("a.xyz", "found 'a.xyz', expected a data set"),
        ({"targets": {"energy": {}}}, "systems: is missing, expected a path or a mapping"),
        ({"systems": "a.xyz", "target": {}}, "target: unknown key, did you mean 'targets'?"),
        ([{"systems": "a", "targets": {"dipole": {}}}], "0.targets.dipole: it is no output"),
    ],
)
def test_faulty_options_of_an_evaluation(options, message):
    with pytest.raises(OptionsError) as error:
        parse_eval(options, "eval.yaml")
    assert message in str(error.value)


@pytest.mark.parametrize("options", [None, 3, "a.xyz", []])
def test_options_that_are_no_mapping(options):
    assert "expected a mapping of options" in _error(options)


def test_standard_targets_are_outputs_of_metatomic():
    from metatomic.torch import ModelCapabilities, ModelOutput

    for name in STANDARD_TARGETS:
        ModelCapabilities(outputs={name: ModelOutput()})
    with pytest.raises(ValueError, match="not a known quantity"):
        ModelCapabilities(outputs={"dipole": ModelOutput()})


def test_standard_inputs_are_what_ase_gives_to_a_model():
    from metatomic_ase import _calculator

    found = {
        (name, kind): each["unit"]
        for kind, known in (
            ("system", _calculator.PER_SYSTEM_QUANTITIES),
            ("atom", _calculator.PER_ATOM_QUANTITIES),
        )
        for name, each in known.items()
        if not name.startswith("ase::")
    }
    assert found == {
        (name, kind): each.unit
        for name, each in STANDARD_INPUTS.items()
        for kind in each.sample_kinds
    }


@pytest.mark.parametrize("schema", [options_schema, eval_schema])
def test_schemas_are_json_schemas(schema):
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema())


def test_every_fault_is_a_user_error():
    assert issubclass(OptionsError, UserError)


def test_import_is_light():
    code = "import sys, mt_core.options.parsing; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "jsonschema", "numpy", "ase"}.isdisjoint(loaded)
