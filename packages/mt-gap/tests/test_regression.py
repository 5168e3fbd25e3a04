"""What this architecture predicted when its values were written, it predicts for ever.

``python test_regression.py`` writes ``regression.json`` and, where there is none of the current
version yet, a checkpoint. A checkpoint that has been released is never written again.
"""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import ase
import numpy as np
import pytest
import torch
from metatomic_ase import MetatomicCalculator

import mt_gap
from mt_gap.model import Gap
from mt_gap.trainer import GapTrainer
from mt_shared.contract import DatasetInfo, TargetInfo, read_checkpoint
from mt_shared.data.dataset import Dataset, TargetLabels
from mt_shared.data.structures import Structures
from mt_shared.hypers import resolve_hypers
from mt_shared.registry import find

ENERGY_TOLERANCE = 1e-9
"""In eV: float64 on other processors and other versions of torch."""
FORCE_TOLERANCE = 1e-9
"""In eV/angstrom."""
STRESS_TOLERANCE = 1e-10
"""In eV/angstrom^3."""
MAX_CHECKPOINT_SIZE = 200_000

HERE = Path(__file__).parent
VALUES = HERE / "regression.json"
CHECKPOINTS = sorted((HERE / "checkpoints").glob("v*.ckpt"))
INFO = DatasetInfo(
    "angstrom",
    (1, 6, 8),
    {"energy": TargetInfo("energy", "eV", gradients=("positions", "strain"))},
)
# written out, so that new defaults change nothing here
MODEL_HYPERS = {
    "soap": {
        "cutoff": {"radius": 3.5, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
        "density": {
            "type": "Gaussian",
            "center_atom_weight": 1.0,
            "width": 0.4,
            "scaling": {"type": "Willatt2018", "rate": 1.0, "scale": 2.0, "exponent": 5.0},
        },
        "basis": {
            "type": "TensorProduct",
            "max_angular": 2,
            "radial": {"type": "Gto", "max_radial": 2},
        },
    },
    "krr": {"degree": 2, "num_sparse_points": 10, "num_directions": 2},
    "zbl": False,
}
TRAINING_HYPERS = {"regularizer": 0.1, "regularizer_forces": 0.3, "regularizer_virial": 1.0}


def structures() -> list[ase.Atoms]:
    """A molecule and a crystal, without any symmetry."""
    molecule = ase.Atoms("OCOH", [[0, 0, 0], [1.16, 0.1, 0], [2.3, -0.1, 0.2], [3.0, 0.6, 0.4]])
    crystal = ase.Atoms(
        "OCH",
        [[0.1, 0.0, 0.2], [1.2, 0.3, 0.1], [0.9, 1.4, 1.1]],
        cell=[[3.0, 0.1, 0.0], [0.2, 2.8, 0.3], [0.0, -0.2, 3.1]],
        pbc=True,
    )
    return [molecule, crystal]


def hypers(model=MODEL_HYPERS, training=TRAINING_HYPERS):
    """Complete hypers: what is not given is a default."""
    return resolve_hypers(find("gap"), {"model": model, "training": training})


def predictions(model: Gap) -> dict[str, list]:
    """Energies, forces and the stress of the crystal, from ASE."""
    calculator = MetatomicCalculator(model.export(), device="cpu")
    found = {"energies": [], "forces": [], "stress": []}
    for atoms in structures():
        atoms.calc = calculator
        found["energies"].append(atoms.get_potential_energy())
        found["forces"] += atoms.get_forces().tolist()
        if atoms.pbc.all():
            found["stress"] += atoms.get_stress(voigt=False).tolist()
    return found


def check(found: dict[str, list], expected: dict[str, list], looser: float = 1.0) -> None:
    tolerances = {
        "energies": ENERGY_TOLERANCE,
        "forces": FORCE_TOLERANCE,
        "stress": STRESS_TOLERANCE,
    }
    for name, tolerance in tolerances.items():
        np.testing.assert_allclose(
            found[name],
            expected[name],
            rtol=0,
            atol=looser * tolerance,
            err_msg=f"{name} have changed",
        )


def dataset() -> Dataset:
    """Labels at random: there is nothing to be learnt, but to be fitted."""
    frames = structures() * 2
    random = np.random.default_rng(0)
    counts = [len(atoms) for atoms in frames]
    all_atoms = Structures(
        positions=np.concatenate([atoms.positions for atoms in frames]),
        types=np.concatenate([atoms.numbers for atoms in frames]).astype(np.int32),
        cells=np.stack([atoms.cell.array for atoms in frames]),
        pbc=np.stack([atoms.pbc for atoms in frames]),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
    )
    gradients = {
        "positions": random.normal(size=(sum(counts), 3)),
        "strain": random.normal(size=(len(frames), 3, 3)),
    }
    labels = TargetLabels(random.normal(-300.0, 0.1, size=(len(frames), 1)), gradients)
    return Dataset(all_atoms, {"energy": labels}, np.arange(len(frames)), "dataset()")


def train(model: Gap, trainer: GapTrainer, folder: Path) -> None:
    trainer.train(model, torch.float64, [torch.device("cpu")], [dataset()], [dataset()], folder)


def read_upgraded(file: Path) -> dict:
    """A checkpoint of any version, brought to the current one."""
    checkpoint = Gap.upgrade_checkpoint(read_checkpoint(file))
    return GapTrainer.upgrade_checkpoint(checkpoint)


def test_fit_predicts_the_same(tmp_path):
    """IF IT FAILS: descriptors, the choice of sparse points or the fit have changed. If that was
    meant, write the values again and say so in a fragment of `changes/`."""
    expected = json.loads(VALUES.read_text())["fitted"]
    # the solution of equations, which has fewer digits than sums have
    check(predictions(fitted(tmp_path)), expected, looser=1e3)


@pytest.mark.parametrize("file", CHECKPOINTS, ids=lambda file: file.stem)
def test_old_checkpoint_predicts_the_same(file):
    """IF IT FAILS: the meaning of a weight has changed. Raise `__checkpoint_version__`, and add to
    `upgrades.py` the function that turns old weights into new ones."""
    model = Gap.load_checkpoint(read_upgraded(file), "export").eval()
    check(predictions(model), json.loads(VALUES.read_text())[file.stem])


@pytest.mark.parametrize("file", CHECKPOINTS, ids=lambda file: file.stem)
def test_fit_is_done_in_an_old_checkpoint(file, tmp_path):
    """IF IT FAILS: the state of the trainer has changed: as for the model, in `upgrades.py`."""
    checkpoint = read_upgraded(file)
    model = Gap.load_checkpoint(checkpoint, "restart").restart(INFO)
    trainer = GapTrainer.load_checkpoint(checkpoint, checkpoint["trainer_hypers"], "restart")
    train(model, trainer, tmp_path)
    check(predictions(model), json.loads(VALUES.read_text())[file.stem])


def test_each_version_has_a_checkpoint():
    """IF IT FAILS: run this file as a script and commit the checkpoint that it writes."""
    versions = range(1, mt_gap.__model__.__checkpoint_version__ + 1)
    assert [file.name for file in CHECKPOINTS] == [f"v{version}.ckpt" for version in versions]


@pytest.mark.parametrize("file", CHECKPOINTS, ids=lambda file: file.stem)
def test_checkpoint_is_small(file):
    """IF IT FAILS: write it with smaller hypers; it stays in the repository for ever."""
    assert file.stat().st_size < MAX_CHECKPOINT_SIZE


def fitted(folder: Path) -> Gap:
    """A model after its fit, with the checkpoint ``model.ckpt`` in a folder."""
    torch.manual_seed(0)
    resolved = hypers()
    model, trainer = Gap(resolved.model, INFO), GapTrainer(resolved.training)
    train(model, trainer, folder)
    trainer.save_checkpoint(model, folder / "model.ckpt")
    return model.eval()


def write_checkpoint(folder: Path) -> None:
    """Keep the checkpoint of a fit of the current version."""
    file = folder / f"v{Gap.__checkpoint_version__}.ckpt"
    if file.exists():
        print(f"{file} is left as it is: a released checkpoint is never written again")
        return
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        fitted(Path(scratch))
        shutil.copyfile(Path(scratch, "model.ckpt"), file)


def write_values() -> None:
    """Predict after a fit, and with every checkpoint."""
    with TemporaryDirectory() as scratch:
        values = {"fitted": predictions(fitted(Path(scratch)))}
    for file in sorted((HERE / "checkpoints").glob("v*.ckpt")):
        model = Gap.load_checkpoint(read_upgraded(file), "export").eval()
        values[file.stem] = predictions(model)
    VALUES.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    write_checkpoint(HERE / "checkpoints")
    write_values()
