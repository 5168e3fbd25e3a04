"""Files of predictions: extended xyz, written as they come, or metatensor."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mt_core.evaluation.predictions import Predictions
from mt_core.evaluation.result_files import keep_existing
from mt_shared.data import Structures
from mt_shared.errors import OptionsError, UserError

log = logging.getLogger("mt.eval")

XYZ = (".xyz", ".extxyz")
METATENSOR = ".mts"


class Writer(Protocol):
    """Takes the predictions of one batch after the other; ``files`` is what it has written."""

    files: list[Path]

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None: ...

    def close(self) -> None: ...

    def discard(self) -> None: ...


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
    writer: Writer = NoWriter()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = MetatensorWriter(path) if path.suffix == METATENSOR else XyzWriter(path)
        yield writer
        writer.close()
        for file in writer.files:
            said = keep_existing(file)
            os.replace(partial(file), file)
            if said is not None:
                log.info(said)
    except OSError as error:
        raise UserError(
            f"cannot write '{path}': {error.strerror or error}; choose another file"
        ) from error
    finally:
        writer.discard()


def plain_name(name: str) -> str:
    """A target's name for files: extended xyz reads ``:`` and ``/`` as signs of its own."""
    return name.replace("::", "_").replace("/", "_")


def partial(path: Path) -> Path:
    """Where a file is written before it is whole."""
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")


def _remove_partial(files: list[Path]) -> None:
    for file in files:
        partial(file).unlink(missing_ok=True)


class NoWriter:
    """For predictions that are only compared."""

    def __init__(self) -> None:
        self.files: list[Path] = []

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def discard(self) -> None:
        """Nothing."""


class XyzWriter:
    """Extended xyz through ASE: energy, forces and stress under the names that ASE reads back."""

    def __init__(self, path: Path):
        self.files = [path]
        self._file = partial(path).open("w", encoding="utf-8")

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None:
        from ase.io import write

        write(self._file, list(_images(structures, predictions)), format="extxyz")

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        # closing writes what is buffered, which a full disk refuses
        with suppress(OSError):
            self._file.close()
        _remove_partial(self.files)


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
        self._num_systems = 0

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None:
        for name, prediction in predictions.items():
            part = Part(self._num_systems, structures, prediction)
            self._parts.setdefault(name, []).append(part)
        self._num_systems += structures.num_systems

    def close(self) -> None:
        for name, of_output in self._parts.items():
            file = self._path.with_name(f"{self._path.stem}_{plain_name(name)}{METATENSOR}")
            self.files.append(file)
            # in memory first: of a full disk metatensor would say so in no error of Python's
            content = _tensor_map(name, of_output).save_buffer()
            partial(file).write_bytes(content.numpy().tobytes())

    def discard(self) -> None:
        _remove_partial(self.files)


def _tensor_map(name: str, parts: list[Part]) -> Any:
    """One output as a TensorMap, forces and stress as its gradients (dE/dr, dE/dstrain)."""
    import torch
    from metatensor.torch import Labels, TensorBlock, TensorMap

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
    if parts[0].prediction.forces is not None:
        forces = np.concatenate([part.prediction.forces for part in parts])
        labels = _labels(["sample", "system", "atom"], row, systems[row], atom)
        _add_gradient(block, "positions", -forces, labels, ["xyz"])
    strain = np.concatenate([_strain_gradient(part) for part in parts])
    found = np.flatnonzero(np.isfinite(strain).all(axis=(1, 2)))
    if len(found):
        labels = _labels(["sample"], found)
        _add_gradient(block, "strain", strain[found], labels, ["xyz_1", "xyz_2"])
    return TensorMap(Labels.single(), [block])


def _strain_gradient(part: Part) -> np.ndarray:
    """(S, 3, 3) stress times volume, NaN where there is no stress."""
    if part.prediction.stress is None:
        return np.full((part.structures.num_systems, 3, 3), np.nan)
    return part.prediction.stress * part.structures.volumes[:, None, None]


def _labels(names: list[str], *columns: np.ndarray) -> Any:
    import torch
    from metatensor.torch import Labels

    return Labels(names, torch.tensor(np.stack(columns, axis=1), dtype=torch.int32))


def _add_gradient(
    block: Any, parameter: str, values: np.ndarray, samples: Any, components: list[str]
) -> None:
    import torch
    from metatensor.torch import Labels, TensorBlock

    axes = [Labels.range(name, 3) for name in components]
    gradient = TensorBlock(torch.tensor(values[..., None]), samples, axes, block.properties)
    block.add_gradient(parameter, gradient)


def _images(structures: Structures, predictions: dict[str, Predictions]) -> Iterator[Any]:
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    for system in range(structures.num_systems):
        rows = slice(structures.offsets[system], structures.offsets[system + 1])
        atoms = Atoms(
            numbers=structures.types[rows],
            positions=structures.positions[rows],
            cell=structures.cells[system],
            pbc=structures.pbc[system],
        )
        results: dict[str, Any] = {}
        for name, prediction in predictions.items():
            _add(atoms, results, name, prediction, system, rows)
        if results:
            atoms.calc = SinglePointCalculator(atoms, **results)
        yield atoms


def _add(
    atoms: Any,
    results: dict[str, Any],
    name: str,
    prediction: Predictions,
    system: int,
    rows: slice,
) -> None:
    """Give one output to the structure; only the plain ``energy`` is the calculator's."""
    name = plain_name(name)
    stress = None
    if prediction.stress is not None and np.isfinite(prediction.stress[system]).all():
        stress = prediction.stress[system]
    if name == "energy":
        results["energy"] = float(prediction.values[system, 0])
        if prediction.forces is not None:
            results["forces"] = prediction.forces[rows]
        if stress is not None:
            voigt = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
            results["stress"] = np.array([(stress[i, j] + stress[j, i]) / 2 for i, j in voigt])
        return
    if prediction.per_atom:
        atoms.arrays[name] = _squeezed(prediction.values[rows])
    else:
        atoms.info[name] = _squeezed(prediction.values[system])
    if prediction.forces is not None:
        atoms.arrays[f"{name}_forces"] = prediction.forces[rows]
    if stress is not None:
        atoms.info[f"{name}_stress"] = stress


def _squeezed(values: np.ndarray) -> Any:
    """Without the axis of sub-targets where there is one alone."""
    return values[..., 0] if values.shape[-1] == 1 else values
