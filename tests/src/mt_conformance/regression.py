"""What a model predicted when its checkpoint was kept: ``checkpoints/v1.json`` beside ``v1.ckpt``.

``python -m mt_conformance.regression NAME [CHECKPOINT]`` keeps a checkpoint of the current version,
and writes the values of everything that is kept and has none. What is there is left as it is.

A checkpoint of the shared trainer has averaged weights and a best state: names of parameters are in
these too, and an upgrade that forgets them is found by no other checkpoint.
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

from mt_conformance.inputs import (
    ENERGY,
    Model,
    Subject,
    abilities,
    as_dataset,
    as_labels,
    extra_inputs,
    subject_of,
)
from mt_conformance.runs import exported_predictor
from mt_shared.contract import DatasetInfo, read_checkpoint
from mt_shared.data import Dataset, TargetLabels
from mt_shared.errors import UserError

FOLDER = "checkpoints"
SEEDED = "seeded"
"""Name of the values of a model with fresh weights."""
TRAINER_VERSION = "trainer_version"

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
    checkpoint = subject.model_class.upgrade_checkpoint(read_checkpoint(file))
    return subject.architecture.trainer_class.upgrade_checkpoint(checkpoint)


def kept_model(subject: Subject, file: Path, context: str = "export") -> Model:
    """The model of a kept checkpoint."""
    return subject.model_class.load_checkpoint(upgraded(subject, file), context).eval()


def seeded_model(subject: Subject) -> Model:
    """A model as a training begins with it, with the hypers of the newest kept checkpoint."""
    newest = list(kept_checkpoints(subject).values())[-1]
    dtype, checkpoint = dtype_of(kept_model(subject, newest)), upgraded(subject, newest)
    # of the kept hypers, not of today's defaults: these may change without a new version
    torch.manual_seed(0)
    info = DatasetInfo.from_dict(checkpoint["dataset_info"])
    return subject.model_class(checkpoint["model_hypers"], info).to(dtype).eval()


def dtype_of(model: Model) -> torch.dtype:
    """That of its parameters, or of its buffers where it has none."""
    tensors = [*model.parameters(), *model.buffers()]
    return next(each.dtype for each in tensors if each.is_floating_point())


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


def predictions(model: Model) -> Values:
    """What an engine gets of a model: energies (S,), forces (A, 3) and the stress (3, 3) of the
    crystal; or the values (S, ..., P) or (A, ..., P) of each target where none is an energy.
    """
    info = model.dataset_info
    structures, predictor = small_structures(info.atomic_types), exported_predictor(model.export())
    if ENERGY not in info.targets:
        kinds = {name: target.sample_kind for name, target in info.targets.items()}
        return {
            name: predictor.values(structures, name, kind).tolist() for name, kind in kinds.items()
        }
    found = predictor.gradients(structures)
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
    inputs = as_labels(extra_inputs(info.inputs), structures)
    return as_dataset(structures, labels, "random labels", inputs)


def keep(subject: Subject, checkpoint: Path | None) -> list[Path]:
    """Keep the checkpoint, if one is given, and write all values that are missing.

    :return: the files that were written
    """
    assert subject.entry.folder is not None
    folder = subject.entry.folder / FOLDER
    folder.mkdir(exist_ok=True)
    written = []
    if checkpoint is not None:
        file = folder / f"{_free_name(subject, checkpoint)}.ckpt"
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


def _free_name(subject: Subject, checkpoint: Path) -> str:
    """``v1``, or ``v1b`` where a ``v1`` is there that lacks what this one has.

    :raises SystemExit: the checkpoint lacks something, or is kept already
    """
    lacking = lacks(subject, checkpoint)
    if lacking:
        raise SystemExit(
            f"{checkpoint} has no {' and no '.join(lacking)}, of which an upgrade has to know the "
            "names as well: keep one of a training with a validation set and "
            "'-r architecture.training.ema_decay=0.99', which has ended at least one epoch"
        )
    version = f"v{subject.model_class.__checkpoint_version__}"
    there = {
        name: file
        for name, file in kept_checkpoints(subject).items()
        if version_of(name) == subject.model_class.__checkpoint_version__
    }
    trained_by = read_checkpoint(checkpoint).get(TRAINER_VERSION)
    for name, file in there.items():
        if read_checkpoint(file).get(TRAINER_VERSION) == trained_by and not lacks(subject, file):
            raise SystemExit(
                f"{name}.ckpt is there already, with all that a checkpoint of these versions has: "
                "a released one is never written again"
            )
    letters = ["", *"bcdefghijklmnopqrstuvwxyz"]
    return next(name for name in (version + letter for letter in letters) if name not in there)


def lacks(subject: Subject, checkpoint: Path) -> list[str]:
    """What a checkpoint of the shared trainer lacks that holds names of parameters."""
    if not subject.uses_shared_trainer:
        return []
    found = read_checkpoint(checkpoint)
    # none, where a model was saved by itself
    trainer = found.get("trainer") or {"average": None}
    parts = {"averaged weights": trainer["average"], "best state": found["best_state"]}
    return [what for what, part in parts.items() if part is None]


def main() -> None:
    """Keep what the command line names."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[2])
    parser.add_argument("name", help="of the architecture, installed from its source (pip -e)")
    parser.add_argument("checkpoint", nargs="?", type=Path, help="of a small training")
    arguments = parser.parse_args()
    try:
        for file in keep(subject_of(arguments.name), arguments.checkpoint):
            print(file)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
