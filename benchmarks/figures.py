"""The figures: what is measured, and how."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inputs import Data, many, shipped, soap_bpnn, write_options
from report import Row
from sides import BenchmarkError, Output, Side, alternate

# "epoch 5/40 | ..." of ours, "... Epoch:    5 | ..." of metatrain
EPOCH_LINE = re.compile(r"\bepoch:?\s+(\d+)\b.*\|", re.IGNORECASE)
MOLECULE, CRYSTAL = (1, 1, 1), (2, 4, 5)  # 9 atoms; 40 cells of ice, 960 atoms


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

    def ethanol(self) -> Data:
        """160 structures for training, 20 and 20 for the rest."""
        return shipped(self.ours, "ethanol", self.folder / "ethanol")

    def row(
        self,
        figure: str,
        unit: str,
        goal: float | None,
        measure: Callable[[Side, int], float],
    ) -> Row:
        """Measure both in turn."""
        print(figure, file=sys.stderr)
        values = alternate((self.ours, self.metatrain), measure, self.sizes.repeats)
        return Row(figure, unit, values["ours"], values["metatrain"], goal)

    def place(self, figure: str, side: Side, repeat: int) -> Path:
        """An empty folder for a run."""
        return self.folder / figure / f"{side.name}-{repeat}"


def epoch(bench: Bench) -> list[Row]:
    """Time of an epoch of training, validation included, when the first ones are over."""
    sizes = bench.sizes
    options = write_options(
        bench.folder / "epoch" / "options.yaml",
        bench.ethanol(),
        soap_bpnn(sizes.epochs, sizes.log_interval),
    )

    def measure(side: Side, repeat: int) -> float:
        output = side.call(["train", str(options)], bench.place("epoch", side, repeat))
        return epoch_seconds(output)

    return [bench.row("epoch, ethanol with forces", "s", 1 / 2, measure)]


def epoch_seconds(output: Output) -> float:
    """Between the second and the last line about an epoch."""
    stamps = [
        (seconds, int(found[1]))
        for seconds, line in output.lines
        if (found := EPOCH_LINE.search(line))
    ]
    if len(stamps) < 3:
        raise BenchmarkError(f"only {len(stamps)} lines about epochs in the output of a training")
    (started, first), (stopped, last) = stamps[1], stamps[-1]
    return (stopped - started) / (last - first)


def start(bench: Bench) -> list[Row]:
    """From the start of the command until the first batch enters the model."""
    options = write_options(bench.folder / "start" / "options.yaml", bench.ethanol(), soap_bpnn(1))
    measure = _first_batch(bench, "start", options)
    measure(bench.ours, -1), measure(bench.metatrain, -1)  # files of compiled Python, disk cache
    return [bench.row("start of the command to the first batch", "s", 6 / 10, measure)]


def _first_batch(bench: Bench, figure: str, options: Path) -> Callable[[Side, int], float]:
    def measure(side: Side, repeat: int) -> float:
        place = bench.place(figure, side, repeat)
        arguments = [side.name, "train", str(options)]
        result, output = side.inside("first_batch.py", arguments, place)
        return float(result["monotonic"]) - output.started

    return measure


def whole(bench: Bench) -> list[Row]:
    """A whole run: start, epochs, export, evaluation of the three sets."""
    number = bench.sizes.whole_epochs
    options = write_options(
        bench.folder / "whole" / "options.yaml", bench.ethanol(), soap_bpnn(number)
    )

    def measure(side: Side, repeat: int) -> float:
        place = bench.place("whole", side, repeat)
        seconds = side.call(["train", str(options), "-o", "model.pt"], place).seconds
        if not (place / "model.pt").is_file():
            raise BenchmarkError(f"{side.name} left no model.pt")
        return seconds

    return [bench.row(f"whole run of {number} epochs", "s", 1 / 2, measure)]


def help_text(bench: Bench) -> list[Row]:
    """The command with --help."""

    def measure(side: Side, repeat: int) -> float:
        return side.call(["--help"], bench.folder / "help").seconds

    measure(bench.ours, -1), measure(bench.metatrain, -1)
    return [bench.row("--help", "s", 1 / 10, measure)]


def read(bench: Bench) -> list[Row]:
    """Ready to train with many structures: the command, and the reading alone."""
    number = bench.sizes.structures
    data = many(bench.ethanol(), number, bench.folder / "read")
    options = write_options(bench.folder / "read" / "options.yaml", data, soap_bpnn(1))

    def measure(side: Side, repeat: int) -> float:
        place = bench.place("read", side, repeat)
        result, _ = side.inside("read_data.py", [side.name, str(data.train)], place)
        assert result["structures"] == number
        return float(result["seconds"])

    command = _first_batch(bench, "ready", options)
    return [
        bench.row(f"{number} structures, command to the first batch", "s", 1 / 5, command),
        bench.row(f"{number} structures, reading alone", "s", 1 / 5, measure),
    ]


def md(bench: Bench) -> list[Row]:
    """Steps of molecular dynamics in ASE, of a molecule and of a crystal."""
    ice = shipped(bench.ours, "ice", bench.folder / "ice")
    sizes = bench.sizes
    return [
        _dynamics(bench, "9 atoms", bench.ethanol(), MOLECULE, sizes.molecule_steps),
        _dynamics(bench, "960 atoms", ice, CRYSTAL, sizes.crystal_steps),
    ]


def _dynamics(bench: Bench, label: str, data: Data, cells: tuple[int, int, int], steps: int) -> Row:
    """With models of one epoch, which are as fast as any."""
    models = bench.folder / "md" / label.replace(" ", "-")
    options = write_options(models / "options.yaml", data, soap_bpnn(1))
    for side in (bench.ours, bench.metatrain):
        arguments = ["train", str(options), "-o", "model.pt", "-e", "extensions"]
        side.call(arguments, models / side.name)

    def measure(side: Side, repeat: int) -> float:
        model = models / side.name / "model.pt"
        arguments = [str(model), str(data.test), *map(str, cells)]
        # TorchScript compiles in the first calls, and again when sizes turn out to vary
        arguments += ["--steps", str(steps), "--warm-up", str(max(10, steps // 4))]
        result, _ = side.inside("molecular_dynamics.py", arguments, models / side.name)
        return float(result["milliseconds"])

    return bench.row(f"MD step, {label}", "ms", 2 / 3, measure)


def accuracy(bench: Bench) -> list[Row]:
    """Force error on the validation set after equal times of training, schedules at their end."""
    sizes, data = bench.sizes, bench.ethanol()
    epochs = {side.name: _epochs_for(bench, side) for side in (bench.ours, bench.metatrain)}
    times: dict[str, list[float]] = {name: [] for name in epochs}

    def measure(side: Side, repeat: int) -> float:
        place = bench.place("accuracy", side, repeat)
        number = epochs[side.name]
        options = write_options(
            place / "options.yaml", data, soap_bpnn(number, sizes.log_interval), seed=repeat
        )
        arguments = ["train", str(options), "-o", "model.pt", "-e", "extensions"]
        times[side.name].append(number * epoch_seconds(side.call(arguments, place)))
        result, _ = side.inside("force_error.py", ["model.pt", str(data.valid)], place)
        return float(result["rmse"])

    budget = sizes.training_seconds
    told = ", ".join(f"{name} {number}" for name, number in epochs.items())
    return [
        bench.row(f"force RMSE after {budget:.0f} s (epochs: {told})", "meV/A", 1.0, measure),
        Row("  the time that took", "s", times["ours"], times["metatrain"], None),
    ]


def _epochs_for(bench: Bench, side: Side) -> int:
    """How many fill the time, measured as in the figure of an epoch."""
    sizes, place = bench.sizes, bench.place("accuracy", side, -1)
    options = write_options(
        place / "options.yaml", bench.ethanol(), soap_bpnn(sizes.epochs, sizes.log_interval)
    )
    seconds = epoch_seconds(side.call(["train", str(options)], place))
    # three lines about epochs tell the time that was really taken
    return max(3 * sizes.log_interval, round(sizes.training_seconds / seconds))


FIGURES: dict[str, Callable[[Bench], list[Row]]] = {
    "epoch": epoch,
    "start": start,
    "whole": whole,
    "help": help_text,
    "read": read,
    "md": md,
    "accuracy": accuracy,
}
