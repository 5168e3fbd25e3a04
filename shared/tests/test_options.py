"""Options: one YAML loader, flags over the file, and errors that name every fault."""

import math
import subprocess
import sys

import pytest

from mt_shared.errors import OptionsError
from mt_shared.options import (
    SYMBOLS,
    atomic_number,
    check,
    describe_origins,
    dump_yaml,
    find_faults,
    load_options,
    load_yaml,
    origins,
    raise_faults,
    read_yaml,
)

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "batch_size": {"type": "integer", "minimum": 1},
        "rate": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "log": {"type": "boolean"},
        "kind": {"enum": ["adam", "adamw"]},
        "elements": {"type": "array", "elementNames": True},
        "loss": {
            "title": "a loss or a mapping",
            "refused": [{"if": {"const": "crps"}, "reason": "ensembles are not there yet"}],
            "anyOf": [
                {"enum": ["mse", "mae"]},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"weight": {"type": "number", "minimum": 0}},
                },
            ],
        },
    },
}


def _fault_lines(value):
    with pytest.raises(OptionsError) as error:
        check(value, SCHEMA, "options.yaml")
    head, *faults = str(error.value).splitlines()
    assert head.startswith("options.yaml: ")
    return [fault.strip() for fault in faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2E+4", -2e4),
        ("1.", 1.0),
        (".5", 0.5),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("012", 12),
        ("+3", 3),
        ("0o17", 15),
        ("0xFF", 255),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("No", "No"),
        ("yes", "yes"),
        ("on", "on"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("0b1", "0b1"),
        ("'1'", "1"),
        ("!!str 1", "1"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    loaded = load_yaml(f"key: {text}", "options.yaml")["key"]
    assert loaded == value
    assert type(loaded) is type(value)


def test_nan_is_a_number():
    assert math.isnan(load_yaml("key: .nan", "options.yaml")["key"])


def test_keys_become_text():
    text = "1: a\nNo: b\n1.0: c\ntrue: d\n"
    assert load_yaml(text, "options.yaml") == {"1": "a", "No": "b", "1.0": "c", "true": "d"}


def test_aliases_and_merge_keys_work():
    text = "base: &base {a: 1, b: 2}\nfirst: *base\nsecond: {<<: *base, b: 3}\n"
    loaded = load_yaml(text, "options.yaml")
    assert loaded["second"] == {"a": 1, "b": 3}
    assert loaded["first"] is not loaded["base"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "options.yaml:3:1: duplicate key 'a', already in line 1"),
        ("1: 1\n'1': 2", "options.yaml:2:1: duplicate key '1', already in line 1"),
        ("a:\n  b: ${x.y}", r"options.yaml:2:6: the interpolation '${x.y}' is not supported"),
        ("${x}: 1", "options.yaml:1:1: the interpolation '${x}' is not supported"),
        ("a: [1, 2", "options.yaml:1:9: this is not valid YAML"),
        ("a: b\n c: d", "options.yaml:2:3: this is not valid YAML"),
        ("a: 1\n---\nb: 2", "options.yaml:2:1: this is not valid YAML"),
        (
            "a: !!python/object/apply:os.system [ls]",
            "python/object/apply:os.system' is not allowed",
        ),
        ("a: &a [*a]", "options.yaml:1:4: an alias"),
        ("a: {<<: 3}", "a merge key (<<) takes a mapping"),
        ("[1]: 2", "options.yaml:1:1: a key must be a single word or number"),
        ("a: !!int x", "'x' does not fit its tag !!int"),
        ("a: \x01", "options.yaml: this is not valid YAML"),
    ],
)
def test_refused_yaml_names_the_place(text, message):
    with pytest.raises(OptionsError) as error:
        load_yaml(text, "options.yaml")
    assert message in str(error.value)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(OptionsError, match=r"there is no file '.*nowhere.yaml'"):
        read_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(
        OptionsError, match=r"is a folder: name a file in it; expected text in YAML"
    ):
        read_yaml(tmp_path)
    binary = tmp_path / "model.pt"
    binary.write_bytes(b"\x80\xff\xfe")
    with pytest.raises(OptionsError, match=r"model.pt', line 1: no text in UTF-8"):
        read_yaml(binary)


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1e-7, "b": "1e-3", "c": "0o17", "d": "No", "e": None, "f": "", "g": True},
        {"1": {"x": [1, 2.5, "3"]}, "empty": {}, "none": [], "text": "a: b # c"},
        {"numbers": list(range(200)), "pi": 0.1 + 0.2, "inf": math.inf, "long": "word " * 60},
    ],
)
def test_dumped_values_load_as_they_were(value):
    assert load_yaml(dump_yaml(value), "dumped") == value


