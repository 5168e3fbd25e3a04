"""Training by the command ``mt train``."""

import math
from pathlib import Path

import numpy as np

from mt_conformance.inputs import (
    ETHANOL,
    OF_ATOM,
    Examples,
    Subject,
    abilities,
    as_frames,
    labelled,
    needs,
    with_nan,
)
from mt_conformance.runs import OPTIONS, Run, Runs, mt, train, write_options
from mt_conformance.tests.comparing import assert_close, assert_finite, differences


@needs(abilities.epochs)
def test_loss_falls(runs: Runs) -> None:
    """The loss on the training set is lower in the last epoch than in the first.

    IF IT FAILS: do all parameters get a gradient? Is the learning rate of the tiny hypers sensible?
    """
    losses = runs.reference().column("train loss")
    assert losses[-1] < losses[0], f"the loss went from {losses[0]:.4g} to {losses[-1]:.4g}"


def test_tiny_set_is_learnt(runs: Runs, subject: Subject) -> None:
    """A few structures are learnt nearly by heart.

    IF IT FAILS: a part has no gradients, the smoothing is too strong, or the model too small: see
    `HYPERS`, `NUM_EPOCHS_TO_LEARN` and `TOLERANCES["learnt"]` in `conformance.py`.
    """
    quantity = subject.learnt_quantity
    model, baseline = runs.learnt().errors(quantity)
    allowed = subject.tolerances.learnt * baseline
    assert model <= allowed, (
        f"the error of {quantity} after {subject.num_epochs_to_learn} epochs on four structures "
        f"is {model:.4g}; expected at most {allowed:.4g}, and the composition alone has "
        f"{baseline:.4g}"
    )


@needs(abilities.forces)
def test_forces_are_better_than_none(runs: Runs) -> None:
    """After some epochs, forces of structures in training are better than none at all.

    IF IT FAILS: is the sign of the forces right? A wrong one doubles their error.
    """
    model, baseline = runs.reference().errors("forces")
    assert model < baseline, f"the error of the forces is {model:.4g}, of no forces {baseline:.4g}"


@needs(abilities.energies)
def test_composition_is_learnt_exactly(runs: Runs, examples: Examples) -> None:
    """Energies that are a sum over atoms of a number for each element are predicted, forces are
    zero, after one epoch and in structures that were not trained on.

    IF IT FAILS: fit the composition by least squares and add it to the predictions, and scale what
    the rest of the model adds by what is left to learn: nothing.
    """
    structures, labels = examples.molecules()

    def make(folder: Path) -> None:
        frames = [
            labelled(atoms, energy, np.zeros((len(atoms), 3)))
            for atoms, energy in zip(structures, labels)
        ]
        runs.write_frames(folder / "molecules.xyz", as_frames(frames))
        options = runs.options(runs.data_set("molecules.xyz"), num_epochs=1)
        train(folder, options)

    found = runs.get("composition", make).exported().values(structures)[:, 0]
    tolerance = runs.subject.tolerances.precision
    assert_close(found, labels, tolerance, "energies that follow from the composition")


def test_seed_gives_the_same_numbers(runs: Runs) -> None:
    """Two trainings (or fits) with one seed have the same losses and weights, to the last digit.

    IF IT FAILS: take all randomness from torch's global generator, or from one that is made of
    the seed; none from the time, from sets or from hashes.
    """
    first, second = runs.several(), runs.several("several-again")
    assert first.rows() == second.rows(), "train.csv differs"
    different = differences(first.contents(), second.contents())
    assert not different, f"the checkpoints differ in {different[:5]}"


def test_missing_labels_are_masked(runs: Runs, tmp_path: Path) -> None:
    """With `allow_missing`, labels that are NaN teach nothing and harm nothing.

    IF IT FAILS: leave out what is NaN before reducing the loss; NaN times zero is NaN.
    """
    train(tmp_path, with_a_gap(runs, tmp_path, allow_missing=True))
    values = Run(tmp_path).exported().values(runs.examples.ethanol(5))
    assert_finite(values, "predictions")
    # the labels are all near -310 eV
    if abilities.energies(runs.subject.capabilities):
        assert float(values.max()) < -200.0, f"predicted energies: {values.flatten().tolist()}"


def test_missing_labels_are_refused(runs: Runs, tmp_path: Path) -> None:
    """Without `allow_missing`, a label that is NaN stops the training, with the frame's number.

    IF IT FAILS: does the trainer read files by itself? The label table is made before it runs.
    """
    write_options(tmp_path / OPTIONS, with_a_gap(runs, tmp_path, allow_missing=False))
    mt("train", OPTIONS, folder=tmp_path).check_refused("NaN", "frame 2", runs.subject.main.name)


def with_a_gap(runs: Runs, folder: Path, allow_missing: bool) -> dict[str, object]:
    """The options of a training on a file where a label of frame 2 is NaN."""
    main = runs.subject.main
    frames = list(map(main.labelled, runs.examples.frames(ETHANOL)[:10]))
    frames[2] = with_nan(frames[2], main.key)
    runs.write_frames(folder / "ethanol.xyz", frames)
    data = runs.data_set("ethanol.xyz", allow_missing=allow_missing)
    return runs.options(data, num_epochs=2, batch_size=2)


@needs(abilities.several_targets)
def test_several_targets(runs: Runs) -> None:
    """Several targets are trained at once, one of them lacking a label; each gets an error.

    IF IT FAILS: every target of `dataset_info.targets` needs a head, a loss and an output.
    """
    run = runs.several()
    for quantity in runs.subject.targets:
        model, _ = run.errors(quantity)
        assert math.isfinite(model), f"the error of '{quantity}' is {model}"


@needs(abilities.several_targets, abilities.target("scalar", "atom"))
def test_target_of_atoms(runs: Runs) -> None:
    """A target of each atom is trained, and predicted better than by a mean of each element.

    IF IT FAILS: are its labels in the order of the atoms in the batch?
    """
    model, baseline = runs.several().errors(OF_ATOM)
    assert model < baseline, (
        f"the error of '{OF_ATOM}' is {model:.4g}, a mean of each element has {baseline:.4g}"
    )


@needs(abilities.epochs, abilities.finetuning())
def test_finetuning_starts_from_what_is_known(runs: Runs, tmp_path: Path) -> None:
    """The first epoch of fine-tuning is better than the first epoch from scratch.

    IF IT FAILS: load the weights with context `finetune`, and initialize nothing afterwards.
    """
    reference = runs.reference()
    options = runs.reference_options(tmp_path, num_epochs=1, learning_rate=1e-5)
    finetune = {"read_from": str(reference.checkpoint)}
    options["architecture"]["training"]["finetune"] = finetune
    train(tmp_path, options)
    scratch = reference.column("val loss")[0]
    finetuned = Run(tmp_path).column("val loss")[0]
    assert finetuned < scratch, (
        f"the loss on the validation set is {finetuned:.4g} after an epoch of fine-tuning, "
        f"{scratch:.4g} after one from scratch"
    )
