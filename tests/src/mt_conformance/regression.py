"""What a model predicted when its checkpoint was kept: ``checkpoints/v1.json`` beside ``v1.ckpt``.

``python -m mt_conformance.regression NAME [CHECKPOINT]`` keeps a checkpoint of the current version,
and writes the values of everything that is kept and has none. What is there is left as it is.
"""

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

import ase
import numpy as np
import torch

from mt_conformance.inputs import Subject, abilities, as_dataset, subject_of
from mt_conformance.runs import exported_predictor
from mt_shared.contract import DatasetInfo, ModelInterface, read_checkpoint
from mt_shared.data import Dataset, TargetLabels

FOLDER = "checkpoints"
SEEDED = "seeded"
"""Name of the values of a model with fresh weights."""

Values = dict[str, list[Any]]


def kept_checkpoints(subject: Subject) -> dict[str, Path]:
    """The files by their names without ending, ``v1`` for version 1 of the model, oldest first."""
    folder = subject.entry.folder
    found = [] if folder is None else (folder / FOLDER).glob("v*.ckpt")
    files = {file.stem: file for file in found if re.match(r"v\d+", file.stem)}
    return {name: files[name] for name in sorted(files, key=lambda name: (version_of(name), name))}


def version_of(name: str) -> int:
    """The version of the model in a kept checkpoint, ``v1`` or ``v1b``."""
    (digits,) = re.findall(r"^v(\d+)", name)
    return int(digits)


def kept_values(subject: Subject, name: str) -> Values | None:
    """The values of a kept checkpoint, if they were written."""
    assert subject.entry.folder is not None
    file = subject.entry.folder / FOLDER / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def upgraded(subject: Subject, file: Path) -> dict[str, Any]:
    """A checkpoint of any version, brought to the current one."""
    architecture = subject.architecture
    checkpoint = architecture.model_class.upgrade_checkpoint(read_checkpoint(file))
    return architecture.trainer_class.upgrade_checkpoint(checkpoint)


def kept_model(subject: Subject, file: Path, context: str = "export") -> ModelInterface:
    """The model of a kept checkpoint."""
    model_class = subject.architecture.model_class
    return model_class.load_checkpoint(upgraded(subject, file), context).eval()


def seeded_model(subject: Subject) -> ModelInterface:
    """A model as a training begins with it, with the hypers of the newest kept checkpoint."""
    checkpoint = upgraded(subject, list(kept_checkpoints(subject).values())[-1])
    # of the kept hypers, not of today's defaults: these may change without a new version
    torch.manual_seed(0)
    info = DatasetInfo.from_dict(checkpoint["dataset_info"])
    model = subject.architecture.model_class(checkpoint["model_hypers"], info)
    return model.to(getattr(torch, checkpoint["dtype"])).eval()


def small_structures(atomic_types: tuple[int, ...]) -> list[ase.Atoms]:
    """A molecule and a crystal of these types, without any symmetry."""
    # whatever types a model has, in a fixed order
    some = [atomic_types[number % len(atomic_types)] for number in (2, 1, 2, 0)]
    molecule = ase.Atoms(some, [[0, 0, 0], [1.16, 0.1, 0], [2.3, -0.1, 0.2], [3.0, 0.6, 0.4]])
    crystal = ase.Atoms(
        [some[0], some[1], some[3]],
        [[0.1, 0.0, 0.2], [1.2, 0.3, 0.1], [0.9, 1.4, 1.1]],
        cell=[[3.0, 0.1, 0.0], [0.2, 2.8, 0.3], [0.0, -0.2, 3.1]],
        pbc=True,
    )
    return [molecule, crystal]


def predictions(model: ModelInterface) -> Values:
    """Energies (S,), forces (A, 3) and the stress (3, 3) of the crystal, as an engine gets them."""
    structures = small_structures(model.dataset_info.atomic_types)
    found = exported_predictor(model.export()).gradients(structures)
    return {
        "energies": found.energies.tolist(),
        "forces": found.forces.tolist(),
        "stress": (found.strain[1] / structures[1].get_volume()).tolist(),
    }


def random_dataset(info: DatasetInfo) -> Dataset:
    """Labels at random: there is nothing to be learnt, but a training to go on."""
    structures = small_structures(info.atomic_types) * 2
    random = np.random.default_rng(0)
    num_atoms = sum(map(len, structures))
    shapes = {"positions": (num_atoms, 3), "strain": (len(structures), 3, 3)}
    labels = {}
    for name, target in info.targets.items():
        rows = num_atoms if target.per_atom else len(structures)
        labels[name] = TargetLabels(
            random.normal(size=(rows, *target.type.components, target.num_subtargets)),
            {each: random.normal(size=shapes[each]) for each in target.gradients},
        )
    return as_dataset(structures, labels, "random labels")


def keep(subject: Subject, checkpoint: Path | None) -> list[Path]:
    """Keep the checkpoint, if one is given, and write all values that are missing.

    :return: the files that were written
    """
    assert subject.entry.folder is not None
    folder = subject.entry.folder / FOLDER
    folder.mkdir(exist_ok=True)
    written = []
    if checkpoint is not None:
        version = subject.architecture.model_class.__checkpoint_version__
        file = folder / f"v{version}.ckpt"
        if file.exists():
            raise SystemExit(
                f"{file} is there already: a released checkpoint is never written again"
            )
        written.append(Path(shutil.copyfile(checkpoint, file)))
    kept = kept_checkpoints(subject)
    # what is fitted in closed form has no fresh weights
    fresh = [SEEDED] if kept and abilities.epochs(subject.capabilities) else []
    for name in [*kept, *fresh]:
        file = folder / f"{name}.json"
        if not file.exists():
            of_seed = name == SEEDED
            model = seeded_model(subject) if of_seed else kept_model(subject, kept[name])
            file.write_text(json.dumps(predictions(model), indent=1) + "\n", encoding="utf-8")
            written.append(file)
    return written


def main() -> None:
    """Keep what the command line names."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[2])
    parser.add_argument("name", help="of the architecture, installed from its source (pip -e)")
    parser.add_argument("checkpoint", nargs="?", type=Path, help="of a small training")
    arguments = parser.parse_args()
    for file in keep(subject_of(arguments.name), arguments.checkpoint):
        print(file)


if __name__ == "__main__":
    main()
