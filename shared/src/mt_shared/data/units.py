"""Units, as metatomic knows them."""

from metatomic.torch import unit_conversion_factor

from mt_shared.errors import DataError

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


def check_unit(unit: str | None, quantity: str) -> str | None:
    """Refuse a unit that metatomic does not know, or that does not fit the quantity.

    :param quantity: ``energy``, ``length`` and so on; any other word leaves the dimension open
    :return: a note for the user where no unit is given, otherwise None
    """
    if not unit:
        what = quantity or "a target"
        return f"no unit is given for {what}: users of the model cannot convert it"
    reference, known = _QUANTITIES.get(quantity, (unit, _ANY_QUANTITY))
    try:
        conversion(unit, reference)
    except DataError as error:
        of_quantity = f" of {quantity}" if quantity else ""
        raise DataError(
            f"the unit '{unit}'{of_quantity} cannot be used: {error}; known are {known}"
        ) from error
    return None


def conversion(from_unit: str, to_unit: str) -> float:
    """The factor that turns numbers in one unit into numbers in the other."""
    try:
        return float(unit_conversion_factor(from_unit, to_unit))
    except (ValueError, RuntimeError) as error:
        raise DataError(str(error).splitlines()[0]) from error
