"""A fit gives what it gave when its checkpoint was kept; that it still loads is in the suite."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import mt_gap
from mt_conformance.regression import predictions, small_structures
from mt_gap.model import Gap
from mt_gap.trainer import GapTrainer
from mt_shared.contract import DatasetInfo, read_checkpoint
from mt_shared.data import Dataset, Structures, TargetLabels

TOLERANCE = 1e-6
"""In eV, eV/angstrom and eV/angstrom^3: the solution of equations has fewer digits than sums."""

KEPT = Path(mt_gap.__file__).parent / "checkpoints"


@pytest.fixture
def kept() -> dict:
    """The checkpoint of a fit, its hypers complete, so that new defaults change nothing here."""
    checkpoint = Gap.upgrade_checkpoint(read_checkpoint(KEPT / "v1.ckpt"))
    return GapTrainer.upgrade_checkpoint(checkpoint)


def dataset() -> Dataset:
    """What the kept checkpoint was fitted to: labels at random."""
    frames = small_structures((1, 6, 8)) * 2
    random = np.random.default_rng(0)
    counts = [len(atoms) for atoms in frames]
    structures = Structures(
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
    return Dataset(structures, {"energy": labels}, np.arange(len(frames)), "dataset()")


def train(model: Gap, trainer: GapTrainer, folder: Path) -> None:
    trainer.train(model, torch.float64, [torch.device("cpu")], [dataset()], [dataset()], folder)


def check(model: Gap) -> None:
    found, expected = predictions(model), json.loads((KEPT / "v1.json").read_text())
    for name, values in expected.items():
        np.testing.assert_allclose(
            found[name], values, rtol=0, atol=TOLERANCE, err_msg=f"{name} have changed"
        )


def test_fit_predicts_the_same(kept, tmp_path):
    """IF IT FAILS: descriptors, the choice of sparse points or the fit have changed. If that was
    meant, keep a checkpoint of a new version and say so in a fragment of `changes/`."""
    torch.manual_seed(0)
    model = Gap(kept["model_hypers"], DatasetInfo.from_dict(kept["dataset_info"]))
    train(model, GapTrainer(kept["trainer_hypers"]), tmp_path)
    check(model.eval())


def test_fit_is_done_in_an_old_checkpoint(kept, tmp_path):
    """IF IT FAILS: the state of the trainer has changed: as for the model, in `upgrades.py`."""
    model = Gap.load_checkpoint(kept, "restart")
    model = model.restart(model.dataset_info)
    trainer = GapTrainer.load_checkpoint(kept, kept["trainer_hypers"], "restart")
    train(model, trainer, tmp_path)
    check(model)
