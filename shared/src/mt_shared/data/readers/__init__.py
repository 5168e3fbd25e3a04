"""Reading data sets: structures and labels, from the files that the options name."""

from mt_shared.data.readers.reading import read_chunks, read_dataset
