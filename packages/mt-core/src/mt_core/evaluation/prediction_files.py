"""Files of predictions: extended xyz, written as they come, or metatensor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.stress import full_3x3_to_voigt_6_stress
from metatensor.torch import Labels, TensorBlock, TensorMap

from mt_core.evaluation.predictions import Predictions
from mt_core.evaluation.result_files import result_file
from mt_shared.data import Structures
from mt_shared.errors import OptionsError, UserError

XYZ = (".xyz", ".extxyz")
METATENSOR = ".mts"


class Writer(Protocol):
    """Takes the predictions of one batch after the other; ``files`` is what it writes."""

    files: list[Path]

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None: ...


@contextmanager
def open_writer(output: str | Path | None) -> Iterator[Writer]:
    """The writer for a file name; what it writes appears under its name when it is whole.

    :raises OptionsError: for an ending that stands for no format
    :raises UserError: when the file cannot be written
    """
    if output is None:
        yield NoWriter()
        return
    path = Path(output)
    if path.suffix not in (*XYZ, METATENSOR):
        raise OptionsError(
            f"'{path}' has the ending '{path.suffix}'; predictions are written as extended xyz "
            "(.xyz, .extxyz) or metatensor (.mts)"
        )
    if path.is_dir():
        raise OptionsError(f"'{path}' is a folder; name a file for the predictions")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (_open_metatensor if path.suffix == METATENSOR else _open_xyz)(path) as writer:
            yield writer
    except OSError as error:
        raise UserError(
            f"cannot write '{path}': {error.strerror or error}; choose another file"
        ) from error


def plain_name(name: str) -> str:
    """A target's name for files: extended xyz reads ``:`` and ``/`` as signs of its own."""
    return name.replace("::", "_").replace("/", "_")


class NoWriter:
    """For predictions that are only compared."""

    def __init__(self) -> None:
        self.files: list[Path] = []

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None:
        """Nothing."""


def _stresses(structures: Structures, prediction: Predictions) -> np.ndarray:
    """(S, 3, 3) in ASE's sign, NaN for structures without a volume: they have no stress."""
    return prediction.gradients["strain"] / structures.volumes[:, None, None]


# ---- extended xyz


@contextmanager
def _open_xyz(path: Path) -> Iterator[Writer]:
    with result_file(path) as partial:
        file = partial.open("w", encoding="utf-8")
        try:
            yield XyzWriter(path, file)
            # Closing writes what is buffered, which a full disk refuses: that is an error here, ...
            file.close()
        finally:
            # ... and after another error the second one would only hide the first
            with suppress(OSError):
                file.close()


class XyzWriter:
    """Extended xyz through ASE: energy, forces and stress under the names that ASE reads back."""

    def __init__(self, path: Path, file: IO[str]):
        self.files = [path]
        self._file = file

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None:
        write(self._file, list(_images(structures, predictions)), format="extxyz")


def _images(structures: Structures, predictions: dict[str, Predictions]) -> Iterator[Atoms]:
    stresses = {
        name: _stresses(structures, prediction)
        for name, prediction in predictions.items()
        if prediction.gradients
    }
    for system in range(structures.num_systems):
        rows = slice(structures.offsets[system], structures.offsets[system + 1])
        atoms = Atoms(
            numbers=structures.types[rows],
            positions=structures.positions[rows],
            cell=structures.cells[system],
            pbc=structures.pbc[system],
        )
        for name, prediction in predictions.items():
            stress = stresses[name][system] if name in stresses else None
            _add(atoms, plain_name(name), prediction, stress, system, rows)
        yield atoms


