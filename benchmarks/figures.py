"""The figures: what is measured, and how."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inputs import Data, many, shipped, soap_bpnn, write_options
from report import Row
from sides import Side, alternate

MOLECULE, CRYSTAL = (1, 1, 1), (2, 4, 5)  # 9 atoms; 40 cells of ice, 960 atoms
Measure = Callable[[Side, int], float]


@dataclass(frozen=True)
class Sizes:
    """How much is done; the defaults are what the figures are about."""

    repeats: int = 5
    epochs: int = 41
    log_interval: int = 5
    whole_epochs: int = 12
    structures: int = 10_000
    molecule_steps: int = 1000
    crystal_steps: int = 50
    training_seconds: float = 120.0


# to see that everything runs; the numbers mean nothing
QUICK = Sizes(
    repeats=1,
    epochs=3,
    log_interval=1,
    whole_epochs=2,
    structures=300,
    molecule_steps=20,
    crystal_steps=3,
    training_seconds=5.0,
)


@dataclass(frozen=True)
class Bench:
    """Both sides, how much is to be done, and a folder for all files."""

    ours: Side
    metatrain: Side
    sizes: Sizes
    folder: Path

    @property
    def sides(self) -> tuple[Side, Side]:
        """In the order in which they take turns."""
        return self.ours, self.metatrain

    def ethanol(self) -> Data:
        """160 structures for training, 20 and 20 for the rest."""
        return shipped(self.ours, "ethanol", self.folder / "ethanol")

    def options(self, figure: str, num_epochs: int, data: Data | None = None) -> Path:
        """The options file of a figure: soap_bpnn at its defaults."""
        path = self.folder / figure / "options.yaml"
        architecture = soap_bpnn(num_epochs, self.sizes.log_interval)
        return write_options(path, data or self.ethanol(), architecture)

    def row(
        self, figure: str, unit: str, goal: float, measure: Measure, warm_up: bool = False
    ) -> Row:
        """Measure both in turn.

        :param warm_up: once each before it counts: files of compiled Python, the cache of the disk
        """
        print(figure, file=sys.stderr)
        if warm_up:
            for side in self.sides:
                measure(side, -1)
        values = alternate(self.sides, measure, self.sizes.repeats)
        return Row(figure, unit, values["ours"], values["metatrain"], goal)

    def place(self, figure: str, side: Side, repeat: int) -> Path:
        return self.folder / figure / f"{side.name}-{repeat}"


def epoch(bench: Bench) -> list[Row]:
    """Time of an epoch of training, validation included, when the first ones are over."""
    options = bench.options("epoch", bench.sizes.epochs)

    def measure(side: Side, repeat: int) -> float:
        place = bench.place("epoch", side, repeat)
        return side.call(["train", str(options)], place).epoch_seconds()

    return [bench.row("epoch, ethanol with forces", "s", 1 / 2, measure)]


def start(bench: Bench) -> list[Row]:
    """From the start of the command until the first batch enters the model."""
    measure = _first_batch(bench, "start", bench.options("start", 1))
    figure = "start of the command to the first batch"
    return [bench.row(figure, "s", 6 / 10, measure, warm_up=True)]


def _first_batch(bench: Bench, figure: str, options: Path) -> Measure:
    def measure(side: Side, repeat: int) -> float:
        # the program replaces the first prediction of a training by a note of the moment
        arguments = [side.name, "train", str(options)]
        result, output = side.inside("first_batch.py", arguments, bench.place(figure, side, repeat))
        return float(result["monotonic"]) - output.started

    return measure


def whole(bench: Bench) -> list[Row]:
    """A whole run: start, epochs, export, evaluation of the three sets."""
    number = bench.sizes.whole_epochs
    options = bench.options("whole", number)

    def measure(side: Side, repeat: int) -> float:
        place = bench.place("whole", side, repeat)
        seconds = side.call(["train", str(options), "-o", "model.pt"], place).seconds
        if not (place / "model.pt").is_file():
            raise SystemExit(f"{side.name} left no model.pt")
        return seconds

    return [bench.row(f"whole run of {number} epochs", "s", 1 / 2, measure)]


def help_text(bench: Bench) -> list[Row]:
    def measure(side: Side, repeat: int) -> float:
        return side.call(["--help"], bench.folder / "help").seconds

    return [bench.row("--help", "s", 1 / 10, measure, warm_up=True)]


def read(bench: Bench) -> list[Row]:
    """Ready to train with many structures: the command, and the reading alone."""
    number = bench.sizes.structures
    data = many(bench.ethanol(), number, bench.folder / "read")

    def measure(side: Side, repeat: int) -> float:
        place = bench.place("read", side, repeat)
        result, _ = side.inside("read_data.py", [side.name, str(data.train)], place)
        assert result["structures"] == number
        return float(result["seconds"])

    command = _first_batch(bench, "ready", bench.options("read", 1, data))
    return [
        bench.row(f"{number} structures, command to the first batch", "s", 1 / 5, command),
        bench.row(f"{number} structures, reading alone", "s", 1 / 5, measure),
    ]


def md(bench: Bench) -> list[Row]:
    """Steps of molecular dynamics in ASE, of a molecule and of a crystal.

    With models of one epoch, which are as fast as any.
    """
    ice = shipped(bench.ours, "ice", bench.folder / "ice")
    sizes = bench.sizes
    return [
        _dynamics(bench, "9 atoms", bench.ethanol(), MOLECULE, sizes.molecule_steps),
        _dynamics(bench, "960 atoms", ice, CRYSTAL, sizes.crystal_steps),
    ]


def _dynamics(bench: Bench, label: str, data: Data, cells: tuple[int, int, int], steps: int) -> Row:
    place = f"md/{label.replace(' ', '-')}"
    models = bench.folder / place
    for side in bench.sides:
        side.train(bench.options(place, 1, data), models / side.name)

    def measure(side: Side, repeat: int) -> float:
        return side.md_milliseconds(models / side.name / "model.pt", data.test, cells, steps)

    return bench.row(f"MD step, {label}", "ms", 2 / 3, measure)


def accuracy(bench: Bench) -> list[Row]:
    """Force error on the validation set after equal times of training, schedules at their end."""
    sizes, data = bench.sizes, bench.ethanol()
    epochs: dict[str, int] = {}
    times: dict[str, list[float]] = {side.name: [] for side in bench.sides}
    for side in bench.sides:
        # an epoch takes what it takes in the figure of that name
        options = bench.options(f"accuracy/{side.name}", sizes.epochs)
        output = side.call(["train", str(options)], bench.place("accuracy", side, -1))
        number = round(sizes.training_seconds / output.epoch_seconds())
        # three lines about epochs tell the time that was really taken
        epochs[side.name] = max(3 * sizes.log_interval, number)

    def measure(side: Side, repeat: int) -> float:
        place, number = bench.place("accuracy", side, repeat), epochs[side.name]
        architecture = soap_bpnn(number, sizes.log_interval)
        options = write_options(place / "options.yaml", data, architecture, seed=repeat)
        times[side.name].append(number * side.train(options, place).epoch_seconds())
        return side.force_error(data.valid, place)

    told = ", ".join(f"{name} {number}" for name, number in epochs.items())
    figure = f"force RMSE after {sizes.training_seconds:.0f} s (epochs: {told})"
    return [
        bench.row(figure, "meV/A", 1.0, measure),
        Row("  the time that took", "s", times["ours"], times["metatrain"], None),
    ]


FIGURES: dict[str, Callable[[Bench], list[Row]]] = {
    "epoch": epoch, "start": start, "whole": whole, "help": help_text, "read": read, "md": md,
    "accuracy": accuracy,
}  # fmt: skip
