"""Symmetries that an architecture keeps by construction, or learns, on the exported model."""

import ase
import numpy as np
import pytest
import torch

from mt_conformance.inputs import (
    GUISES,
    Examples,
    Model,
    Subject,
    abilities,
    block_of,
    blocks_of,
    needs,
    rotated,
    turned,
)
from mt_conformance.runs import NUM_LEARNT, Predictor, Runs
from mt_conformance.tests.comparing import assert_close
from mt_shared.contract import Cartesian, TargetType

NUM_ROTATIONS = 5
# which cell describes a crystal is a choice of whoever writes it down, for every model
BY_CONSTRUCTION = ["translation", "rotation", "inversion", "permutation"]
SYMMETRIES = [
    pytest.param(
        name, marks=needs(abilities.symmetry(name)) if name in BY_CONSTRUCTION else [], id=name
    )
    for name in GUISES
]


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_values_stay(
    same: float, model: Model, exported: Predictor, examples: Examples, symmetry: str
) -> None:
    """Targets of structures and atoms are the same in another guise of the structure; vectors and
    other tensors turn with it.

    IF IT FAILS: look for positions used other than through edge vectors, directions not contracted,
    sums that depend on order; or name the symmetry `none` in `capabilities.yaml`.
    """
    structures = examples.both(1, 1)
    for name, target in model.dataset_info.targets.items():
        kind = "atom" if target.per_atom else "system"
        for atoms in structures:
            guise = GUISES[symmetry](atoms)
            before = exported.run([atoms], {name: kind})[name]
            after = exported.run([guise.atoms], {name: kind})[name]
            what = f"'{name}' of {atoms.symbols} after a change of {symmetry}"
            for keys, _ in blocks_of(target.type):
                values = block_of(before, keys).values.detach().to(torch.float64)
                values = values[guise.order] if target.per_atom else values
                expected = turned(values, target.type, keys, np.asarray(guise.matrix))
                assert_close(block_of(after, keys).values, expected, same, what)


@needs(abilities.forces)
@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_forces_follow(same: float, exported: Predictor, examples: Examples, symmetry: str) -> None:
    """Forces turn with the structure and belong to the same atoms.

    IF IT FAILS: and the energies agree, look at custom backward functions and detached tensors.
    """
    for atoms in examples.both(1, 1):
        guise = GUISES[symmetry](atoms)
        before = exported.gradients([atoms]).forces.numpy()
        # forces are rows: they go with their atoms, and turn as positions do
        expected = before[guise.order] @ np.asarray(guise.matrix).T
        found = exported.gradients([guise.atoms]).forces
        what = f"forces on {atoms.symbols} after a change of {symmetry}"
        assert_close(found, expected, same, what)


@needs(abilities.symmetry("rotation", "augmentation"), abilities.directions)
def test_augmentation_teaches_rotations(runs: Runs, subject: Subject, examples: Examples) -> None:
    """After a training with augmentation, forces (or the vectors that are learnt) of turned
    structures of the training set are nearly as good as in the guise that is in the file.

    IF IT FAILS: turn each structure of each batch by a rotation of its own, with its labels; or
    train for longer (`NUM_EPOCHS_TO_LEARN`, and `TOLERANCES["augmented"]`, in `conformance.py`).
    """
    predictor = runs.learnt().exported()
    as_given, in_guise = [], []
    for atoms in examples.ethanol(NUM_LEARNT):
        before, kind = with_directions(subject, predictor, atoms)
        ((keys, _),) = blocks_of(kind)
        for seed in range(NUM_ROTATIONS):
            guise = rotated(atoms, seed)
            after, _ = with_directions(subject, predictor, guise.atoms)
            in_guise.append(after - turned(before, kind, keys, np.asarray(guise.matrix)))
            as_given.append(before)
    off, size = (float(torch.cat(each).square().mean().sqrt()) for each in (in_guise, as_given))
    allowed = subject.tolerances.augmented * size
    assert off <= allowed, (
        f"{subject.learnt_quantity} on turned structures are off by {off:.3g}, of {size:.3g}; "
        f"allowed is {allowed:.3g}: the training set was not turned, or not often enough"
    )


def with_directions(
    subject: Subject, predictor: Predictor, atoms: ase.Atoms
) -> tuple[torch.Tensor, TargetType]:
    """Forces (A, 3, 1), or the values (N, M, P) of a main target that turns, and how they turn."""
    if abilities.forces(subject.capabilities):
        return predictor.gradients([atoms]).forces.to(torch.float64).unsqueeze(2), Cartesian(1)
    return predictor.values([atoms]), subject.main.info.type
