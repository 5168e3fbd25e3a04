"""Trainings by the command ``mt train`` that several tests look at; each is run once."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from metatensor.torch import load as load_tensor_map
from metatomic.torch import AtomisticModel, load_atomistic_model

from mt_conformance.inputs import (
    CRYSTALS,
    ENERGY,
    ETHANOL,
    ICE,
    PERIODICITIES,
    Examples,
    LabelledTarget,
    SharedFolders,
    Subject,
    as_frames,
    described,
    frames_with,
    key_of,
    of_each_periodicity,
    set_comment,
)
from mt_conformance.runs.mt_command import CompletedCommand, mt, run_python
from mt_conformance.runs.predictor import Predictor, exported_predictor
from mt_shared.contract import read_checkpoint
from mt_shared.options import dump_yaml

OPTIONS = "options.yaml"
EVAL_OPTIONS = "eval.yaml"
EXTENSIONS = "extensions"
IN_ASE = "ase.json"
# for models that simulations cannot run
ASE_LINE = (
    "from metatomic_ase import MetatomicCalculator; "
    f'atoms.calc = MetatomicCalculator("model.pt", extensions_directory="{EXTENSIONS}")'
)
ASE_SCRIPT = Path(__file__).with_name("ase_process.py")
FINAL_EVALUATION = Path(__file__).with_name("final_evaluation_process.py")
# extended xyz has eight decimals of atoms: enough for float32, and metatensor files have no stress
PREDICTED = {32: ["predicted.xyz"], 64: ["predicted.xyz", "predicted.mts"]}
NUM_EPOCHS = 6
NUM_LEARNT = 5
TRAINING, VALIDATION = "training", "validation"
LACKING = "dipole"
"""The key of a label that one structure lacks where there are several targets."""


@dataclass(frozen=True)
class Predictions:
    """Values (S, ..., P) or (A, ..., P) of the main target, and what is derived of an energy.

    Forces are (A, 3), and the stress (3, 3) is that of each structure that has one.
    """

    values: np.ndarray
    forces: np.ndarray
    stress: list[np.ndarray]


@dataclass(frozen=True)
class Run:
    """A folder in which ``mt train`` has run."""

    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model.pt"

    @property
    def extensions(self) -> Path:
        """The folder of compiled extensions, where the model needs any."""
        return self.folder / EXTENSIONS

    @property
    def checkpoint(self) -> Path:
        return self.folder / "model.ckpt"

    def exported_model(self) -> AtomisticModel:
        """What an engine loads."""
        return load_atomistic_model(str(self.model), str(self.extensions))

    def exported(self) -> Predictor:
        """The exported model, ready to predict."""
        return exported_predictor(self.exported_model())

    def runs(self) -> list[Path]:
        """The folders ``outputs/DATE/TIME``, oldest first."""
        folders = self.folder.glob("outputs/*/*")
        return sorted(folders, key=lambda folder: (folder.stat().st_mtime_ns, folder.name))

    def rows(self) -> list[dict[str, str]]:
        """The rows of the last ``train.csv``, as they are written."""
        newest = newest_table(self.folder)
        if newest is None:
            raise AssertionError(f"no train.csv lies under {self.folder}/outputs")
        with newest.open(newline="") as file:
            return list(csv.DictReader(file))

    def column(self, pattern: str) -> list[float]:
        """A column of ``train.csv`` by a pattern that must match one name."""
        rows = self.rows()
        names = [name for name in rows[0] if re.search(pattern, name)]
        if len(names) != 1:
            raise AssertionError(f"expected one column like '{pattern}' in {list(rows[0])}")
        return [float(row[names[0]]) for row in rows]

    def predicted(self, target: LabelledTarget) -> Predictions:
        """What ``mt eval`` has written: forces (A, 3) of all structures, stress of some."""
        structures = list(ase.io.iread(self.folder / "predicted.xyz"))
        values = values_in(structures, target)
        calculated = [atoms for atoms in structures if atoms.calc is not None]
        forces = [atoms.get_forces() for atoms in calculated if "forces" in atoms.calc.results]
        periodic = [atoms for atoms in calculated if "stress" in atoms.calc.results]
        stress = [atoms.get_stress(voigt=False) for atoms in periodic]
        # where it is there, it has more digits than the text of extended xyz
        tensors = self.folder / f"predicted_{plain_name(target)}.mts"
        if tensors.exists():
            block = load_tensor_map(str(tensors)).block()
            values = block.values.numpy()
            if block.has_gradient("positions"):
                forces = [-block.gradient("positions").values[:, :, 0].numpy()]
        return Predictions(values, np.concatenate(forces or [np.zeros((0, 3))]), stress)

    def validated(self) -> tuple[list[ase.Atoms], np.ndarray, np.ndarray, np.ndarray]:
        """The structures of the validation with their labels, and what ``mt eval`` predicts of it.

        :return: energies (S, 1), forces (A, 3), and dE/d(strain) (S, 3, 3), zero of what has none
        """
        files = (self.folder / f"{VALIDATION}-{kind}.xyz" for kind in PERIODICITIES)
        structures = [atoms for file in files for atoms in ase.io.iread(file)]
        block = load_tensor_map(str(self.folder / "validated_energy.mts")).block()
        forces, strain = np.zeros((0, 3)), np.zeros((len(structures), 3, 3))
        if block.has_gradient("positions"):
            forces = -block.gradient("positions").values[:, :, 0].numpy()
        if block.has_gradient("strain"):
            derivatives = block.gradient("strain")
            rows = derivatives.samples.column("sample").numpy()
            strain[rows] = derivatives.values[..., 0].numpy()
        return structures, block.values.numpy(), forces, strain

    def in_ase(self) -> dict[str, Any]:
        """What ASE says: ``results`` of each structure, and ``ours`` of the modules imported."""
        found: dict[str, Any] = json.loads((self.folder / IN_ASE).read_text(encoding="utf-8"))
        if "failed" in found:
            raise AssertionError(f"ASE cannot run the exported model:\n{found['failed']}")
        return found

    def line_for(self, engine: str) -> str:
        """What the training prints to use its model in ASE, i-PI or LAMMPS."""
        found = re.search(rf"in {engine}: +(.*)", self.log())
        if found is None:
            raise AssertionError(f"nothing is said of {engine}:\n{self.log()}")
        return found[1]

    def log(self) -> str:
        """What the last training said."""
        return (self.runs()[-1] / "train.log").read_text(encoding="utf-8")

    def errors(self, quantity: str, split: str = "training") -> tuple[float, float]:
        """The error of the model, and of the composition alone, as ``mt train`` prints them."""
        found = re.search(rf"^{quantity} .*\b{split} +(\S+) +(\S+)$", self.log(), re.M)
        if found is None:
            raise AssertionError(f"no error of {quantity} on {split} in:\n{self.log()}")
        return float(found[1]), float(found[2])

    def contents(self) -> dict[str, Any]:
        """The checkpoint that the run has left."""
        return read_checkpoint(self.checkpoint)


class Runs:
    """The trainings of one architecture."""

    def __init__(self, subject: Subject, examples: Examples, shared: SharedFolders):
        self.subject = subject
        self.examples = examples
        self.shared = shared

    def options(
        self, training_set: Any, bits: int | None = None, **training: Any
    ) -> dict[str, Any]:
        """The options of a training with the tiny hypers; a fifth is for validation."""
        architecture = {"name": self.subject.name} | self.subject.hypers
        architecture["training"] = self.subject.training_hypers(**training)
        options = {
            "seed": 3,
            "device": "cpu",
            "architecture": architecture,
            "training_set": training_set,
            "validation_set": 0.2,
        }
        return options if bits is None else options | {"base_precision": bits}

    def data_set(
        self, file: str, name: str | None = None, stress: bool = False, **more: Any
    ) -> dict[str, Any]:
        """A data set of the main target, with the derivatives that the architecture is able to.

        :param name: of the target, where it is to have another one
        :param stress: whether the structures have one
        """
        main = self.subject.main
        data: dict[str, Any] = {"systems": {"read_from": file, "length_unit": "angstrom"}}
        data["targets"] = {name or main.name: main.options(stress) | more}
        if self.subject.inputs:
            data["extra_data"] = {
                name: described(each.info, key_of(name))
                for name, each in self.subject.inputs.items()
            }
        return data

    def write(self, path: Path, example: str, frames: slice) -> None:
        """A file of some frames of an example, with labels of the main target."""
        chosen = self.examples.frames(example)[frames]
        self.write_frames(path, list(map(self.subject.main.labelled, chosen)))

    def write_frames(
        self, path: Path, frames: Sequence[str], structures: Sequence[ase.Atoms] | None = None
    ) -> None:
        """A file of frames of extended xyz, with the inputs that the architecture reads.

        :param structures: have the inputs; by default the usual ones are written
        """
        text = "".join(frames_with(frames, self.subject.inputs, structures))
        path.write_text(text, encoding="utf-8")

    def small_options(self, frames: slice, folder: Path, **training: Any) -> dict[str, Any]:
        """The options of a training on some frames of ethanol, written into the folder."""
        self.write(folder / "ethanol.xyz", ETHANOL, frames)
        return self.options(self.data_set("ethanol.xyz"), **training)

    def get(self, name: str, make: Callable[[Path], object]) -> Run:
        """The run of that name, made by the first who needs it."""
        return Run(self.shared.get(f"{self.subject.name}-{name}", make))

    def trained(self, bits: int) -> Run:
        """A model of ethanol and ice in 32 or 64 bits, with what it predicts for them.

        A dipole is no property of a crystal: a model of dipoles is trained on ethanol alone.
        """
        return self.get(f"trained-{bits}", lambda folder: self._make_trained(folder, bits))

    def _make_trained(self, folder: Path, bits: int) -> None:
        sets, main = [], self.subject.main
        for name, number in ((ETHANOL, 10), (ICE, 5)):
            if name in main.files:
                self.write(folder / f"{name}.xyz", name, slice(number))
                sets.append(self.data_set(f"{name}.xyz", stress=name == ICE))
        options = self.options(sets, bits, num_epochs=2, batch_size=3)
        train(folder, options)
        evaluate(folder, sets, *PREDICTED[bits])
        run_in_ase(folder, main, [f"{name}.xyz" for name in main.files])

    def validated(self) -> Run:
        """One epoch on molecules, slabs and crystals, and the predictions for the validation set.

        In 64 bits where that is supported.
        """
        return self.get("validated", self._make_validated)

    def _make_validated(self, folder: Path) -> None:
        sets: dict[str, list[Any]] = {TRAINING: [], VALIDATION: []}
        for kind, structures in of_each_periodicity(self.examples).items():
            for part, chosen in ((TRAINING, structures[1:]), (VALIDATION, structures[:1])):
                self.write_frames(folder / f"{part}-{kind}.xyz", as_frames(chosen))
                sets[part].append(self.data_set(f"{part}-{kind}.xyz", stress=kind == CRYSTALS))
        bits = 64 if self.subject.dtype == torch.float64 else 32
        options = self.options(sets[TRAINING], bits, num_epochs=1, batch_size=3)
        train(folder, options | {"validation_set": sets[VALIDATION]})
        evaluate(folder, sets[VALIDATION], "validated.mts")

    def trained_on(self, name: str, frames: slice, **training: Any) -> Run:
        """A model of some frames of ethanol."""
        return self.get(
            name, lambda folder: train(folder, self.small_options(frames, folder, **training))
        )

    def reference(self) -> Run:
        """Six epochs that nothing disturbs, of forty steps each."""

        def make(folder: Path) -> None:
            train(folder, self.reference_options(folder))

        return self.get("reference", make)

    def reference_options(self, folder: Path, **training: Any) -> dict[str, Any]:
        """What the undisturbed training and those that are disturbed have in common."""
        # with averaged weights, so that what is stopped, continued or kept of it has them too
        usual = {"num_epochs": NUM_EPOCHS, "batch_size": 1, "checkpoint_interval": 2}
        wanted = {**usual, "ema_decay": 0.9, **training}
        return self.small_options(slice(50), folder, **wanted)

    def several(self, name: str = "several") -> Run:
        """All targets that the architecture is able to at once, a label of one missing."""
        return self.get(name, self._make_several)

    def learnt(self) -> Run:
        """Four structures, for as many epochs as it takes."""
        number = self.subject.num_epochs_to_learn
        hypers = {"num_epochs": number, "batch_size": 2, "log_interval": number}
        # of five, a fifth is for validation
        return self.trained_on("learnt", slice(NUM_LEARNT), **hypers)

    def _make_several(self, folder: Path) -> None:
        targets = self.subject.targets.values()
        frames = self.examples.frames(ETHANOL)[:12]
        # a key of another name is a label that is missing
        frames[1] = set_comment(frames[1], f" {LACKING}=", " other=")
        for labelled in {each.labelled for each in targets}:
            frames = list(map(labelled, frames))
        self.write_frames(folder / "ethanol.xyz", frames)
        data = self.data_set("ethanol.xyz")
        for each in targets:
            missing = {"allow_missing": True} if each.key == LACKING else {}
            data["targets"][each.name] = each.options() | missing
        train(folder, self.options(data, num_epochs=15, batch_size=2))


def plain_name(target: LabelledTarget) -> str:
    """The name of a target in files of predictions: extended xyz has signs of its own."""
    return re.sub("::|/", "_", target.name)


def values_in(structures: list[ase.Atoms], target: LabelledTarget) -> np.ndarray:
    """The values (S, ..., P) or (A, ..., P) of a target in structures that were read from xyz."""
    if target.name == ENERGY:
        return np.array([[atoms.get_potential_energy()] for atoms in structures])
    name, info = plain_name(target), target.info
    found = [(atoms.arrays if info.per_atom else atoms.info)[name] for atoms in structures]
    values = np.concatenate(found) if info.per_atom else np.stack(found)
    # one sub-target has no axis of its own there
    return values.reshape(len(values), *info.type.components, info.num_subtargets)


def newest_table(folder: Path) -> Path | None:
    """The ``train.csv`` that was written last: each restart has one of its own."""
    found = folder.glob("outputs/*/*/train.csv")
    return max(found, key=lambda file: file.stat().st_mtime_ns, default=None)


def write_options(file: Path, options: Any) -> None:
    """Write an options file."""
    file.write_text(dump_yaml(options), encoding="utf-8")


def evaluate(folder: Path, data: Any, *outputs: str) -> None:
    """Run ``mt eval`` with the model of a folder, once for each file of predictions.

    :param data: one data set, or several, as options have them
    """
    write_options(folder / EVAL_OPTIONS, data)
    for output in outputs:
        mt("eval", "model.pt", EVAL_OPTIONS, "-o", output, folder=folder).check()


def run_in_ase(folder: Path, target: LabelledTarget, files: list[str]) -> None:
    """Predict the structures of some files in ASE; :meth:`Run.in_ase` reads what it says.

    Energies by the line that the training has printed, as a user does.
    """
    run = Run(folder)
    line = ASE_LINE if target.name != ENERGY else run.line_for("ASE")
    output = (target.name, target.info.sample_kind)
    done = run_python(ASE_SCRIPT, line, *output, *files, folder=folder)
    # libraries may print before it; what fails is told by the tests that look at it
    said = (
        done.stdout.splitlines()[-1]
        if done.returncode == 0
        else json.dumps({"failed": done.stderr})
    )
    (folder / IN_ASE).write_text(said, encoding="utf-8")


def train(folder: Path, options: dict[str, Any], *flags: str) -> CompletedCommand:
    """Run ``mt train`` in a folder with these options, to its end."""
    write_options(folder / OPTIONS, options)
    return mt("train", OPTIONS, *flags, folder=folder).check()