def _add(
    atoms: Atoms,
    name: str,
    prediction: Predictions,
    stress: np.ndarray | None,
    system: int,
    rows: slice,
) -> None:
    """Give one output to a structure; the plain ``energy`` alone is what ASE calls its results."""
    values = prediction.values[rows if prediction.per_atom else system]
    forces = -prediction.gradients["positions"][rows] if prediction.gradients else None
    if stress is not None and not np.isfinite(stress).all():
        stress = None
    if name == "energy":
        results: dict[str, Any] = {"energy": float(values[0])}
        if forces is not None:
            results["forces"] = forces
        if stress is not None:
            results["stress"] = full_3x3_to_voigt_6_stress(stress)
        atoms.calc = SinglePointCalculator(atoms, **results)
        return
    # without the axis of sub-targets where there is one alone
    values = values[..., 0] if values.shape[-1] == 1 else values
    (atoms.arrays if prediction.per_atom else atoms.info)[name] = values
    if forces is not None:
        atoms.arrays[f"{name}_forces"] = forces
    if stress is not None:
        atoms.info[f"{name}_stress"] = stress


# ---- metatensor


@dataclass(frozen=True)
class Part:
    """One output of one batch, of structures that are numbered from ``first`` on."""

    first: int
    structures: Structures
    prediction: Predictions


class MetatensorWriter:
    """A file for each output, ``out_energy.mts`` for ``out.mts``; predictions stay in memory."""

    def __init__(self, path: Path):
        self.files: list[Path] = []
        self._path = path
        self._parts: dict[str, list[Part]] = {}
        self._num_structures = 0

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None:
        # the numbers count on over all batches: an output that not every file asks for has gaps
        for name, prediction in predictions.items():
            part = Part(self._num_structures, structures, prediction)
            self._parts.setdefault(name, []).append(part)
        self._num_structures += structures.num_systems

    def write_files(self) -> None:
        # renamed together at the end: none of the files appears, or all do
        with ExitStack() as whole:
            for name, parts in self._parts.items():
                file = self._path.with_name(f"{self._path.stem}_{plain_name(name)}{METATENSOR}")
                self.files.append(file)
                partial = whole.enter_context(result_file(file))
                # in memory first: of a full disk metatensor would say so in no error of Python's
                partial.write_bytes(_tensor_map(name, parts).save_buffer().numpy().tobytes())


@contextmanager
def _open_metatensor(path: Path) -> Iterator[Writer]:
    writer = MetatensorWriter(path)
    yield writer
    writer.write_files()


def _tensor_map(name: str, parts: list[Part]) -> TensorMap:
    """One output, with the derivatives by positions and strain as its gradients."""
    # samples are named by structure and atom; gradients also by the row of values they belong to
    systems = np.concatenate(
        [part.first + np.arange(part.structures.num_systems) for part in parts]
    )
    counts = np.concatenate([part.structures.atoms_per_system for part in parts])
    row = np.repeat(np.arange(len(systems)), counts)
    atom = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    values = torch.tensor(np.concatenate([part.prediction.values for part in parts]))
    if parts[0].prediction.per_atom:
        samples = _labels(["system", "atom"], systems[row], atom)
    else:
        samples = _labels(["system"], systems)
    properties = Labels.range(plain_name(name.split("::")[-1]), values.shape[-1])
    block = TensorBlock(values, samples, [], properties)
    if parts[0].prediction.gradients:
        positions, strain = (
            np.concatenate([part.prediction.gradients[gradient] for part in parts])
            for gradient in ("positions", "strain")
        )
        labels = _labels(["sample", "system", "atom"], row, systems[row], atom)
        _add_gradient(block, "positions", positions, labels, ["xyz"])
        stresses = np.concatenate([_stresses(part.structures, part.prediction) for part in parts])
        found = np.flatnonzero(np.isfinite(stresses).all(axis=(1, 2)))
        if len(found):
            labels = _labels(["sample"], found)
            _add_gradient(block, "strain", strain[found], labels, ["xyz_1", "xyz_2"])
    return TensorMap(Labels.single(), [block])


def _labels(names: list[str], *columns: np.ndarray) -> Labels:
    return Labels(names, torch.tensor(np.stack(columns, axis=1), dtype=torch.int32))


def _add_gradient(
    block: TensorBlock, parameter: str, values: np.ndarray, samples: Labels, components: list[str]
) -> None:
    axes = [Labels.range(name, 3) for name in components]
    gradient = TensorBlock(torch.tensor(values[..., None]), samples, axes, block.properties)
    block.add_gradient(parameter, gradient)
