"""Chemical symbols and atomic numbers, without an import of ASE."""

SYMBOLS = tuple(
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb "
    "Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm "
    "Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og".split()
)
"""The symbol of atomic number Z at index Z - 1."""

ATOMIC_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS, start=1)}


def atomic_number(element: object) -> int | None:
    """The atomic number that ``6``, ``"6"`` or ``"C"`` stands for, or None if it is no element."""
    if isinstance(element, str):
        if element in ATOMIC_NUMBERS:
            return ATOMIC_NUMBERS[element]
        element = int(element) if element.isascii() and element.isdigit() else None
    if isinstance(element, bool) or not isinstance(element, int):
        return None
    return element if 1 <= element <= len(SYMBOLS) else None
