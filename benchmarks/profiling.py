"""What limits the figures: a training step of ours by part and operator, and imports of both."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from figures import Bench
from report import table
from sides import Side

# "import time:       123 |       4567 |   package.module"
IMPORT_LINE = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
ROWS = 12


def profile(bench: Bench) -> str:
    options = bench.options("profile", 1)
    return "\n\n".join([_step(bench, options), _imports(bench, options)])


def _step(bench: Bench, options: Path) -> str:
    place = bench.folder / "profile" / "step"
    result, _ = bench.ours.inside("profile_step.py", [str(options)], place)
    profiled = result["profiled"]
    parts = result["parts"] | {"the rest": profiled - sum(result["parts"].values())}
    rows = [(name, f"{ms:.3f}", f"{ms / profiled:.0%}") for name, ms in parts.items()]
    operators = [
        (name[:60], f"{calls:.0f}", f"{ms:.3f}", f"{ms / profiled:.0%}")
        for name, calls, ms in result["operators"]
    ]
    return (
        f"A training step of ours: {result['milliseconds']:.2f} ms by the clock, {profiled:.2f} ms "
        "of CPU under the profiler, which costs something itself\n\n"
        + table([("part of a step", "ms", "share"), *rows])
        + "\n\n"
        + table([("operator, without what it calls", "calls", "ms", "share"), *operators])
    )


def _imports(bench: Bench, options: Path) -> str:
    """Milliseconds of import by package, itself without what it imports."""
    ours, metatrain = (_import_times(bench, side, options) for side in bench.sides)
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
        # python -X importtime writes a line for each module, its own time first
        _, output = side.inside("first_batch.py", arguments, place, "-X", "importtime")
        for _, line in output.lines:
            if found := IMPORT_LINE.match(line):
                times[found[2].split(".")[0]] += int(found[1])
    return Counter({name: value // 1000 for name, value in times.items()})
