"""Trainings by the command ``mt train`` that several tests look at; each is run once."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from metatensor.torch import load as load_tensor_map
from metatomic.torch import AtomisticModel, load_atomistic_model

from mt_conformance.inputs import (
    ENERGY,
    ETHANOL,
    ICE,
    OF_ATOM,
    OF_STRUCTURE,
    Examples,
    SharedFolders,
    Subject,
    abilities,
    set_comment,
    with_neighbors,
)
from mt_conformance.runs.mt_command import CompletedCommand, mt, run_python
from mt_conformance.runs.predictor import Predictor, exported_predictor
from mt_shared.contract import read_checkpoint
from mt_shared.options import dump_yaml

OPTIONS = "options.yaml"
EVAL_OPTIONS = "eval.yaml"
EXTENSIONS = "extensions"
IN_ASE = "ase.json"
ASE_SCRIPT = Path(__file__).with_name("ase_process.py")
# extended xyz has eight decimals of forces: enough for float32, and metatensor files have no stress
PREDICTED = {32: ["predicted.xyz"], 64: ["predicted.xyz", "predicted.mts"]}
NUM_EPOCHS = 6
NUM_LEARNT = 5


@dataclass(frozen=True)
class Predictions:
    """Energies (S,), forces (A, 3) and the stress (3, 3) of each structure that has one."""

    energies: np.ndarray
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
        """The folder that was given for compiled extensions, whether there are any or not."""
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

    def predicted(self) -> Predictions:
        """What ``mt eval`` has written: forces (A, 3) of all structures, stress of some."""
        structures = ase.io.read(self.folder / "predicted.xyz", ":")
        results = [atoms.calc.results for atoms in structures]
        energies = np.array([each["energy"] for each in results])
        forces = [each["forces"] for each in results if "forces" in each]
        periodic = [atoms for atoms in structures if "stress" in atoms.calc.results]
        stress = [atoms.get_stress(voigt=False) for atoms in periodic]
        # where it is there, it has more digits than the text of extended xyz
        if (self.folder / "predicted_energy.mts").exists():
            block = load_tensor_map(str(self.folder / "predicted_energy.mts")).block()
            energies = block.values[:, 0].numpy()
            if block.has_gradient("positions"):
                forces = [-block.gradient("positions").values[:, :, 0].numpy()]
        return Predictions(energies, np.concatenate(forces or [np.zeros((0, 3))]), stress)

    def in_ase(self) -> dict[str, Any]:
        """What ASE says: ``results`` of each structure, and ``ours`` of the modules imported."""
        found: dict[str, Any] = json.loads((self.folder / IN_ASE).read_text(encoding="utf-8"))
        return found

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

    def energy_set(
        self, file: str, name: str = ENERGY, periodic: bool = False, **more: Any
    ) -> dict[str, Any]:
        """A data set of energies, with the gradients that the architecture is able to."""
        capabilities = self.subject.capabilities
        target = {"key": "energy", "unit": "eV", "forces": abilities.forces(capabilities)}
        if periodic and abilities.stress(capabilities):
            target["stress"] = True
        systems = {"read_from": file, "length_unit": "angstrom"}
        return {"systems": systems, "targets": {name: target | more}}

    def energy_options(self, frames: slice, folder: Path, **training: Any) -> dict[str, Any]:
        """The options of a potential for some frames of ethanol, written into the folder."""
        self.examples.write(folder / "ethanol.xyz", ETHANOL, frames)
        return self.options(self.energy_set("ethanol.xyz"), **training)

    def get(self, name: str, make: Callable[[Path], object]) -> Run:
        """The run of that name, made by the first who needs it."""
        return Run(self.shared.get(f"{self.subject.name}-{name}", make))

    def potential(self, bits: int) -> Run:
        """A potential for ethanol and ice in 32 or 64 bits, with what it predicts for them."""
        return self.get(f"potential-{bits}", lambda folder: self._make_potential(folder, bits))

    def _make_potential(self, folder: Path, bits: int) -> None:
        sets = []
        for name, number in ((ETHANOL, 10), (ICE, 5)):
            self.examples.write(folder / f"{name}.xyz", name, slice(number))
            sets.append(self.energy_set(f"{name}.xyz", periodic=name == ICE))
        options = self.options(sets, bits, num_epochs=2, batch_size=3)
        train(folder, options)
        write_options(folder / EVAL_OPTIONS, sets)
        for output in PREDICTED[bits]:
            arguments = ("eval", "model.pt", EVAL_OPTIONS, "-e", EXTENSIONS, "-o", output)
            mt(*arguments, folder=folder).check()
        files = (f"{ETHANOL}.xyz", f"{ICE}.xyz")
        done = run_python(ASE_SCRIPT, "model.pt", EXTENSIONS, *files, folder=folder)
        if done.returncode != 0:
            raise AssertionError(f"ASE cannot run the exported model:\n{done.stderr}")
        # libraries may print before it
        (folder / IN_ASE).write_text(done.stdout.splitlines()[-1], encoding="utf-8")

    def potential_for(self, name: str, frames: slice, **training: Any) -> Run:
        """A potential for some frames of ethanol."""
        return self.get(
            name, lambda folder: train(folder, self.energy_options(frames, folder, **training))
        )

    def reference(self) -> Run:
        """Six epochs that nothing disturbs, of forty steps each."""

        def make(folder: Path) -> None:
            # as a user types it first: without a folder for extensions
            write_options(folder / OPTIONS, self.reference_options(folder))
            mt("train", OPTIONS, folder=folder).check()

        return self.get("reference", make)

    def reference_options(self, folder: Path, **training: Any) -> dict[str, Any]:
        """What the undisturbed training and those that are disturbed have in common."""
        wanted = {"num_epochs": NUM_EPOCHS, "batch_size": 1, "checkpoint_interval": 2} | training
        return self.energy_options(slice(50), folder, **wanted)

    def several(self, name: str = "several") -> Run:
        """All targets that the architecture is able to at once, a label of one missing."""
        return self.get(name, self._make_several)

    def learnt(self) -> Run:
        """Four structures, for as many epochs as it takes."""
        number = self.subject.num_epochs_to_learn
        hypers = {"num_epochs": number, "batch_size": 2, "log_interval": number}
        # of five, a fifth is for validation
        return self.potential_for("learnt", slice(NUM_LEARNT), **hypers)

    def _make_several(self, folder: Path) -> None:
        capabilities = self.subject.capabilities
        frames = [with_neighbors(frame) for frame in self.examples.frames(ETHANOL)[:12]]
        # a key of another name is a label that is missing
        frames[1] = set_comment(frames[1], " dipole=", " other=")
        (folder / "ethanol.xyz").write_text("".join(frames), encoding="utf-8")
        data = self.energy_set("ethanol.xyz")
        if abilities.several_targets(capabilities):
            data["targets"][OF_STRUCTURE] = {
                "key": "dipole", "unit": "e*A", "num_subtargets": 3, "allow_missing": True,
            }  # fmt: skip
            if abilities.targets_of_atoms(capabilities):
                data["targets"][OF_ATOM] = {"key": "neighbors", "sample_kind": "atom"}
        train(folder, self.options(data, num_epochs=15, batch_size=2))


def newest_table(folder: Path) -> Path | None:
    """The ``train.csv`` that was written last: each restart has one of its own."""
    found = folder.glob("outputs/*/*/train.csv")
    return max(found, key=lambda file: file.stat().st_mtime_ns, default=None)


def write_options(file: Path, options: Any) -> None:
    """Write an options file."""
    file.write_text(dump_yaml(options), encoding="utf-8")


def train(folder: Path, options: dict[str, Any], *flags: str) -> CompletedCommand:
    """Run ``mt train`` in a folder with these options, to its end."""
    write_options(folder / OPTIONS, options)
    return mt("train", OPTIONS, "-e", EXTENSIONS, *flags, folder=folder).check()
