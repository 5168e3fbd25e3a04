"""The fit of mt-gap against that of metatrain's gap: the same options on the same structures.

    python benchmarks/metatrain_gap.py --ours gap/bin/python --metatrain theirs/bin/python

``--ours`` is an interpreter with mt-core, mt-gap and metatomic-ase, ``--metatrain`` one with
metatrain[gap]. They take turns, A B A B; the table has median, smallest and largest value of each.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from inputs import Data, read_frames, shipped, write_frames, write_options
from report import machine, spread, table
from sides import Side, alternate, run_benchmark

# what metatrain does where its options say nothing
SOAP = {
    "cutoff": {"radius": 5.0, "smoothing": {"type": "ShiftedCosine", "width": 1.0}},
    "density": {
        "type": "Gaussian",
        "center_atom_weight": 1.0,
        "width": 0.3,
        "scaling": {"type": "Willatt2018", "rate": 1.0, "scale": 2.0, "exponent": 7.0},
    },
    "basis": {
        "type": "TensorProduct",
        "max_angular": 6,
        "radial": {"type": "Gto", "max_radial": 7},
    },
}
KRR = {"degree": 2, "num_sparse_points": 500}
SAME: dict[str, Any] = {
    "name": "gap",
    "model": {"soap": SOAP, "krr": KRR},
    "training": {"regularizer": 1e-3},
}
ENTRANTS: dict[str, dict[str, Any]] = {
    "metatrain": SAME,
    # the same functions of the fit: metatrain has no directions
    "ours, num_directions: 0": SAME | {"model": {"soap": SOAP, "krr": KRR | {"num_directions": 0}}},
    "ours, the same options": SAME,
    "ours, our defaults": {"name": "gap"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ours", type=Path, required=True, help="interpreter with mt-gap")
    parser.add_argument(
        "--metatrain", type=Path, required=True, help="interpreter with metatrain[gap]"
    )
    parser.add_argument("--structures", type=int, default=80, help="for training (default: 80)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default: 3)")
    run_benchmark(parser, race, threads=1)


def race(arguments: argparse.Namespace, folder: Path) -> str:
    """The table, and what there is to know of the machine."""
    ours = Side("ours", arguments.ours.absolute(), "mt", arguments.threads)
    theirs = Side("metatrain", arguments.metatrain.absolute(), "mtt", arguments.threads)
    data = shipped(ours, "ethanol", folder / "data")
    write_frames(folder / "data/few.xyz", read_frames(data.train)[: arguments.structures])
    data = Data(folder / "data/few.xyz", data.valid, data.test)
    memory: dict[str, list[float]] = {name: [] for name in ENTRANTS}
    errors: dict[str, list[float]] = {name: [] for name in ENTRANTS}

    def measure(entrant: Side, repeat: int) -> float:
        """CPU seconds of the fit; memory and the force RMSE on the test set are kept."""
        place = folder / f"{entrant.name.replace(' ', '-')}-{repeat}"
        options = write_options(place / "options.yaml", data, ENTRANTS[entrant.name], precision=64)
        program = "metatrain" if entrant.name == "metatrain" else "ours"
        arguments = [program, "train", str(options), "-e", "extensions"]
        found, _ = entrant.inside("fit_cost.py", arguments, place)
        memory[entrant.name].append(found["peak_bytes"] / 1e6)
        errors[entrant.name].append(entrant.force_error(data.test, place))
        return float(found["seconds"])

    entrants = [
        dataclasses.replace(theirs if name == "metatrain" else ours, name=name) for name in ENTRANTS
    ]
    seconds = alternate(entrants, measure, arguments.repeats)
    values = ((seconds, "s"), (memory, "MB"), (errors, "meV/A"))
    rows = [(name, *(spread(each[name], unit) for each, unit in values)) for name in ENTRANTS]
    cells = [("fit", "CPU time", "peak memory", "force RMSE, test"), *rows]
    return f"{machine() | {'threads': arguments.threads}}\n{table(cells)}"


if __name__ == "__main__":
    main()
