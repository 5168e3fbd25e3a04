"""Symmetries that an architecture keeps by construction, on the exported model."""

from __future__ import annotations

import numpy as np
import pytest

from mt_conformance.abilities import exact, forces, needs
from mt_conformance.comparing import assert_close
from mt_conformance.data import ETHANOL, ICE, Examples
from mt_conformance.predictor import Predictor
from mt_conformance.structures import GUISES
from mt_conformance.subjects import Subject
from mt_shared.contract import ModelInterface

# which cell describes a crystal is a choice of whoever writes it down, for every model
BY_CONSTRUCTION = ["translation", "rotation", "inversion", "permutation"]
SYMMETRIES = [
    pytest.param(name, marks=needs(exact(name)) if name in BY_CONSTRUCTION else [], id=name)
    for name in GUISES
]


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_values_stay(
    subject: Subject,
    model: ModelInterface,
    exported: Predictor,
    examples: Examples,
    symmetry: str,
) -> None:
    """Scalar targets of structures and atoms are the same in another guise of the structure.

    IF IT FAILS: look for positions that are used other than through edge vectors, directions that
    are not contracted, or sums that depend on order; or name the symmetry `none` in
    `capabilities.yaml`.
    """
    structures = [*examples.structures(ETHANOL, 1), *examples.structures(ICE, 1)]
    for name, target in model.dataset_info.targets.items():
        kind = "atom" if target.per_atom else "system"
        for atoms in structures:
            guise = GUISES[symmetry](atoms)
            expected = exported.values([atoms], name, kind)
            if target.per_atom:
                expected = expected[guise.order]
            found = exported.values([guise.atoms], name, kind)
            what = f"'{name}' of {atoms.symbols} after a change of {symmetry}"
            assert_close(found, expected, subject.tolerances.same, what)


@needs(forces)
@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_forces_follow(
    subject: Subject, exported: Predictor, examples: Examples, symmetry: str
) -> None:
    """Forces turn with the structure and belong to the same atoms.

    IF IT FAILS: the energies agree, so that the derivatives are wrong: look at custom backward
    functions and at detached tensors.
    """
    for atoms in (*examples.structures(ETHANOL, 1), *examples.structures(ICE, 1)):
        guise = GUISES[symmetry](atoms)
        before = exported.gradients([atoms]).forces.numpy()
        expected = before[guise.order] @ np.asarray(guise.matrix).T
        found = exported.gradients([guise.atoms]).forces
        what = f"forces on {atoms.symbols} after a change of {symmetry}"
        assert_close(found, expected, subject.tolerances.same, what)
