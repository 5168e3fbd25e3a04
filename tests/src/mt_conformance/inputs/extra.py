"""What a model may read of structures and atoms beside positions and types (``extra_data``).

The suite gives an architecture every input that its capabilities name, in files, in options, to
models in this process and to engines. Where a test is not about them, each has the value that an
engine assumes which is told nothing, so that what adds up without inputs does so with them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import ase
import numpy as np

from mt_conformance.inputs.data import as_structure, with_column, with_word
from mt_shared.contract import TargetInfo, target_type_from_dict
from mt_shared.data import TargetLabels
from mt_shared.options import STANDARD_INPUTS, StandardInput


@dataclass(frozen=True)
class ExtraInput:
    """An input and where a structure of ASE has it: ``values`` are (1, ..., 1) or (A, ..., 1)."""

    info: TargetInfo
    values: Callable[[ase.Atoms], np.ndarray]


def _in_info(name: str, default: float) -> Callable[[ase.Atoms], np.ndarray]:
    return lambda atoms: np.array([[float(atoms.info.get(name, default))]])


_VALUES: dict[str, Callable[[ase.Atoms], np.ndarray]] = {
    "charge": _in_info("charge", 0.0),
    "spin_multiplicity": _in_info("spin_multiplicity", 1.0),
    "mass": lambda atoms: atoms.get_masses()[:, None],
    "momentum": lambda atoms: atoms.get_momenta()[:, :, None],
    "velocity": lambda atoms: atoms.get_velocities()[:, :, None],
}


def extra_inputs(names: Iterable[str]) -> dict[str, ExtraInput]:
    """The inputs of these names; one that is no engine's is a number of a structure."""
    return {
        name: ExtraInput(_standard_info(STANDARD_INPUTS[name]), _VALUES[name])
        if name in STANDARD_INPUTS
        else ExtraInput(TargetInfo(), _in_info(name, 0.0))
        for name in names
    }


def _standard_info(standard: StandardInput) -> TargetInfo:
    kind = target_type_from_dict(standard.type)
    return TargetInfo(unit=standard.unit, sample_kind=standard.sample_kinds[0], type=kind)


def as_labels(
    inputs: Mapping[str, ExtraInput], structures: Sequence[ase.Atoms]
) -> dict[str, TargetLabels]:
    """The inputs of some structures, as a data set has them."""
    return {
        name: TargetLabels(
            np.concatenate([each.values(atoms) for atoms in structures]),
            sample_kind=each.info.sample_kind,
            unit=each.info.unit,
            type=each.info.type,
        )
        for name, each in inputs.items()
    }


def key_of(name: str) -> str:
    """The key of an input in a file of extended xyz."""
    return name.replace("::", "_")


def frames_with(
    frames: Sequence[str],
    inputs: Mapping[str, ExtraInput],
    structures: Sequence[ase.Atoms] | None = None,
) -> list[str]:
    """Frames of extended xyz, to which each input is added.

    :param structures: have the inputs; by default the usual ones are added
    """
    if not inputs:
        return list(frames)
    if structures is None:
        structures = [as_structure(frame) for frame in frames]
    return [_frame_with(frame, inputs, atoms) for frame, atoms in zip(frames, structures)]


def _frame_with(frame: str, inputs: Mapping[str, ExtraInput], atoms: ase.Atoms) -> str:
    for name, each in inputs.items():
        values, key = each.values(atoms), key_of(name)
        if each.info.per_atom:
            rows = [[f"{x:.8f}" for x in row] for row in values.reshape(len(atoms), -1)]
            frame = with_column(frame, key, rows)
        else:
            frame = with_word(frame, key, f"{values.item():.8f}")
    return frame