def test_flags_set_values_over_the_file():
    options = {"training_set": [{"systems": "a.xyz"}], "architecture": {"name": "x"}}
    flags = [
        "architecture.training.batch_size=16",
        "training_set.0.systems=b.xyz",
        "training_set[0].indices=[1, 2]",
        "architecture.training.rate=1e-3",
        "architecture.training.rate=2e-3",
        "architecture={training: {loss: mae}}",
        "architecture.training.atomic_baseline.energy.1=-0.5",
    ]
    loaded = load_options(options, flags)
    assert loaded.values == {
        "training_set": [{"systems": "b.xyz", "indices": [1, 2]}],
        "architecture": {
            "name": "x",
            "training": {
                "batch_size": 16,
                "rate": 2e-3,
                "loss": "mae",
                "atomic_baseline": {"energy": {"1": -0.5}},
            },
        },
    }
    assert loaded.file["training_set"] == [{"systems": "a.xyz"}], "the file's options were changed"
    assert options["training_set"] == [{"systems": "a.xyz"}], "the caller's options were changed"


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("batch_size", "expected key=value"),
        ("a..b=1", "expected key=value"),
        ("sets.2.x=1", "'sets' is a list of 1: expected an index from 0 to 0, found '2'"),
        ("sets.first=1", "found 'first'"),
        ("path.reader=ase", "'path' is 'a.xyz', so it has no 'reader'"),
        ("a=[1", "-r a=[1:1:3: this is not valid YAML"),
    ],
)
def test_wrong_flags_are_explained(flag, message):
    with pytest.raises(OptionsError) as error:
        load_options({"sets": [{}], "path": "a.xyz"}, [flag])
    assert message in str(error.value)


def test_each_value_has_its_origin():
    file = {"training_set": {"systems": "a.xyz"}, "rate": 1e-3, "baseline": {"energy": {"1": 2}}}
    resolved = {
        "training_set": {"systems": {"read_from": "a.xyz", "reader": None}},
        "rate": 1e-3,
        "batch_size": 4,
        "sets": [{"indices": [1, 2]}, {"indices": [3]}],
        "baseline": {"energy": {1: 2, 6: 3}},
    }
    flags = ["sets.1.indices=[3]", "batch_size=4", "baseline.energy.6=3"]
    origin = origins(resolved, file, flags)
    assert origin == {
        ("training_set", "systems", "read_from"): "file",
        ("training_set", "systems", "reader"): "default",
        ("rate",): "file",
        ("batch_size",): "flag",
        ("sets", 0, "indices"): "default",
        ("sets", 1, "indices"): "flag",
        ("baseline", "energy", 1): "file",
        ("baseline", "energy", 6): "flag",
    }
    table = describe_origins(resolved, origin).splitlines()
    assert table[2].split() == ["rate", "0.001", "file"]
    assert len(table) == len(origin)


def test_a_dictionary_is_taken_like_a_file(tmp_path):
    loaded = load_options({"a": {1: (2, 3)}, "path": tmp_path}, ["a.6=7"])
    assert loaded.values == {"a": {"1": [2, 3], "6": 7}, "path": str(tmp_path)}
    with pytest.raises(OptionsError, match="expected plain values"):
        load_options({"a": object()})


