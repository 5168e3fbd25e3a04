"""Files of predictions: extended xyz, written as they come, or metatensor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mt_core.predictions import Predictions
from mt_shared.data.structures import Structures
from mt_shared.errors import OptionsError, UserError

XYZ = (".xyz", ".extxyz")
METATENSOR = ".mts"


class Writer(Protocol):
    """Takes the predictions of one batch after the other; ``files`` is what it has written."""

    files: list[Path]

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None: ...

    def close(self) -> None: ...


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
    try:
        writer = MetatensorWriter(path) if path.suffix == METATENSOR else XyzWriter(path)
        yield writer
        writer.close()
        for file in writer.files:
            os.replace(partial(file), file)
    except OSError as error:
        raise UserError(
            f"cannot write '{path}': {error.strerror or error}; choose another file"
        ) from error
    finally:
        for file in writer.files if "writer" in locals() else []:
            partial(file).unlink(missing_ok=True)


def partial(path: Path) -> Path:
    """Where a file is written before it is whole."""
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")


class NoWriter:
    """For predictions that are only compared."""

    def __init__(self) -> None:
        self.files: list[Path] = []

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None:
        """Nothing."""

    def close(self) -> None:
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


class MetatensorWriter:
    """A file for each output, ``out_energy.mts`` for ``out.mts``; predictions stay in memory."""

    def __init__(self, path: Path):
        self.files: list[Path] = []
        self._path = path
        self._parts: dict[str, list[Predictions]] = {}
        self._counts: list[np.ndarray] = []

    def write(self, structures: Structures, predictions: dict[str, Predictions]) -> None:
        self._counts.append(structures.atoms_per_system)
        for name, prediction in predictions.items():
            self._parts.setdefault(name, []).append(prediction)

    def close(self) -> None:
        counts = np.concatenate([*self._counts, np.zeros(0, dtype=np.int64)])
        for name, parts in self._parts.items():
            word = name.replace("::", "_").replace("/", "_")
            file = self._path.with_name(f"{self._path.stem}_{word}{METATENSOR}")
            self.files.append(file)
            _tensor_map(name, parts, counts).save(str(partial(file)))


def _tensor_map(name: str, parts: list[Predictions], counts: np.ndarray) -> Any:
    """One output as a TensorMap, forces and stress as its gradients (dE/dr, dE/dstrain)."""
    import torch
    from metatensor.torch import Labels, TensorBlock, TensorMap

    system = np.repeat(np.arange(len(counts)), counts)
    atom = np.arange(len(system)) - np.repeat(np.cumsum(counts) - counts, counts)
    pairs = torch.tensor(np.stack([system, atom], axis=1), dtype=torch.int32)
    values = torch.tensor(np.concatenate([part.values for part in parts]))
    if parts[0].per_atom:
        samples = Labels(["system", "atom"], pairs)
    else:
        samples = Labels.range("system", len(values))
    block = TensorBlock(values, samples, [], Labels.range(name.split("::")[-1], values.shape[-1]))
    if parts[0].forces is not None:
        gradient = -np.concatenate([part.forces for part in parts])
        labels = Labels(["sample", "system", "atom"], torch.cat([pairs[:, :1], pairs], dim=1))
        components = [Labels.range("xyz", 3)]
        block.add_gradient(
            "positions",
            TensorBlock(torch.tensor(gradient[:, :, None]), labels, components, block.properties),
        )
    return TensorMap(Labels.single(), [block])


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
