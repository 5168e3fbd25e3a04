"""Units, as metatomic knows them."""

import pytest

from mt_shared.data.units import _QUANTITIES, check_unit, conversion
from mt_shared.errors import DataError


@pytest.mark.parametrize(
    ("unit", "quantity"),
    [
        ("eV", "energy"),
        ("kcal/mol", "energy"),
        ("angstrom", "length"),
        ("Angstrom", "length"),
        ("bohr", "length"),
        ("eV/A^3", "pressure"),
        ("D", "dipole"),
        ("e*A^2", "something of my own"),
        ("A/ps", ""),
    ],
)
def test_units_that_are_known(unit, quantity):
    assert check_unit(unit, quantity) is None


@pytest.mark.parametrize("unit", ["", None])
def test_a_missing_unit_is_a_note(unit):
    assert "no unit is given for energy" in check_unit(unit, "energy")


def test_an_unknown_unit_names_those_of_its_quantity():
    with pytest.raises(DataError, match=r"unknown unit 'eVolt'.*known are eV, meV, Hartree"):
        check_unit("eVolt", "energy")


def test_a_unit_of_another_quantity():
    with pytest.raises(DataError, match=r"the unit 'A' of energy cannot be used: dimension"):
        check_unit("A", "energy")


def test_an_unknown_unit_of_any_quantity():
    with pytest.raises(DataError, match="unknown unit 'furlong'"):
        check_unit("furlong", "")


def test_conversion():
    assert conversion("eV", "meV") == pytest.approx(1000.0)
    assert conversion("eV/A^3", "GPa") == pytest.approx(160.2176634)
    with pytest.raises(DataError, match="dimension mismatch"):
        conversion("eV", "A")


@pytest.mark.parametrize("quantity", _QUANTITIES)
def test_every_unit_that_errors_suggest_is_known(quantity):
    suggested = _QUANTITIES[quantity][1].split(", ")
    for unit in suggested:
        assert check_unit(unit.split(" (")[0], quantity) is None