def test_a_file_that_is_no_mapping_is_refused(tmp_path):
    path = tmp_path / "options.yaml"
    path.write_text("")
    with pytest.raises(
        OptionsError, match=r"found nothing \(null\), expected a mapping of options"
    ):
        load_options(path)


def test_one_error_lists_every_fault():
    faults = _fault_lines({"batch_sze": 4, "rate": -1, "kind": "adan", "loss": {"wieght": 1}})
    assert sorted(faults) == [
        "batch_sze: unknown key, did you mean 'batch_size'?",
        "kind: found 'adan', expected 'adam' or 'adamw' (did you mean 'adam'?)",
        "loss.wieght: unknown key, did you mean 'weight'?",
        "name: is missing, expected text",
        "rate: found -1, expected a number above 0 and below 1",
    ]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("batch_size", 0, "found 0, expected a whole number of at least 1"),
        ("batch_size", True, "found true, expected a whole number"),
        ("batch_size", 1.0, "found 1.0, expected a whole number"),
        ("batch_size", "1_000", "found '1_000', expected a whole number"),
        ("rate", math.nan, "found nan, expected a number"),
        ("rate", True, "found true, expected a number"),
        ("log", "yes", "found 'yes', expected true or false (write true: yes, no, on and off"),
        ("log", 1, "found 1, expected true or false"),
        ("loss", 3, "found 3, expected a loss or a mapping"),
        ("loss", "mes", "found 'mes', expected a loss or a mapping"),
        ("loss", {"weight": -1}, "loss.weight: found -1, expected a number of at least 0"),
        ("loss", "crps", "'crps' is refused: ensembles are not there yet"),
        ("elements", [1, "Xx"], "elements.1: found 'Xx', expected an atomic number"),
        ("elements", [1, 0], "elements.1: found 0, expected an atomic number"),
        ("elements", [6, "C"], "elements.1: the element is named twice"),
        ("wrong", 1, "unknown key, known here: batch_size, elements, kind, log, loss, name, rate"),
    ],
)
def test_a_fault_says_what_was_found_and_expected(key, value, message):
    (fault,) = _fault_lines({"name": "x", key: value})
    assert message in fault


def test_faults_name_lines_and_flags_in_the_order_of_the_file(tmp_path):
    path = tmp_path / "options.yaml"
    path.write_text("rate: 2\nname: x\nkind: sgd\n")
    loaded = load_options(path, ["kind=adan", "batch_size=0"])
    with pytest.raises(OptionsError) as error:
        raise_faults(find_faults(loaded.values, SCHEMA), loaded.source, loaded.where)
    _, *faults = str(error.value).splitlines()
    assert [fault.split(":")[0].strip() for fault in faults] == [
        "rate (line 1)",
        "kind (-r kind=adan)",
        "batch_size (-r batch_size=0)",
    ]


def test_rules_of_ours_hold_in_referenced_schemas_too():
    referenced = {"urn:x": {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMA}}
    with pytest.raises(OptionsError, match="ensembles are not there yet"):
        check({"name": "x", "loss": "crps"}, {"$ref": "urn:x"}, "options.yaml", referenced)
    with pytest.raises(OptionsError, match=r"batch_sze: unknown key, did you mean 'batch_size'"):
        check({"name": "x", "batch_sze": 1}, {"$ref": "urn:x"}, "options.yaml", referenced)


def test_what_is_right_passes():
    check({"name": "x", "loss": {"weight": 0}, "rate": 1e-3, "elements": [1, "C"]}, SCHEMA, "x")


def test_symbols_are_those_of_ase():
    from ase.data import chemical_symbols

    assert ["X", *SYMBOLS] == chemical_symbols
    assert [atomic_number(element) for element in ("H", "118", 6, "c", True, 119, "-1", 1.0)] == [
        *(1, 118, 6),
        *(None, None, None, None, None),
    ]


def test_import_is_light():
    code = (
        "import sys, mt_shared.options.options_file, mt_shared.options.hypers; print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "jsonschema", "numpy", "ase", "mt_shared.engine"}.isdisjoint(loaded)
