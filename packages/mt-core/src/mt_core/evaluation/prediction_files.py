"""Files of predictions: extended xyz, written as they come, or metatensor.

What of ASE has scipy behind it is imported where it writes: it takes as long as a tenth of the
start of a training, which imports this module too and writes no such file.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from metatensor.torch import Labels, TensorBlock, TensorMap

from mt_core.evaluation.predictions import Predictions
from mt_core.evaluation.result_files import result_file
from mt_core.options import plain_name
from mt_shared.data import Structures, short_name, tensor_map
from mt_shared.errors import OptionsError, UserError

XYZ = (".xyz", ".extxyz")
METATENSOR = ".mts"


@dataclass(frozen=True)
class Writer:
    """``write`` takes the predictions of one batch after the other; ``files`` is what it writes."""

    write: Callable[[Structures, dict[str, Predictions]], None]
    files: list[Path] = field(default_factory=list)


@contextmanager
def open_writer(output: str | Path | None) -> Iterator[Writer]:
    """The writer for a file name; what it writes appears under its name when it is whole."""
    if output is None:
        yield Writer(lambda structures, predictions: None)
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


def _stresses(structures: Structures, prediction: Predictions) -> np.ndarray:
    """(S, 3, 3) in ASE's sign, NaN for structures without a volume: they have no stress."""
    return prediction.gradients["strain"] / structures.volumes[:, None, None]


# ---- extended xyz


@contextmanager
def _open_xyz(path: Path) -> Iterator[Writer]:
    """Through ASE: energy, forces and stress under the names that it reads back."""
    from ase.io import write

    with result_file(path) as partial:
        file = partial.open("w", encoding="utf-8")

        def write_batch(structures: Structures, predictions: dict[str, Predictions]) -> None:
            write(file, list(_images(structures, predictions)), format="extxyz")

        try:
            yield Writer(write_batch, [path])
            # Closing writes what is buffered, which a full disk refuses: that is an error here, ...
            file.close()
        finally:
            # ... and after another error the second one would only hide the first
            with suppress(OSError):
                file.close()


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
            values = prediction.values[rows if prediction.per_atom else system]
            derivatives = {}
            if prediction.gradients:
                derivatives["forces"] = -prediction.gradients["positions"][rows]
                if np.isfinite(stresses[name][system]).all():
                    derivatives["stress"] = stresses[name][system]
            _add(atoms, plain_name(name), values, prediction.per_atom, derivatives)
        yield atoms


def _add(
    atoms: Atoms,
    name: str,
    values: np.ndarray,
    per_atom: bool,
    derivatives: dict[str, np.ndarray],
) -> None:
    """Give one output to a structure; the plain ``energy`` alone is what ASE calls its results.

    :param values: (A, ..., P) of atoms, (..., P) of a structure
    """
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.stress import full_3x3_to_voigt_6_stress

    is_number = (values.shape[1:] if per_atom else values.shape) == (1,)
    if name == "energy" and is_number and per_atom:
        atoms.calc = SinglePointCalculator(atoms, energies=values[:, 0])
        return
    if name == "energy" and is_number:
        if "stress" in derivatives:
            derivatives["stress"] = full_3x3_to_voigt_6_stress(derivatives["stress"])
        atoms.calc = SinglePointCalculator(atoms, energy=float(values[0]), **derivatives)
        return
    # without the axis of sub-targets where there is one alone; of atoms all numbers are in a row
    values = values[..., 0] if values.shape[-1] == 1 else values
    if per_atom:
        columns = values.reshape(len(values), -1)
        atoms.arrays[name] = columns[:, 0] if columns.shape[1] == 1 else columns
    else:
        atoms.info[name] = values
    for word, derivative in derivatives.items():
        (atoms.arrays if word == "forces" else atoms.info)[f"{name}_{word}"] = derivative


# ---- metatensor

Part = tuple[np.ndarray, Structures, Predictions]
"""One output of one batch, with the numbers of its structures."""


@contextmanager
def _open_metatensor(path: Path) -> Iterator[Writer]:
    """A file for each output, ``out_energy.mts`` for ``out.mts``; predictions stay in memory."""
    batches: list[tuple[Structures, dict[str, Predictions]]] = []
    writer = Writer(lambda structures, predictions: batches.append((structures, predictions)))
    yield writer
    # the numbers count on over all batches: an output that not every file asks for has gaps
    counts = [structures.num_systems for structures, _ in batches]
    numbers = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    parts: dict[str, list[Part]] = {}
    for systems, (structures, predictions) in zip(numbers, batches):
        for name, prediction in predictions.items():
            parts.setdefault(name, []).append((systems, structures, prediction))
    # renamed together at the end: none of the files appears, or all do
    with ExitStack() as whole:
        for name in parts:
            file = path.with_name(f"{path.stem}_{plain_name(name)}{METATENSOR}")
            writer.files.append(file)
            partial = whole.enter_context(result_file(file))
            # in memory first: of a full disk metatensor would say so in no error of Python's
            partial.write_bytes(_tensor_map(name, parts[name]).save_buffer().numpy().tobytes())


def _tensor_map(name: str, parts: list[Part]) -> TensorMap:
    """One output, with the derivatives by positions and strain as its gradients."""
    numbers, structures, predictions = zip(*parts, strict=True)
    # samples are named by structure and atom; gradients also by the row of values they belong to
    systems = np.concatenate(numbers)
    counts = np.concatenate([each.atoms_per_system for each in structures])
    row = np.repeat(np.arange(len(systems)), counts)
    atom = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    values = torch.tensor(np.concatenate([each.values for each in predictions]))
    if predictions[0].per_atom:
        samples = _labels(["system", "atom"], systems[row], atom)
    else:
        samples = _labels(["system"], systems)
    properties = short_name(name)
    tensors = tensor_map(values, samples, predictions[0].type, properties)
    blocks = [block.copy() for block in tensors.blocks()]
    if predictions[0].gradients:
        (block,) = blocks
        positions, strain = (
            np.concatenate([each.gradients[gradient] for each in predictions])
            for gradient in ("positions", "strain")
        )
        labels = _labels(["sample", "system", "atom"], row, systems[row], atom)
        _add_gradient(block, "positions", positions, labels, ["xyz"])
        stresses = np.concatenate([_stresses(*each) for each in zip(structures, predictions)])
        found = np.flatnonzero(np.isfinite(stresses).all(axis=(1, 2)))
        if len(found):
            labels = _labels(["sample"], found)
            _add_gradient(block, "strain", strain[found], labels, ["xyz_1", "xyz_2"])
    return TensorMap(tensors.keys, blocks)


def _labels(names: list[str], *columns: np.ndarray) -> Labels:
    return Labels(names, torch.tensor(np.stack(columns, axis=1), dtype=torch.int32))


def _add_gradient(
    block: TensorBlock, parameter: str, values: np.ndarray, samples: Labels, components: list[str]
) -> None:
    axes = [Labels.range(name, 3) for name in components]
    gradient = TensorBlock(torch.tensor(values[..., None]), samples, axes, block.properties)
    block.add_gradient(parameter, gradient)
