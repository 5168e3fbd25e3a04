"""Structures in files of metatomic, one a file."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

from mt_shared.data.structures import Structures
from mt_shared.errors import DataError


def read_system(path: Path) -> Structures:
    """The structure in a file that ``metatomic.torch.save`` wrote."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"'{path}' is no file of metatensor, or it is cut off") from error
    # By numpy: metatomic refuses a file by its suffix, and could not say that it holds labels.
    arrays = {}
    with archive:
        if "positions.npy" not in archive.namelist():
            raise DataError(
                f"'{path}' holds no structure; expected a file of metatomic.torch.save (one "
                "structure); labels in .mts go with structures in another file, such as "
                "extended xyz"
            )
        for name in ("positions", "types", "cell", "pbc"):
            arrays[name] = np.load(BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
    return Structures(
        positions=arrays["positions"].astype(np.float64),
        types=arrays["types"].astype(np.int32),
        cells=arrays["cell"].astype(np.float64)[None],
        pbc=arrays["pbc"].astype(bool)[None],
        offsets=np.array([0, len(arrays["types"])], dtype=np.int64),
    )
