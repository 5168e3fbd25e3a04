"""What limits the figures: a training step of ours by part and operator, and imports of both."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from figures import Bench
from inputs import soap_bpnn, write_options
from report import table
from sides import Side

# "import time:       123 |       4567 |   package.module"
IMPORT_LINE = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
ROWS = 12


def profile(bench: Bench) -> str:
    """Text for the terminal."""
    options = write_options(
        bench.folder / "profile" / "options.yaml", bench.ethanol(), soap_bpnn(1)
    )
    return "\n\n".join([_step(bench, options), _imports(bench, options)])


def _step(bench: Bench, options: Path) -> str:
    place = bench.folder / "profile" / "step"
    result, _ = bench.ours.inside("profile_step.py", [str(options)], place)
    profiled = result["profiled"]
    parts = [("part of a step", "ms", "share"), *_shares(result["parts"], profiled)]
    operators = [("operator, without what it calls", "calls", "ms", "share")]
    for name, calls, milliseconds in result["operators"]:
        share = f"{milliseconds / profiled:.0%}"
        operators.append((name[:60], f"{calls:.0f}", f"{milliseconds:.3f}", share))
    return "\n\n".join(
        [
            f"A training step of ours: {result['milliseconds']:.2f} ms by the clock, "
            f"{profiled:.2f} ms of CPU under the profiler, which costs something itself",
            table(parts),
            table(operators),
        ]
    )


def _shares(parts: dict[str, float], total: float) -> list[tuple[str, str, str]]:
    rows = [*parts.items(), ("the rest", total - sum(parts.values()))]
    return [(name, f"{value:.3f}", f"{value / total:.0%}") for name, value in rows]


def _imports(bench: Bench, options: Path) -> str:
    """Milliseconds of import by package, itself without what it imports."""
    ours, metatrain = (_import_times(bench, side, options) for side in _sides(bench))
    names = [name for name, _ in (ours + metatrain).most_common(ROWS)]
    rows = [("imports until the first batch, ms", "ours", "metatrain")]
    rows += [(name, f"{ours[name]:.0f}", f"{metatrain[name]:.0f}") for name in names]
    rows.append(("all", f"{ours.total():.0f}", f"{metatrain.total():.0f}"))
    return table(rows)


def _import_times(bench: Bench, side: Side, options: Path) -> Counter[str]:
    place = bench.folder / "profile" / f"imports-{side.name}"
    arguments = [side.name, "train", str(options)]
    times: Counter[str] = Counter()
    for _ in range(2):  # the first run may compile, and finds a cold disk
        times.clear()
        _, output = side.inside("first_batch.py", arguments, place, "-X", "importtime")
        for _, line in output.lines:
            if found := IMPORT_LINE.match(line):
                times[found[2].split(".")[0]] += int(found[1])
    return Counter({name: value // 1000 for name, value in times.items()})


def _sides(bench: Bench) -> tuple[Side, Side]:
    return bench.ours, bench.metatrain
