"""PaiNN here against PaiNN of graph-pes: the same size, data, epochs and batches.

    python benchmarks/graph_pes.py --ours painn/bin/python --theirs graphpes/bin/python

``--ours`` is an interpreter with mt-core, mt-painn and metatomic-ase, ``--theirs`` one with
graph-pes. They take turns, A B A B; the table has median, smallest and largest value of each.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from inputs import Data, shipped, write_options
from report import Row, machine, table
from sides import Side, alternate, run_benchmark

# "    12    18.7   ..." where progress is logged
THEIR_LINE = re.compile(r"^\s+(\d+)\s+\d+\.\d\s")
SIZE = {"cutoff": 5.0, "num_features": 64, "num_layers": 3}


def train_ours(
    side: Side, data: Data, place: Path, arguments: argparse.Namespace, seed: int
) -> float:
    """Seconds of an epoch."""
    training = {
        "num_epochs": arguments.epochs, "batch_size": arguments.batch_size, "log_interval": 1,
    }  # fmt: skip
    model = {**SIZE, "num_radial": arguments.radial}
    architecture = {"name": "painn", "model": model, "training": training}
    options = write_options(place / "options.yaml", data, architecture, seed=seed)
    return side.train(options, place).epoch_seconds()


def train_theirs(
    side: Side, data: Data, place: Path, arguments: argparse.Namespace, seed: int
) -> float:
    """Seconds of an epoch, with the loss and the offset of graph-pes's own examples."""
    painn = {
        "channels": SIZE["num_features"],
        "layers": SIZE["num_layers"],
        "cutoff": SIZE["cutoff"],
        "radial_features": arguments.radial,
    }
    train, valid = (
        {"+file_dataset": {"path": str(path), "cutoff": SIZE["cutoff"], "shuffle": False}}
        for path in (data.train, data.valid)
    )
    config = {
        "model": {"offset": "+LearnableOffset()", "many-body": {"+PaiNN": painn}},
        "data": {"train": train, "valid": valid},
        "loss": ["+PerAtomEnergyLoss()", "+ForceRMSE()"],
        "fitting": {
            "trainer_kwargs": {"max_epochs": arguments.epochs, "accelerator": "cpu"},
            "loader_kwargs": {"batch_size": arguments.batch_size},
        },
        "general": {"seed": seed, "progress": "logged", "root_dir": str(place), "run_id": "run"},
        "wandb": None,
    }
    place.mkdir(parents=True)
    (place / "config.yaml").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return side.call([str(place / "config.yaml")], place).epoch_seconds(THEIR_LINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ours", type=Path, required=True, help="interpreter with mt-painn")
    parser.add_argument("--theirs", type=Path, required=True, help="interpreter with graph-pes")
    parser.add_argument("--epochs", type=int, default=100, help="of each training (default: 100)")
    parser.add_argument("--batch-size", type=int, default=4, help="of both (default: 4)")
    parser.add_argument("--radial", type=int, default=8, help="radial functions (default: 8)")
    parser.add_argument("--repeats", type=int, default=3, help="seeds 0, 1, ... (default: 3)")
    run_benchmark(parser, race)


def race(arguments: argparse.Namespace, folder: Path) -> str:
    """Both sides in turn; the table, and what there is to know of the machine."""
    ours = Side("ours", arguments.ours.absolute(), "mt", arguments.threads)
    theirs = Side("graph-pes", arguments.theirs.absolute(), "graph-pes-train", arguments.threads)
    data = shipped(ours, "ethanol", folder / "ethanol")
    errors: dict[str, list[float]] = {ours.name: [], theirs.name: []}

    def measure(side: Side, repeat: int) -> float:
        place = folder / f"{side.name}-{repeat}"
        train, model = (train_ours, "model.pt") if side is ours else (train_theirs, "run/model.pt")
        seconds = train(side, data, place, arguments, repeat)
        errors[side.name].append(side.force_error(data.valid, place, model))
        return seconds

    seconds = alternate((ours, theirs), measure, arguments.repeats)
    # graph-pes stands where metatrain stands in the other tables, and there is no goal
    after = f"force RMSE after {arguments.epochs} epochs"
    rows = [
        Row("time of an epoch", "s", seconds[ours.name], seconds[theirs.name], None),
        Row(after, "meV/A", errors[ours.name], errors[theirs.name], None),
    ]
    cells = [("figure", *seconds, "ratio"), *(row.cells()[:4] for row in rows)]
    return f"{machine() | {'threads': arguments.threads}}\n{table(cells)}"


if __name__ == "__main__":
    main()
