"""PaiNN here against PaiNN of graph-pes: the same size, data, epochs and batches.

    python benchmarks/graph_pes.py --ours painn/bin/python --theirs graphpes/bin/python

``--ours`` is an interpreter with mt-core, mt-painn and metatomic-ase, ``--theirs`` one with
graph-pes. They take turns, A B A B; the table has median, smallest and largest value of each.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from figures import EPOCH_LINE
from inputs import Data, shipped, write_options
from report import machine, table
from sides import BenchmarkError, Output, Side, alternate

# "    12    18.7   ..." where progress is logged
THEIR_LINE = re.compile(r"^\s+(\d+)\s+\d+\.\d\s")
SIZE = {"cutoff": 5.0, "num_features": 64, "num_layers": 3}


@dataclass(frozen=True)
class Race:
    """What is equal on both sides, and where the files are."""

    data: Data
    num_radial: int
    batch_size: int
    num_epochs: int
    folder: Path

    def ours(self, side: Side, repeat: int) -> tuple[float, float]:
        """Seconds of an epoch, and the force RMSE in meV/A on the validation set."""
        place = self.folder / f"{side.name}-{repeat}"
        training = {
            "num_epochs": self.num_epochs, "batch_size": self.batch_size, "log_interval": 1,
        }  # fmt: skip
        model = {**SIZE, "num_radial": self.num_radial}
        architecture = {"name": "painn", "model": model, "training": training}
        options = write_options(place / "options.yaml", self.data, architecture, seed=repeat)
        output = side.call(["train", str(options), "-o", "model.pt"], place)
        found, _ = side.inside("force_error.py", ["model.pt", str(self.data.valid)], place)
        return epoch_seconds(output, EPOCH_LINE), float(found["rmse"])

    def theirs(self, side: Side, repeat: int) -> tuple[float, float]:
        """The same, with the loss and the offset of graph-pes's own examples."""
        place = self.folder / f"{side.name}-{repeat}"
        place.mkdir(parents=True)
        config = place / "config.yaml"
        config.write_text(json.dumps(self._their_config(place, repeat), indent=2), encoding="utf-8")
        output = side.call([str(config)], place)
        model = place / "run" / "model.pt"
        found, _ = side.inside("graph_pes_error.py", [str(model), str(self.data.valid)], place)
        return epoch_seconds(output, THEIR_LINE), float(found["rmse"])

    def _their_config(self, place: Path, repeat: int) -> dict[str, Any]:
        painn = {
            "channels": SIZE["num_features"],
            "layers": SIZE["num_layers"],
            "cutoff": SIZE["cutoff"],
            "radial_features": self.num_radial,
        }
        general = {"seed": repeat, "progress": "logged", "root_dir": str(place), "run_id": "run"}
        return {
            "model": {"offset": "+LearnableOffset()", "many-body": {"+PaiNN": painn}},
            "data": {"train": _their_data(self.data.train), "valid": _their_data(self.data.valid)},
            "loss": ["+PerAtomEnergyLoss()", "+ForceRMSE()"],
            "fitting": {
                "trainer_kwargs": {"max_epochs": self.num_epochs, "accelerator": "cpu"},
                "loader_kwargs": {"batch_size": self.batch_size},
            },
            "general": general,
            "wandb": None,
        }


def _their_data(path: Path) -> dict[str, Any]:
    return {"+file_dataset": {"path": str(path), "cutoff": SIZE["cutoff"], "shuffle": False}}


def epoch_seconds(output: Output, pattern: re.Pattern[str]) -> float:
    """Between the second and the last line about an epoch, validation included."""
    found = [(seconds, pattern.search(line)) for seconds, line in output.lines]
    stamps = [(seconds, int(match[1])) for seconds, match in found if match]
    if len(stamps) < 3:
        raise BenchmarkError(f"only {len(stamps)} lines about epochs in the output of a training")
    (started, first), (stopped, last) = stamps[1], stamps[-1]
    return (stopped - started) / (last - first)


def main() -> int:
    """Race, and print the table."""
    arguments = make_parser().parse_args()
    ours = Side("ours", arguments.ours.absolute(), "mt", arguments.threads)
    theirs = Side("graph-pes", arguments.theirs.absolute(), "graph-pes-train", arguments.threads)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (arguments.folder or Path(temporary)).absolute()
            print(run(arguments, ours, theirs, folder))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", type=Path, required=True, help="interpreter with mt-painn")
    parser.add_argument("--theirs", type=Path, required=True, help="interpreter with graph-pes")
    parser.add_argument("--epochs", type=int, default=100, help="of each training (default: 100)")
    parser.add_argument("--batch-size", type=int, default=4, help="of both (default: 4)")
    parser.add_argument("--radial", type=int, default=8, help="radial functions (default: 8)")
    parser.add_argument("--repeats", type=int, default=3, help="seeds 0, 1, ... (default: 3)")
    parser.add_argument("--threads", type=int, default=2, help="of OpenMP (default: 2)")
    parser.add_argument("--folder", type=Path, help="a new folder to keep all files of the runs in")
    return parser


def run(arguments: argparse.Namespace, ours: Side, theirs: Side, folder: Path) -> str:
    """Both sides in turn; the table, and what there is to know of the machine."""
    data = shipped(ours, "ethanol", folder / "ethanol")
    race = Race(data, arguments.radial, arguments.batch_size, arguments.epochs, folder)
    races = {ours.name: race.ours, theirs.name: race.theirs}
    errors: dict[str, list[float]] = {name: [] for name in races}

    def measure(side: Side, repeat: int) -> float:
        seconds, error = races[side.name](side, repeat)
        errors[side.name].append(error)
        return seconds

    seconds = alternate((ours, theirs), measure, arguments.repeats)
    rows = [
        ("figure", *races, "ratio"),
        _row("time of an epoch", "s", seconds),
        _row(f"force RMSE after {arguments.epochs} epochs", "meV/A", errors),
    ]
    return f"{machine() | {'threads': arguments.threads}}\n{table(rows)}"


def _row(figure: str, unit: str, values: dict[str, list[float]]) -> tuple[str, ...]:
    cells = [f"{median(v):.4g} {unit} ({min(v):.4g}-{max(v):.4g})" for v in values.values()]
    ours, theirs = (median(v) for v in values.values())
    return figure, *cells, f"{ours / theirs:.3f}"


if __name__ == "__main__":
    sys.exit(main())
