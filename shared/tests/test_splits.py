"""Dividing data sets into training, validation and test."""

import numpy as np
import pytest

from mt_shared.data import (
    Dataset,
    Structures,
    TargetLabels,
    offsets_from_counts,
    split_datasets,
)
from mt_shared.errors import DataError


def make_dataset(num_systems, frames=None):
    """Structures of 1, 2 or 3 atoms whose energy is their number."""
    counts = [1 + i % 3 for i in range(num_systems)]
    structures = Structures(
        positions=np.random.default_rng(0).normal(size=(sum(counts), 3)),
        types=np.ones(sum(counts), dtype=np.int32),
        cells=np.zeros((num_systems, 3, 3)),
        pbc=np.zeros((num_systems, 3), dtype=bool),
        offsets=offsets_from_counts(counts),
    )
    frames = np.arange(num_systems) if frames is None else np.array(frames)
    labels = TargetLabels(
        frames[:, None].astype(float),
        {"positions": np.repeat(frames, counts)[:, None] * np.ones(3)},
    )
    return Dataset(structures, {"energy": labels}, frames, "data.xyz")


def split_dataset(dataset, parts, seed):
    """The splits of one data set."""
    return {name: split for name, (split,) in split_datasets([dataset], parts, seed).items()}


def sizes(splits):
    return {name: len(split.frames) for name, split in splits.items()}


def test_fractions_are_of_the_whole_training_file():
    splits = split_dataset(make_dataset(100), {"validation": 0.1, "test": 0.29}, seed=0)
    assert sizes(splits) == {"training": 61, "validation": 10, "test": 29}


def test_each_structure_is_in_one_split_with_its_own_labels():
    splits = split_dataset(make_dataset(50), {"validation": 0.2, "test": 0.1}, seed=3)
    everything = np.concatenate([split.frames for split in splits.values()])
    assert sorted(everything) == list(range(50))
    for split in splits.values():
        labels = split.labels["energy"]
        np.testing.assert_array_equal(labels.values[:, 0], split.frames)
        counts = split.structures.atoms_per_system
        np.testing.assert_array_equal(counts, 1 + split.frames % 3)
        expected = np.repeat(split.frames, counts)
        np.testing.assert_array_equal(labels.gradients["positions"][:, 0], expected)


def test_a_seed_gives_the_same_split_again():
    def indices(seed):
        return split_dataset(make_dataset(50), {"validation": 0.2}, seed)["validation"].frames

    np.testing.assert_array_equal(indices(1), indices(1))
    assert set(indices(1)) != set(indices(2))


def test_a_fraction_is_taken_of_each_data_set():
    splits = split_datasets([make_dataset(50), make_dataset(20)], {"validation": 0.1}, seed=0)
    assert [len(split) for split in splits["validation"]] == [5, 2]
    assert [len(split) for split in splits["training"]] == [45, 18]


def test_a_small_data_set_beside_a_large_one_may_give_nothing():
    """Isolated atoms beside a large set: no fraction of four is a structure."""
    splits = split_datasets([make_dataset(50), make_dataset(4)], {"validation": 0.1}, seed=0)
    assert [len(split) for split in splits["validation"]] == [5, 0]


def test_indices_are_frame_numbers_and_training_takes_the_rest(tmp_path):
    file = tmp_path / "test.txt"
    file.write_text("7\n\n9\n")
    splits = split_dataset(make_dataset(10), {"validation": [0, 3], "test": str(file)}, seed=0)
    assert splits["validation"].frames.tolist() == [0, 3]
    assert splits["test"].frames.tolist() == [7, 9]
    assert splits["training"].frames.tolist() == [1, 2, 4, 5, 6, 8]


def test_indices_of_training_leave_other_frames_alone():
    parts = {"training": [0, 1, 2, 3], "validation": [8], "test": 0.25}
    splits = split_dataset(make_dataset(10), parts, seed=0)
    assert sizes(splits) == {"training": 3, "validation": 1, "test": 1}
    assert set(splits["training"].frames) | set(splits["test"].frames) == {0, 1, 2, 3}


def test_indices_count_in_the_file_when_only_some_frames_were_read():
    splits = split_dataset(make_dataset(3, frames=[4, 6, 8]), {"validation": [6]}, seed=0)
    assert splits["training"].frames.tolist() == [4, 8]
    with pytest.raises(DataError, match=r"frame 5 of data.xyz is not among the frames"):
        split_dataset(make_dataset(3, frames=[4, 6, 8]), {"validation": [5]}, seed=0)


@pytest.mark.parametrize("part", [0.0, []])
def test_no_test_set_on_request(part):
    splits = split_dataset(make_dataset(10), {"validation": 0.1, "test": part}, seed=0)
    assert sizes(splits) == {"training": 9, "validation": 1, "test": 0}
    assert splits["test"].structures.num_atoms == 0


FAULTS = {
    "too few structures": (
        {"validation": 0.1},
        r"validation set \(0.1 of them\) would be empty: there are 5",
    ),
    "fractions of everything": ({"validation": 0.5, "test": 0.5}, "less than 1"),
    "a fraction of one": ({"validation": 1.0}, "at least 0 and below 1"),
    "a negative fraction": ({"validation": -0.1}, "at least 0 and below 1"),
    "indices of everything": ({"validation": [0, 1, 2, 3, 4]}, "training set would be empty"),
    "out of range": ({"test": [5]}, r"test set in data.xyz: the index 5 is out of range"),
    "negative": ({"test": [-1]}, "the index -1 is out of range"),
    "twice": ({"test": [1, 1]}, "the index 1 is there more than once"),
    "overlap": ({"validation": [0, 1], "test": [1, 2]}, "1 indices are in the validation set"),
    "overlap with training": ({"training": [0, 1], "test": [1]}, "training set and in the test"),
    "no file": ({"test": "nowhere.txt"}, "there is no file of indices 'nowhere.txt'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_splits_that_are_refused(name):
    parts, message = FAULTS[name]
    with pytest.raises(DataError, match=message):
        split_dataset(make_dataset(5), parts, seed=0)


def test_a_line_that_is_no_index(tmp_path):
    file = tmp_path / "test.txt"
    file.write_text("1\n2.5\n")
    with pytest.raises(DataError, match=r"line 2: .* number of a frame, found '2.5'"):
        split_dataset(make_dataset(5), {"test": str(file)}, seed=0)


def test_indices_of_several_data_sets():
    with pytest.raises(DataError, match="indices need a single training file, there are 2"):
        split_datasets([make_dataset(5), make_dataset(5)], {"test": [1]}, seed=0)
