"""Seconds to read a file of extended xyz with energies and forces, after all imports.

Usage: ``python read_data.py ours|metatrain FILE.xyz``

Ours: `read_dataset`, which checks the labels, and `build_store`: flat tensors, baselines taken off,
the neighbor lists of all structures. metatrain: `get_dataset`, its list of systems and of tensor
maps; its neighbor lists are not in the time, it computes them in each epoch anew.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

CUTOFF = 5.0  # angstrom, the default of soap_bpnn
ENERGY = {"key": "energy", "unit": "eV", "forces": True}


def data_set(path: str) -> dict[str, Any]:
    """What stands under ``training_set`` in an options file."""
    systems = {"read_from": path, "length_unit": "angstrom"}
    return {"systems": systems, "targets": {"energy": ENERGY}}


def read_ours(path: str) -> tuple[float, int]:
    import numpy as np
    import torch
    import vesin  # noqa: F401  not to time its import

    from mt_core.options import parse_eval
    from mt_shared.contract import DatasetInfo, TargetInfo
    from mt_shared.data import Normalization, build_store, read_dataset

    target = TargetInfo(quantity="energy", unit="eV", gradients=("positions",))
    started = time.perf_counter()
    (spec,) = parse_eval(data_set(path), "options")
    data = read_dataset(spec)
    types = tuple(int(kind) for kind in np.unique(data.structures.types))
    info = DatasetInfo("angstrom", types, {"energy": target})
    baseline = Normalization(np.zeros((len(types), 1)), 1.0)
    store = build_store([data], info, CUTOFF, {"energy": baseline}, torch.float32)
    return time.perf_counter() - started, len(store)


def read_metatrain(path: str) -> tuple[float, int]:
    from metatrain.utils.data import get_dataset
    from metatrain.utils.omegaconf import expand_dataset_config
    from omegaconf import OmegaConf

    started = time.perf_counter()
    (options,) = expand_dataset_config(OmegaConf.create(data_set(path)))
    data, _, _ = get_dataset(options)
    return time.perf_counter() - started, len(data)


if __name__ == "__main__":
    read = {"ours": read_ours, "metatrain": read_metatrain}[sys.argv[1]]
    seconds, number = read(sys.argv[2])
    print(json.dumps({"seconds": seconds, "structures": number}))
