"""Units, as metatomic knows them."""

import re

from metatomic.torch import unit_conversion_factor

from mt_shared.errors import DataError
from mt_shared.options import GradientSpec, gradient_unit

# The unit that stands for the dimension of a quantity, and the names to suggest for it.
_QUANTITIES: dict[str, tuple[str, str]] = {
    "length": ("A", "A (angstrom), bohr, nm, m, cm, mm, um"),
    "energy": ("eV", "eV, meV, Hartree, Ry, kJ/mol, kcal/mol, J"),
    "force": ("eV/A", "eV/A, meV/A, Hartree/bohr, kJ/mol/A, kcal/mol/A"),
    "pressure": ("eV/A^3", "eV/A^3, GPa, MPa, kPa, Pa, bar, atm, Hartree/bohr^3"),
    "charge": ("e", "e, C (coulomb)"),
    "dipole": ("e*A", "D (debye), e*A, e*bohr"),
    "mass": ("u", "u (dalton), kg, g, electron_mass"),
    "momentum": ("u*A/fs", "u*A/fs, (eV*u)^(1/2)"),
    "velocity": ("A/fs", "A/fs, A/ps, bohr/fs, nm/ps"),
}
_ANY_QUANTITY = (
    "products, ratios and powers of A, bohr, nm, eV, Hartree, kJ, kcal, mol, fs, u, e, D"
)
# What the quantity of a gradient is called above.
_QUANTITY_OF = {"forces": "force", "stress": "pressure", "virial": "energy"}
# Units of files that metatomic does not know; none goes into a model.
_OF_FILES = {"kbar": "(10^3*bar)"}
_OF_A_MOLE = re.compile(r"\b(kcal|kj)\b", re.IGNORECASE)


def check_unit(unit: str | None, quantity: str) -> str | None:
    """Refuse a unit that metatomic does not know, or that does not fit the quantity.

    :param quantity: ``energy``, ``length`` and so on; any other word leaves the dimension open
    :return: a note for the user where no unit is given, otherwise None
    """
    if not unit:
        what = quantity or "a target"
        return f"no unit is given for {what}: users of the model cannot convert it"
    reference, known = _QUANTITIES.get(quantity, (unit, _ANY_QUANTITY))
    # nobody has a kilocalorie for each structure, and metatomic would convert it all the same
    if _OF_A_MOLE.search(unit) and not re.search(r"\bmol", unit, re.IGNORECASE):
        meant = _OF_A_MOLE.sub(r"\1/mol", unit)
        raise DataError(
            f"the unit '{unit}' is 6e23 times '{meant}', which is probably meant: write '{meant}'"
        )
    try:
        conversion(unit, reference)
    except DataError as error:
        of_quantity = f" of {quantity}" if quantity else ""
        raise DataError(
            f"the unit '{unit}'{of_quantity} cannot be used: {error}; known are {known}"
        ) from error
    return None


def gradient_factor(gradient: GradientSpec, unit: str, length_unit: str | None) -> float:
    """What turns the numbers of a file into forces, stress or virial of an energy in ``unit``.

    :raises DataError: for a unit that is unknown or does not fit, or where nothing is known of the
        energy or the lengths
    """
    if not gradient.unit:
        return 1.0
    if not unit or (not length_unit and gradient.kind != "virial"):
        lacking = "the unit of their energy" if not unit else "length_unit"
        raise DataError(
            f"the {gradient.kind} are in '{gradient.unit}', and cannot be converted: {lacking} is "
            "not given in the options"
        )
    known = gradient.unit
    for name, meaning in _OF_FILES.items():
        known = re.sub(rf"\b{name}\b", meaning, known, flags=re.IGNORECASE)
    check_unit(known, _QUANTITY_OF[gradient.kind])
    return conversion(known, gradient_unit(gradient.kind, unit, length_unit or ""))


def conversion(from_unit: str, to_unit: str) -> float:
    """The factor that turns numbers in one unit into numbers in the other."""
    try:
        return float(unit_conversion_factor(from_unit, to_unit))
    except (ValueError, RuntimeError) as error:
        raise DataError(str(error).splitlines()[0]) from error
