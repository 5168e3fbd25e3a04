"""Hypers that are lengths: defaults in angstrom, converted to the unit of the data."""

from types import SimpleNamespace

import pytest
from metatomic.torch import unit_conversion_factor

from mt_shared.options import (
    LENGTH_UNITS,
    describe_origins,
    dump_yaml,
    hyper_table,
    length_hypers,
    load_yaml,
    merge_hypers,
    resolve_hypers,
    schema_fault,
)

LENGTH = {"type": ["number", "null"], "unit": "length", "exclusiveMinimum": 0}
PROPERTIES = {
    "cutoff": {"type": "object", "properties": {"radius": LENGTH, "width": LENGTH}},
    "shells": {"type": "array", "items": {"type": "number"}, "unit": "length"},
    "smearing": {"anyOf": [LENGTH, {"const": "auto"}]},
    "layers": {"type": "integer"},
    "is_sharp": {"type": "boolean", "unit": "length"},
}
DEFAULTS = {
    "cutoff": {"radius": 5.0, "width": None},
    "shells": [1, 2.5],
    "smearing": 1.4,
    "layers": 3,
    "is_sharp": True,
}
ENTRY = SimpleNamespace(
    name="toy",
    default_hypers={"model": DEFAULTS, "training": {}},
    schema={
        "type": "object",
        "properties": {
            "model": {"type": "object", "additionalProperties": False, "properties": PROPERTIES},
            "training": {"type": "object"},
        },
    },
)


@pytest.mark.parametrize("unit", LENGTH_UNITS)
def test_units_are_those_of_metatomic(unit):
    assert unit_conversion_factor(unit, "angstrom") == pytest.approx(LENGTH_UNITS[unit], rel=1e-14)


def test_defaults_are_converted():
    model = merge_hypers(ENTRY, {}, "bohr").model
    assert model["cutoff"] == {"radius": 9.44863063, "width": None}
    assert model["shells"] == pytest.approx([1 / 0.5291772105448199, 2.5 / 0.5291772105448199])
    assert model["smearing"] == pytest.approx(1.4 / 0.5291772105448199)
    assert model["layers"] == 3 and model["is_sharp"] is True


@pytest.mark.parametrize("unit", ["angstrom", "A", "Angstrom", None, ""])
def test_in_angstrom_or_no_known_unit_they_are_as_they_are(unit):
    assert merge_hypers(ENTRY, {}, unit).model == DEFAULTS


def test_what_a_user_writes_is_in_the_unit_of_the_data_already():
    user = {"model": {"cutoff": {"width": 0.5}, "shells": [3.0]}}
    model = resolve_hypers(ENTRY, user, length_unit="nm").model
    assert model["cutoff"] == {"radius": 0.5, "width": 0.5}
    assert model["shells"] == [3.0] and model["smearing"] == pytest.approx(0.14)


def test_defaults_stay_as_they_are():
    merge_hypers(ENTRY, {}, "nm")
    assert ENTRY.default_hypers["model"]["cutoff"]["radius"] == 5.0


def test_without_a_schema_nothing_is_known_of_lengths():
    entry = SimpleNamespace(name="toy", default_hypers=ENTRY.default_hypers, schema=None)
    assert merge_hypers(entry, {}, "nm").model == DEFAULTS


def test_lengths_are_those_that_have_a_number():
    hypers = {"model": DEFAULTS}
    names = [".".join(map(str, path[1:])) for path in length_hypers(ENTRY, hypers)]
    assert names == ["cutoff.radius", "shells", "smearing"]


def test_the_table_of_hypers_has_the_unit():
    units = {hyper.name: hyper.unit for hyper in hyper_table(ENTRY)}
    assert units["model.cutoff.radius"] == units["model.smearing"] == "length"
    assert units["model.layers"] == units["model.cutoff"] == ""


def test_a_schema_may_have_no_other_unit():
    assert "length" in schema_fault({"properties": {"a": {"unit": "energy"}}}, {})
    assert schema_fault({"properties": {"a": {"unit": "length"}}}, {}) is None


def test_a_value_is_shown_with_its_unit():
    options = {"model": {"cutoff": {"radius": 0.5, "width": 0.1}, "layers": 3}}
    units = {("model", "cutoff", "radius"): "nm", ("model", "cutoff", "width"): "nm"}
    text = dump_yaml(options, units)
    assert "cutoff: {radius: 0.5, width: 0.1}  # radius in nm, width in nm\n" in text
    assert load_yaml(text, "options") == options
    origin = dict.fromkeys([*units, ("model", "layers")], "default")
    shown = describe_origins(options, origin, units)
    assert "0.5 nm" in shown and "3 nm" not in shown
