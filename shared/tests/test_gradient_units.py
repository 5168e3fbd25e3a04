"""Forces, stress and virial in units of their own, converted to those of energy and lengths."""

from dataclasses import replace

import ase.io
import ase.units
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from mt_shared.data import check_unit, gradient_factor, label_table, read_dataset
from mt_shared.errors import DataError
from mt_shared.options import DatasetSpec, GradientSpec, SystemsSpec, TargetSpec

ATOMIC_FORCE = ase.units.Hartree / ase.units.Bohr
KBAR = 1e8 * ase.units.Pascal


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Copper with its labels in the units of several codes."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(3):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, rng=rng)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        stress = atoms.get_stress(voigt=False)
        atoms.calc = None
        atoms.info["E"] = energy
        atoms.arrays |= {"eV_A": forces, "Ha_bohr": forces / ATOMIC_FORCE}
        atoms.info |= {"s": stress, "GPa": stress / ase.units.GPa, "kbar": stress / KBAR}
        virial = -stress * atoms.get_volume()
        atoms.info |= {"v": virial, "kcal": virial / (ase.units.kcal / ase.units.mol)}
        frames.append(atoms)
    path = tmp_path_factory.mktemp("units") / "cu.xyz"
    ase.io.write(path, frames, format="extxyz")
    return path


def read(path, kind, key, unit="", energy_unit="eV", length_unit="angstrom"):
    gradient = GradientSpec(kind, key, str(path), unit=unit)
    target = TargetSpec(
        "energy", "E", str(path), quantity="energy", unit=energy_unit, gradients=(gradient,)
    )
    dataset = read_dataset(DatasetSpec(SystemsSpec(str(path), length_unit=length_unit), (target,)))
    (part,) = dataset.labels["energy"].gradients.values()
    return dataset, part


@pytest.mark.parametrize(
    ("kind", "plain", "key", "unit"),
    [
        ("forces", "eV_A", "Ha_bohr", "Hartree/bohr"),
        ("forces", "eV_A", "eV_A", "eV/A"),
        ("stress", "s", "GPa", "GPa"),
        ("stress", "s", "kbar", "kbar"),
        ("stress", "s", "kbar", "kBar"),
        ("virial", "v", "kcal", "kcal/mol"),
    ],
)
def test_labels_are_converted_to_the_energy_and_the_lengths(path, kind, plain, key, unit):
    expected_data, expected = read(path, kind, plain)
    dataset, found = read(path, kind, key, unit)
    # extended xyz has eight decimals in its columns
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    # the table shows what will be learnt
    tables = [label_table({"training": [data]}).rows[1] for data in (dataset, expected_data)]
    assert tables[0].unit == tables[1].unit
    assert tables[0].max == pytest.approx(tables[1].max, abs=1e-6)


def test_the_unit_of_the_labels_is_that_of_energy_and_lengths_whatever_these_are(path):
    _, expected = read(path, "forces", "eV_A")
    _, found = read(path, "forces", "Ha_bohr", "Hartree/bohr", "meV", "nm")
    np.testing.assert_allclose(found, expected * 1e4, rtol=1e-6, atol=1e-2)


REFUSED = {
    ("forces", "Hartree/bohr", "", "A"): "the unit of their energy is not given",
    ("forces", "Hartree/bohr", "eV", None): "length_unit is not given",
    ("stress", "GPa", "eV", None): "length_unit is not given",
    ("forces", "Hartree", "eV", "A"): "of force cannot be used: dimension mismatch",
    ("forces", "Ha/bohr", "eV", "A"): "unknown unit 'Ha'.*known are .*Hartree/bohr",
    ("stress", "eV/A", "eV", "A"): "of pressure cannot be used: dimension mismatch.*GPa",
    ("virial", "kbar", "eV", "A"): "of energy cannot be used: dimension mismatch",
    ("forces", "kcal/A", "eV", "A"): "write 'kcal/mol/A'",
}


@pytest.mark.parametrize("case", REFUSED)
def test_units_that_cannot_be_are_refused(case):
    kind, unit, energy_unit, length_unit = case
    with pytest.raises(DataError, match=REFUSED[case]):
        gradient_factor(GradientSpec(kind, kind, "a.xyz", unit=unit), energy_unit, length_unit)


def test_a_virial_needs_no_length_and_no_unit_needs_nothing():
    virial = GradientSpec("virial", "v", "a.xyz", unit="meV")
    assert gradient_factor(virial, "eV", None) == pytest.approx(1e-3)
    assert gradient_factor(replace(virial, unit=""), "", None) == 1.0


@pytest.mark.parametrize(
    ("unit", "meant"), [("kcal", "kcal/mol"), ("kJ", "kJ/mol"), ("kcal/A", "kcal/mol/A")]
)
def test_a_kilocalorie_for_each_structure_is_questioned(unit, meant):
    for quantity in ("energy", "force", ""):
        with pytest.raises(DataError, match=f"probably meant: write '{meant}'"):
            check_unit(unit, quantity)


@pytest.mark.parametrize("unit", ["kcal/mol", "kJ*mol^-1", "kJ/(mol)"])
def test_those_of_a_mole_are_not(unit):
    assert check_unit(unit, "energy") is None
