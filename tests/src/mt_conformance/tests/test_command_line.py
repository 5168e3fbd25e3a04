"""The commands, as a user types them."""

import re
import shlex
from pathlib import Path

import ase.io
import numpy as np
from metatensor.torch import load as load_tensor_map

from mt_conformance.inputs import LabelledTarget, Subject, abilities, as_frames, needs
from mt_conformance.providing import not_provided
from mt_conformance.runs import (
    EVAL_OPTIONS,
    EXTENSIONS,
    OPTIONS,
    Run,
    Runs,
    mt,
    plain_name,
    values_in,
    write_options,
)
from mt_conformance.tests.comparing import assert_close
from mt_shared.registry import CAPABILITIES, SCHEMA

BITS = 64
"""Of the model that is looked at here: in float64 its predictions are in files of two kinds."""
DIGITS = 1e-8
"""Of the numbers of atoms in extended xyz."""


def test_train_leaves_its_files(runs: Runs) -> None:
    """`mt train` leaves model and checkpoint here, and both in the folder of the run.

    IF IT FAILS: the trainer writes into `checkpoint_dir` alone; mt copies from there.
    """
    run = runs.trained(BITS)
    (folder,) = run.runs()
    for name in ("model.pt", "model.ckpt"):
        assert (run.folder / name).read_bytes() == (folder / name).read_bytes(), f"{name} differs"
    for name in ("train.log", "train.csv", "options_restart.yaml"):
        assert (folder / name).is_file(), f"there is no {name} in the folder of the run"


@needs(abilities.energies)
def test_train_says_how_to_use_the_model(runs: Runs) -> None:
    """The last lines of a training use the model in ASE, i-PI and LAMMPS.

    IF IT FAILS: the model lacks what they need of it: `dataset_info.atomic_types`.
    """
    for engine in ("ASE", "i-PI", "LAMMPS"):
        runs.trained(BITS).line_for(engine)


@needs(abilities.energies)
def test_the_line_for_ase_runs(runs: Runs) -> None:
    """What a training prints to use its model in ASE runs as it is printed, in its folder.

    IF IT FAILS: extensions that the exported model needs must be loaded where the model class is
    imported, by `torch.ops.load_library`: metatomic collects those.
    """
    assert runs.trained(BITS).in_ase()["results"], "ASE gives no results"


def test_extensions_are_where_it_is_said(runs: Runs) -> None:
    """A folder of compiled extensions lies beside a model that needs some, and each printed line
    names it; beside others there is none.

    IF IT FAILS: write `extensions: true` in `capabilities.yaml` if the exported model needs
    compiled code, and leave it out if it does not.
    """
    run, able = runs.trained(BITS), runs.subject.capabilities["extensions"]
    there = run.extensions.is_dir()
    assert there == able, f"capabilities.yaml says extensions: {able}, and the folder is {there}"
    if abilities.energies(runs.subject.capabilities):
        for engine in ("ASE", "i-PI", "LAMMPS"):
            line = run.line_for(engine)
            assert (EXTENSIONS in line) == there, f"the line for {engine} is {line}"


@needs(abilities.no_energies)
def test_the_line_for_mt_eval_runs(runs: Runs) -> None:
    """Of a model that no simulation can run, the command that a training prints predicts.

    IF IT FAILS: `mt eval` needs no labels; see the tests of it in this file.
    """
    run = runs.trained(BITS)
    found = re.search(r"To predict with it: mt (.*)", run.log())
    assert found is not None, f"nothing is said of mt eval:\n{run.log()}"
    mt(*shlex.split(found[1]), folder=run.folder).check()


def test_eval_writes_files(runs: Runs, main: LabelledTarget) -> None:
    """`mt eval` writes the same predictions to extended xyz and to metatensor.

    IF IT FAILS: predictions must not depend on how they are asked for.
    """
    folder = runs.trained(BITS).folder
    structures = list(ase.io.iread(folder / "predicted.xyz"))
    expected = load_tensor_map(str(folder / tensors(main, "predicted"))).block().values
    found = values_in(structures, main)
    assert_close(found, expected, DIGITS, f"'{main.name}' in predicted.xyz")


def tensors(main: LabelledTarget, name: str) -> str:
    """The file with the predictions of the main target, of `mt eval -o name.mts`."""
    return f"{name}_{plain_name(main)}.mts"


def test_eval_takes_a_checkpoint(
    subject: Subject, main: LabelledTarget, runs: Runs, tmp_path: Path
) -> None:
    """`mt eval` of the checkpoint, one structure at a time, gives what the exported model gives.

    IF IT FAILS: loading with context `export` must give the model that was exported: the best.
    """
    run = runs.trained(BITS)
    output = tmp_path / "out.mts"
    arguments = ("eval", "model.ckpt", EVAL_OPTIONS, "-b", "1", "-o", output)
    said = mt(*arguments, folder=run.folder).check().said
    found, expected = (
        load_tensor_map(str(file)).block().values
        for file in (tmp_path / tensors(main, "out"), run.folder / tensors(main, "predicted"))
    )
    what = f"'{main.name}' of the checkpoint"
    assert_close(found, expected, subject.tolerances.engine64, what)
    for name in main.files:
        assert f"{name}.xyz" in said, f"the errors of {name}.xyz are not printed:\n{said}"


