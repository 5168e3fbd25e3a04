"""Data as they are found: many kinds of molecules, all periodicities in a file, no forces."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from mt_conformance.inputs import (
    MOLECULES,
    Examples,
    Subject,
    abilities,
    as_frames,
    calculated,
    needs,
    of_each_volume,
)
from mt_conformance.runs import Run, Runs, train
from mt_conformance.tests.comparing import assert_close

pytestmark = needs(abilities.energies)

NUM_EPOCHS = 20
"""Of a training that has to be stable and no more: by then a learning rate that is too high shows.
"""
MILLI = 1e3
"""From eV to meV, in which errors are reported."""


def check_healthy(run: Run) -> None:
    """Fail unless all numbers of a training are finite, and nobody had to step in."""
    __tracebackhide__ = True
    rows = run.rows()
    wrong = [
        f"{name} of epoch {number} is {value}"
        for number, row in enumerate(rows, 1)
        for name, value in row.items()
        if value and not np.isfinite(float(value))
    ]
    assert not wrong, f"in train.csv {'; '.join(wrong[:3])}"
    log = run.log()
    assert "iverged" not in log, f"the training has diverged:\n{log}"


@pytest.mark.slow
def test_defaults_hold_for_many_molecules(runs: Runs) -> None:
    """With default hypers, 120 molecules of 20 kinds and 3 to 12 atoms: no training diverges, and
    what is learnt is better than the composition alone, on structures that were left out too.

    IF IT FAILS: lower the default learning rate, begin with a warm-up (`warmup_epochs`), or set
    `grad_clip_norm`; see `default-hypers.yaml`.
    """
    training = runs.subject.known_hypers(num_epochs=NUM_EPOCHS)

    def make(folder: Path) -> None:
        runs.write_frames(folder / "molecules.xyz", runs.examples.frames(MOLECULES))
        options = runs.options(runs.data_set("molecules.xyz"))
        train(folder, options | {"architecture": {"name": runs.subject.name, "training": training}})

    run = runs.get("defaults", make)
    if abilities.epochs(runs.subject.capabilities):
        check_healthy(run)
    for split in ("training", "validation"):
        model, composition = run.errors("energy", split)
        assert model < composition, (
            f"the error of the energies ({split}) is {model:.4g} meV/atom, and that of the "
            f"composition alone {composition:.4g}"
        )


@needs(abilities.stress)
def test_stress_is_that_of_the_volume(runs: Runs, subject: Subject, examples: Examples) -> None:
    """A molecule in a box, a slab with a third vector, a film without one and a crystal, in one
    file with a stress each: what is periodic somewhere and has a volume is trained on and
    predicted as ASE has it, and nothing else.

    IF IT FAILS: does a trainer of your own take the volume from `Structures.volumes`? A structure
    without one has no stress: its label is NaN.
    """
    structures = of_each_volume(examples)
    with_volume = [atoms for atoms in structures if atoms.pbc.any() and atoms.cell.rank == 3]

    def make(folder: Path) -> None:
        runs.write_frames(folder / "mixed.xyz", as_frames(structures))
        data = runs.data_set("mixed.xyz", stress=True)
        options = runs.options(data, num_epochs=1, batch_size=3)
        train(folder, options | {"validation_set": data})

    run = runs.get("mixed", make)
    if abilities.epochs(subject.capabilities):
        check_healthy(run)
    strain = run.exported().gradients(with_volume).strain.numpy()
    labels = [atoms.get_stress(voigt=False) for atoms in with_volume]
    errors = [found / atoms.get_volume() for found, atoms in zip(strain, with_volume)]
    expected = MILLI * float(np.sqrt(np.mean((np.stack(errors) - labels) ** 2)))
    found, _ = run.errors("stress", "validation")
    assert_close(found, expected, 1e-3, "RMSE of the stress, of what has a volume (meV/A^3)")


def test_forces_that_are_zero_by_symmetry(runs: Runs, subject: Subject) -> None:
    """Cells of one atom at several volumes, where all forces are zero: the energies are learnt.

    IF IT FAILS: what the loss is divided by must not be zero where one kind of label is; see
    `mt_shared.engine.fit_scale`.
    """

    def make(folder: Path) -> None:
        crystals = [calculated(bulk("Cu", "fcc", a=a)) for a in np.linspace(3.3, 4.1, 15)]
        runs.write_frames(folder / "copper.xyz", as_frames(crystals))
        data = runs.data_set("copper.xyz", stress="strain" in subject.main.info.gradients)
        number = max(NUM_EPOCHS, subject.num_epochs_to_learn // 4)
        train(folder, runs.options(data, num_epochs=number, batch_size=2))

    run = runs.get("one-atom", make)
    if abilities.epochs(subject.capabilities):
        check_healthy(run)
    model, composition = run.errors("energy")
    assert model < composition, (
        f"the error of the energies is {model:.4g} meV/atom, and that of the composition alone "
        f"{composition:.4g}"
    )
