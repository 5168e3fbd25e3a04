"""The table that is shown before the first epoch."""

import numpy as np
import pytest

from mt_shared.data import Structures, label_table, offsets_from_counts
from mt_shared.data.dataset import FOUND, MISSING, NOT_FINITE, Dataset, TargetLabels
from mt_shared.data.fingerprints import structure_fingerprints


def make_structures(counts, seed=0):
    rng = np.random.default_rng(seed)
    num_atoms, num_systems = sum(counts), len(counts)
    return Structures(
        positions=rng.normal(size=(num_atoms, 3)),
        types=rng.integers(1, 4, size=num_atoms).astype(np.int32),
        cells=np.tile(2.0 * np.eye(3), (num_systems, 1, 1)),
        pbc=np.ones((num_systems, 3), dtype=bool),
        offsets=offsets_from_counts(counts),
    )


def make_dataset(energies, counts=None, frames=None, seed=0, source="a.xyz", **options):
    structures = make_structures(counts or [2] * len(energies), seed)
    values = np.array(energies, dtype=float)[:, None]
    labels = TargetLabels(values, unit="eV", **options)
    frames = np.arange(len(energies)) if frames is None else np.array(frames)
    return Dataset(structures, {"energy": labels}, frames, source, length_unit="A")


def only_row(*datasets):
    (row,) = label_table({"training": datasets}).rows
    return row


def test_numbers_of_an_energy():
    row = only_row(make_dataset([3.0, 1.0, 2.0], frames=[7, 8, 9]))
    assert (row.split, row.label, row.unit) == ("training", "energy", "eV")
    assert (row.found, row.missing, row.not_finite) == (3, 0, 0)
    assert row.mean == pytest.approx(2.0)
    assert row.std == pytest.approx(np.std([1, 2, 3]))
    assert (row.min, row.min_frame, row.max, row.max_frame) == (1.0, "8", 3.0, "7")


def test_found_missing_and_nan_are_told_apart():
    dataset = make_dataset([1.0, np.nan, np.nan])
    dataset.status["energy", "values"] = np.array([FOUND, MISSING, NOT_FINITE])
    row = only_row(dataset)
    assert (row.found, row.missing, row.not_finite) == (1, 1, 1)
    assert row.mean == row.min == row.max == 1.0


def test_a_label_that_no_structure_has():
    row = only_row(make_dataset([np.nan, np.nan]))
    assert (row.found, row.missing) == (0, 2)
    assert np.isnan(row.mean) and row.min_frame == "-"


def test_forces_have_their_own_sign_and_frame():
    """Frames differ in their number of atoms, so that rows must be traced back."""
    gradient = np.zeros((6, 3))
    gradient[4, 1] = -5.0  # a force of +5 on an atom of the third structure
    gradient[0, 0] = 2.0
    dataset = make_dataset(
        [1.0, 1.0, 1.0], counts=[1, 2, 3], frames=[4, 5, 6], gradients={"positions": gradient}
    )
    row = label_table({"training": [dataset]}).rows[1]
    assert (row.label, row.unit, row.found) == ("energy forces", "eV/A", 3)
    assert (row.max, row.max_frame, row.min, row.min_frame) == (5.0, "6", -2.0, "4")


@pytest.mark.parametrize(
    ("kind", "factor", "unit"), [("stress", 1 / 8, "eV/A^3"), ("virial", -1, "eV")]
)
def test_strain_is_shown_as_the_file_has_it(kind, factor, unit):
    strain = np.full((2, 3, 3), 4.0)
    dataset = make_dataset(
        [1.0, 1.0], gradients={"strain": strain}, gradient_kinds={"strain": kind}
    )
    row = label_table({"training": [dataset]}).rows[1]
    assert (row.label, row.unit) == (f"energy {kind}", unit)
    assert row.mean == pytest.approx(4.0 * factor)


def test_a_target_that_one_data_set_lacks_is_missing_there():
    first, second = make_dataset([1.0, 2.0]), make_dataset([5.0], seed=1, source="b.xyz")
    second.labels["gap"] = second.labels.pop("energy")
    second.status["gap", "values"] = second.status.pop(("energy", "values"))
    energy, gap = label_table({"training": [first, second]}).rows
    assert (energy.found, energy.missing) == (2, 1)
    assert (gap.found, gap.missing, gap.max_frame) == (1, 2, "b:0")


def test_the_text_fits_a_terminal():
    long_name = "a_target_with_a_name_that_goes_on_for_longer_than_any_terminal_is_wide"
    dataset = make_dataset([-123456.789, 1.23456789e-5, -1.7e12], source="long_file_name.xyz")
    dataset.labels[long_name] = dataset.labels["energy"]
    dataset.status[long_name, "values"] = dataset.status["energy", "values"]
    other = make_dataset([1.0], seed=1)
    text = label_table({"training": [dataset, other], "validation": [other]}).format()
    assert max(map(len, text.splitlines())) <= 100
    assert "training" in text and "validation" in text and "found" in text


def test_names_that_leave_no_room_for_numbers_stay_whole():
    """Cut to the width of the table, the two would be one."""
    name = "mtt::" + "a_long_name_" * 8
    dataset = make_dataset([1.0, 2.0])
    for end in ("first", "second"):
        dataset.labels[name + end] = dataset.labels["energy"]
        dataset.status[name + end, "values"] = dataset.status["energy", "values"]
    lines = label_table({"training": [dataset]}).format().splitlines()
    for end in ("first", "second"):
        at = lines.index(f"  {name}{end} (eV)")
        assert lines[at + 1].split()[:3] == ["2", "0", "0"]
        assert len(lines[at + 1]) <= 100
    assert any(line.split()[:3] == ["energy", "(eV)", "2"] for line in lines)


def test_equal_structures_are_counted_within_and_across_splits():
    dataset = make_dataset([1.0, 2.0, 3.0, 4.0])
    splits = {"training": [dataset.subset([0, 1, 1])], "test": [dataset.subset([1, 3])]}
    text = label_table(splits).duplicates
    assert (
        text == "1 structure is repeated within training; 1 structure is in both training and test"
    )


def test_no_line_about_duplicates_without_any():
    assert label_table({"training": [make_dataset([1.0, 2.0])]}).duplicates == ""


def changed(structures, name):
    array = getattr(structures, name).copy()
    array.flat[-1] = ~array.flat[-1] if array.dtype == bool else array.flat[-1] + 1
    fields = {**vars(structures), name: array}
    return Structures(**fields)


@pytest.mark.parametrize("name", ["positions", "types", "cells", "pbc"])
def test_structures_that_differ_in_one_number_are_different(name):
    structures = make_structures([3, 2, 4])
    other = changed(structures, name)
    equal = structure_fingerprints(structures) == structure_fingerprints(other)
    assert equal.tolist() == [True, True, False]


def test_fingerprints_depend_on_the_order_of_atoms_and_not_on_the_sign_of_zero():
    structures = make_structures([2])
    swapped = Structures(**{**vars(structures), "positions": structures.positions[::-1]})
    assert structure_fingerprints(structures) != structure_fingerprints(swapped)
    zero = Structures(**{**vars(structures), "cells": -0.0 * structures.cells})
    other = Structures(**{**vars(structures), "cells": 0.0 * structures.cells})
    assert structure_fingerprints(zero) == structure_fingerprints(other)


def test_unused_labels_are_named_once():
    dataset = make_dataset([1.0])
    fields = {**vars(dataset), "unused_keys": ("dipole", "free_energy")}
    table = label_table({"training": [Dataset(**fields)], "test": [Dataset(**fields)]})
    assert table.format().count("dipole, free_energy") == 1
