"""What an architecture can do, in words for people: for ``mt list`` and ``mt describe``."""

from typing import Any

from mt_shared.options import WORD_OF

Capabilities = dict[str, Any]

_SYMMETRIES = {
    "exact": "exact",
    "augmentation": "approximate, by augmentation of the training data",
    "none": "none",
}
_LOCALITY = {
    "local": "an atom sees its neighbors within the cutoff",
    "message_passing": "an atom sees several cutoffs away, by message passing",
    "global": "an atom sees the whole structure",
}
_EXTENSIONS = {
    True: "need a folder of compiled extensions beside them, for one minor version of torch alone",
    False: "are one file",
}
_FIT = {"gradient": "by gradient descent over epochs", "closed_form": "in closed form"}


def targets_of(able: Capabilities) -> str:
    """``scalar: system, atom``: the types of targets, each with what can have one."""
    kinds = able["targets"].items()
    words = "; ".join(f"{kind}: {', '.join(samples)}" for kind, samples in kinds)
    return f"{words} ({', '.join(able['quantities'])} alone)" if "quantities" in able else words


def gradients_of(able: Capabilities) -> str:
    """``forces, stress``, or ``none``."""
    return _listed([WORD_OF[gradient] for gradient in able["gradients"]])


def inputs_of(able: Capabilities) -> str:
    """The inputs that it can read, or ``none``."""
    return _listed(able["inputs"])


def finetuning_of(able: Capabilities) -> str:
    """The methods of fine-tuning, or ``none``."""
    return _listed(able["finetuning"])


def capability_words(able: Capabilities) -> dict[str, str]:
    """Every capability: what it is about, and what holds of it."""
    return {
        "targets": targets_of(able),
        "several targets": _yes_or_no(able["multiple_targets"]),
        "means over atoms": _yes_or_no(able["intensive"]),
        "inputs": inputs_of(able),
        "gradients": gradients_of(able),
        **{symmetry: _SYMMETRIES[kept] for symmetry, kept in able["symmetries"].items()},
        "locality": _LOCALITY[able["locality"]],
        "long range": _yes_or_no(able["long_range"]),
        "training": _FIT[able["fit"]],
        "fine-tuning": finetuning_of(able),
        "several processes": _yes_or_no(able["distributed"]),
        "devices": _listed(able["devices"]),
        "dtypes": _listed(able["dtypes"]),
        "exported models": _EXTENSIONS[able["extensions"]],
    }


def _yes_or_no(value: Any) -> str:
    return "yes" if value else "no"


def _listed(items: list[str]) -> str:
    return ", ".join(items) or "none"
