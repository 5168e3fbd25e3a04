"""The fit of mt-gap against that of metatrain's gap: the same options on the same structures.

    python benchmarks/metatrain_gap.py --ours gap/bin/python --metatrain theirs/bin/python

``--ours`` is an interpreter with mt-core, mt-gap and metatomic-ase, ``--metatrain`` one with
metatrain[gap]. They take turns, A B A B; the table has median, smallest and largest value of each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from inputs import Data, read_frames, shipped, write_frames, write_options
from report import machine, table
from sides import BenchmarkError, Side, alternate

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
SAME = {
    "name": "gap",
    "model": {"soap": SOAP, "krr": KRR},
    "training": {"regularizer": 1e-3},
}
# the same functions of the fit: metatrain has no directions
OF_THEIRS = SAME | {"model": {"soap": SOAP, "krr": KRR | {"num_directions": 0}}}
ENTRANTS = {
    "metatrain": SAME,
    "ours, num_directions: 0": OF_THEIRS,
    "ours, the same options": SAME,
    "ours, our defaults": {"name": "gap"},
}


@dataclass
class Race:
    """What each has taken so far."""

    data: Data
    folder: Path
    sides: dict[str, Side]
    memory: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, list[float]] = field(default_factory=dict)

    def run(self, entrant: Side, repeat: int) -> float:
        """CPU seconds of the fit; memory and the force RMSE on the test set are kept."""
        side = self.sides[entrant.name]
        place = self.folder / f"{entrant.name.replace(' ', '-')}-{repeat}"
        architecture: dict[str, Any] = ENTRANTS[entrant.name]
        options = write_options(place / "options.yaml", self.data, architecture, precision=64)
        arguments = [side.name, "train", str(options), "-e", "extensions"]
        found, _ = side.inside("fit_cost.py", arguments, place)
        error, _ = side.inside("force_error.py", ["model.pt", str(self.data.test)], place)
        self.memory.setdefault(entrant.name, []).append(found["peak_bytes"] / 1e6)
        self.errors.setdefault(entrant.name, []).append(error["rmse"])
        return float(found["seconds"])


def main() -> int:
    """Race, and print the table."""
    arguments = make_parser().parse_args()
    ours = Side("ours", arguments.ours.absolute(), "mt", arguments.threads)
    theirs = Side("metatrain", arguments.metatrain.absolute(), "mtt", arguments.threads)
    sides = {name: theirs if name == "metatrain" else ours for name in ENTRANTS}
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            race = Race(few(ours, arguments.structures, folder / "data"), folder, sides)
            entrants = tuple(
                Side(name, side.python, side.command, side.threads) for name, side in sides.items()
            )
            seconds = alternate(entrants, race.run, arguments.repeats)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    rows = [("fit", "CPU time", "peak memory", "force RMSE, test")]
    rows += [
        (name, _cell(seconds[name], "s"), _cell(race.memory[name], "MB"),
         _cell(race.errors[name], "meV/A"))
        for name in ENTRANTS
    ]  # fmt: skip
    print(f"{machine() | {'threads': arguments.threads}}\n{table(rows)}")
    return 0


def few(ours: Side, number: int, folder: Path) -> Data:
    """So many structures of the shipped ethanol for training."""
    data = shipped(ours, "ethanol", folder)
    write_frames(folder / "few.xyz", read_frames(data.train)[:number])
    return Data(folder / "few.xyz", data.valid, data.test)


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", type=Path, required=True, help="interpreter with mt-gap")
    parser.add_argument(
        "--metatrain", type=Path, required=True, help="interpreter with metatrain[gap]"
    )
    parser.add_argument("--structures", type=int, default=80, help="for training (default: 80)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--threads", type=int, default=1, help="of OpenMP (default: 1)")
    return parser


def _cell(values: list[float], unit: str) -> str:
    return f"{median(values):.3g} {unit} ({min(values):.3g}-{max(values):.3g})"


if __name__ == "__main__":
    sys.exit(main())