def test_eval_needs_no_labels(
    subject: Subject, main: LabelledTarget, runs: Runs, tmp_path: Path
) -> None:
    """`mt eval` of a bare file of structures predicts what it predicts beside labels: the same
    values, of structures or of atoms, and their derivatives.

    IF IT FAILS: `mt` writes into an exported file what the model was trained on; what it reads
    beside positions and types (`extra_data`) it finds in the file under its own name.
    """
    run = runs.trained(BITS)
    runs.write_frames(tmp_path / "bare.xyz", as_frames(runs.examples.ethanol(10)))
    mt("eval", run.model, "bare.xyz", "-o", "bare.mts", folder=tmp_path).check()
    bare = load_tensor_map(str(tmp_path / tensors(main, "bare"))).block()
    labelled = load_tensor_map(str(run.folder / tensors(main, "predicted"))).block()
    tolerance = subject.tolerances.engine64
    # the file of ethanol is the first of those that were predicted
    expected = labelled.values[: len(bare.values)]
    assert_close(bare.values, expected, tolerance, f"'{main.name}' without labels")
    if labelled.has_gradient("positions"):
        found, expected = (each.gradient("positions").values for each in (bare, labelled))
        assert_close(found, expected[: len(found)], tolerance, "forces without labels")


def test_export_gives_the_trained_model(runs: Runs, tmp_path: Path) -> None:
    """`mt export` of the checkpoint gives the model that the training exported.

    IF IT FAILS: as for `mt eval` of a checkpoint.
    """
    run = runs.trained(BITS)
    again = Run(tmp_path)
    mt("export", "model.ckpt", "-o", again.model, folder=run.folder).check()
    structures, tolerances = runs.examples.ethanol(2), runs.subject.tolerances
    found, expected = (each.exported().values(structures) for each in (again, run))
    assert_close(found, expected, tolerances.engine64, f"'{runs.subject.main.name}'")


def test_unknown_element_is_refused(runs: Runs, tmp_path: Path) -> None:
    """An element that training never saw is refused at evaluation, by its number.

    IF IT FAILS: the capabilities of the exported model must name the elements of the training.
    """
    atoms = ase.Atoms("Cl2", positions=np.eye(3)[:2])
    runs.write_frames(tmp_path / "chlorine.xyz", as_frames([atoms]))
    data = runs.data_set("chlorine.xyz")
    del data["targets"]
    write_options(tmp_path / EVAL_OPTIONS, data)
    run = runs.trained(BITS)
    mt("eval", run.model, EVAL_OPTIONS, folder=tmp_path).check_refused(
        "atomic type 17 was not in the training", "chlorine.xyz"
    )


def test_dry_run_leaves_nothing(runs: Runs, tmp_path: Path) -> None:
    """`mt train --dry-run` builds model and trainer, tries a step, a checkpoint, the export and a
    call of what was exported, and writes no file.

    IF IT FAILS: what it says is what would have failed hours later. If it says nothing,
    constructors and `dry_run` must not write.
    """
    write_options(tmp_path / OPTIONS, runs.reference_options(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    mt("train", OPTIONS, "--dry-run", folder=tmp_path).check()
    left = sorted(set(tmp_path.rglob("*")) - set(before))
    assert not left, f"it left {left}"


def test_misspelt_hyper_stops_the_training(runs: Runs, tmp_path: Path) -> None:
    """`mt train` refuses a hyper that does not exist, by its path in the file.

    IF IT FAILS: see the test of the same name in `test_hypers.py`.
    """
    if runs.subject.entry.schema is None:
        not_provided(SCHEMA, runs.subject.name)
    options = runs.reference_options(tmp_path)
    options["architecture"]["model"] = {"no_such_hyper": 1}
    write_options(tmp_path / OPTIONS, options)
    refused = mt("train", OPTIONS, folder=tmp_path)
    refused.check_refused("architecture.model", "no_such_hyper")


@needs(lambda capabilities: "cartesian" not in capabilities["targets"])
def test_missing_ability_is_refused(runs: Runs, tmp_path: Path) -> None:
    """`mt train` refuses a target that `capabilities.yaml` does not name, before reading data.

    IF IT FAILS: if the architecture is able to learn vectors, name `cartesian` there.
    """
    if runs.subject.entry.capabilities is None:
        not_provided(CAPABILITIES, runs.subject.name)
    vector = {"key": "dipole", "type": {"cartesian": {"rank": 1}}}
    systems = {"read_from": "not_there.xyz", "length_unit": "angstrom"}
    options = runs.options({"systems": systems, "targets": {"mtt::vector": vector}})
    write_options(tmp_path / OPTIONS, options)
    refused = mt("train", OPTIONS, folder=tmp_path)
    refused.check_refused(runs.subject.name, "mtt::vector", "cartesian")
