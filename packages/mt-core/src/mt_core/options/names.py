"""Names of targets and inputs: which there can be, and what files of predictions call them."""

import re
import unicodedata

_WORD = r"[A-Za-z0-9_-]+"
_NAME = re.compile(rf"{_WORD}(::{_WORD})*(/{_WORD})?")

# beside the values of an energy, in a file of predictions
_DERIVATIVES = ("forces", "stress")


def name_fault(name: str, has_key: bool) -> str | None:
    """Why a name cannot be that of an output or an input of an exported model, or None.

    What TorchScript, metatomic, metatensor and extended xyz all read is less than what YAML can
    write: it is refused here, and not when a training is over.

    :param has_key: whether the options say what the file calls it
    """
    if _NAME.fullmatch(name):
        if "::aux::" in name:
            return "'::aux::' marks outputs of a model that are no targets: leave it out"
        return None
    key = "" if has_key else f", with 'key: {name}' for what the file calls it"
    return (
        "a name is made of the letters a to z, digits, - and _ (and may end in /VARIANT): write "
        f"'{_spelled(name)}'{key}"
    )


def _spelled(name: str) -> str:
    """The nearest name that there can be."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    front, _, variant = letters.partition("/")
    words = [re.sub(r"[^A-Za-z0-9_-]+", "_", word).strip("_") for word in front.split("::")]
    variant = re.sub(r"[^A-Za-z0-9_-]+", "_", variant).strip("_")
    domain, *others = [word for word in words if word]
    if not others and name.startswith(f"{domain}::"):
        # of a name in other letters nothing is left
        others, variant = [variant or "my_name"], ""
    return "::".join([domain, *others]) + (f"/{variant}" if variant else "")


def plain_name(name: str) -> str:
    """A target's name for files: extended xyz reads ``:`` and ``/`` as signs of its own."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)


def same_column(name: str, other: str) -> str | None:
    """What both of two targets would be called in a file of predictions, if anything."""
    names = [plain_name(name), plain_name(other)]
    columns = [{each, *(f"{each}_{word}" for word in _DERIVATIVES)} for each in names]
    return next((each for each, of in zip(names, reversed(columns)) if each in of), None)
