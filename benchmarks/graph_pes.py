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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inputs import Data, shipped, write_options
from report import Row, machine, table
from sides import Side, alternate, run_benchmark

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
        output = side.train(options, place)
        return output.epoch_seconds(), side.force_error(self.data.valid, place)

    def theirs(self, side: Side, repeat: int) -> tuple[float, float]:
        """The same, with the loss and the offset of graph-pes's own examples."""
        place = self.folder / f"{side.name}-{repeat}"
        place.mkdir(parents=True)
        config = place / "config.yaml"
        config.write_text(json.dumps(self._their_config(place, repeat), indent=2), encoding="utf-8")
        output = side.call([str(config)], place)
        error = side.force_error(self.data.valid, place, "run/model.pt")
        return output.epoch_seconds(THEIR_LINE), error

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


def main() -> int:
    """Race, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ours", type=Path, required=True, help="interpreter with mt-painn")
    parser.add_argument("--theirs", type=Path, required=True, help="interpreter with graph-pes")
    parser.add_argument("--epochs", type=int, default=100, help="of each training (default: 100)")
    parser.add_argument("--batch-size", type=int, default=4, help="of both (default: 4)")
    parser.add_argument("--radial", type=int, default=8, help="radial functions (default: 8)")
    parser.add_argument("--repeats", type=int, default=3, help="seeds 0, 1, ... (default: 3)")
    return run_benchmark(parser, race)


def race(arguments: argparse.Namespace, folder: Path) -> str:
    """Both sides in turn; the table, and what there is to know of the machine."""
    ours = Side("ours", arguments.ours.absolute(), "mt", arguments.threads)
    theirs = Side("graph-pes", arguments.theirs.absolute(), "graph-pes-train", arguments.threads)
    data = shipped(ours, "ethanol", folder / "ethanol")
    equal = Race(data, arguments.radial, arguments.batch_size, arguments.epochs, folder)
    run = {ours.name: equal.ours, theirs.name: equal.theirs}
    errors: dict[str, list[float]] = {name: [] for name in run}

    def measure(side: Side, repeat: int) -> float:
        seconds, error = run[side.name](side, repeat)
        errors[side.name].append(error)
        return seconds

    seconds = alternate((ours, theirs), measure, arguments.repeats)
    # graph-pes stands where metatrain stands in the other tables, and there is no goal
    after = f"force RMSE after {arguments.epochs} epochs"
    rows = [
        Row("time of an epoch", "s", seconds[ours.name], seconds[theirs.name], None),
        Row(after, "meV/A", errors[ours.name], errors[theirs.name], None),
    ]
    cells = [("figure", *run, "ratio"), *(row.cells()[:4] for row in rows)]
    return f"{machine() | {'threads': arguments.threads}}\n{table(cells)}"


if __name__ == "__main__":
    sys.exit(main())
