"""Whether two installations train to the same numbers, to the last bit: proof of a refactoring.

    python benchmarks/same_numbers.py --before old/bin/python --after new/bin/python

Each trains every architecture that the first one has, with a seed and one thread, on the shipped
molecules and on the shipped crystal (which has a stress), and restarts once. Compared are all
columns of ``train.csv``, every tensor and number of the checkpoint, and what ``mt eval`` prints and
writes. The last line counts the differences; the status is 1 where there are any.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from sides import Side

EPOCHS, LATER = 3, 5
EXAMPLES = ("ethanol", "ice")
EXTENSIONS = ["-e", "extensions"]
# hypers that make a training of seconds, where the defaults take longer
SMALL: dict[str, list[str]] = {"gap": ["architecture.model.krr.num_sparse_points=50"]}
_LEAVES = """
import hashlib, json, sys, torch
def leaves(value, path=""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}.{number}")
    elif isinstance(value, torch.Tensor):
        data = value.detach().cpu().contiguous()
        yield path, hashlib.sha256(data.view(torch.uint8).numpy().tobytes() if data.dim() else
                                   repr(data.item()).encode()).hexdigest()
    else:
        yield path, repr(value)
print(json.dumps(dict(leaves(torch.load(sys.argv[1], weights_only=True)))))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="an interpreter")
    parser.add_argument("--after", type=Path, required=True, help="another one")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these architectures alone")
    arguments = parser.parse_args()
    before, after = (
        Side(name, getattr(arguments, name).absolute(), "mt", threads=1)
        for name in ("before", "after")
    )
    with tempfile.TemporaryDirectory() as folder:
        names = arguments.only or [each["name"] for each in before.architectures(Path(folder))]
        if not names:
            raise SystemExit("the environment of --before has no architecture")
        return compare(before, after, names, Path(folder))


def compare(before: Side, after: Side, names: list[str], folder: Path) -> int:
    """A line for each training; 1 where a number differs."""
    total = 0
    for name in names:
        for example in EXAMPLES:
            ours, theirs = (
                numbers(side, name, example, folder / side.name / name / example)
                for side in (before, after)
            )
            different = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
            loss = ours.get("train.csv.val loss", "a fit without epochs")
            count = f"{len(ours)} values, {len(different)} differ"
            print(f"{name} {example}: {count}; last loss {loss}")
            for key in different[:10]:
                print(f"  {key}: {ours.get(key)} -> {theirs.get(key)}")
            total += len(different)
    print(f"{total} differences")
    return int(total > 0)


def numbers(side: Side, name: str, example: str, folder: Path) -> dict[str, str]:
    """Everything that is compared, by name: a training, its restart, an evaluation."""
    side.call(["example", example, "."], folder)
    options = folder / "options.yaml"
    text = options.read_text(encoding="utf-8").replace("name: soap_bpnn", f"name: {name}")
    options.write_text(text, encoding="utf-8")
    epochs = "training:\n    batch_size" in text and name not in SMALL
    if not epochs:
        _without_training_section(options)
    _train(side, folder, name, EPOCHS if epochs else None)
    found = _read(side, folder, "first")
    if epochs:
        _train(side, folder, name, LATER, "--restart", "auto", "--allow-changes")
        found |= _read(side, folder, "restarted")
    evaluated = side.call(["eval", "model.pt", "eval.yaml", *EXTENSIONS, "-o", "out.xyz"], folder)
    found |= {f"eval.{i}": line for i, (_, line) in enumerate(evaluated.lines)}
    found["out.xyz"] = hashlib.sha256((folder / "out.xyz").read_bytes()).hexdigest()
    return found


def _without_training_section(options: Path) -> None:
    """For what is fitted in closed form: it has no batches and epochs."""
    lines = options.read_text(encoding="utf-8").splitlines()
    start = lines.index("  training:")
    kept = [*lines[:start], *lines[start + 3 :]]
    options.write_text("\n".join(kept) + "\n", encoding="utf-8")


def _train(side: Side, folder: Path, name: str, num_epochs: int | None, *flags: str) -> None:
    overrides = list(SMALL.get(name, []))
    if num_epochs is not None:
        overrides.append(f"architecture.training.num_epochs={num_epochs}")
    words = [word for each in overrides for word in ("-r", each)]
    side.call(["train", "options.yaml", *EXTENSIONS, *flags, *words], folder)


def _read(side: Side, folder: Path, prefix: str) -> dict[str, str]:
    """Losses and weights of the newest run."""
    run = max(folder.glob("outputs/*/*"), key=lambda path: path.stat().st_mtime)
    found: dict[str, Any] = side.run_code(_LEAVES, str(folder / "model.ckpt"))
    values = {f"{prefix}{key}": value for key, value in found.items() if "version" not in key}
    if (run / "train.csv").is_file():
        with (run / "train.csv").open(encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file), start=1):
                values |= {f"train.csv.{key}": value for key, value in row.items()}
                values |= {f"{prefix}.{number}.{key}": value for key, value in row.items()}
    return {key: value for key, value in values.items() if "seconds" not in key}


if __name__ == "__main__":
    sys.exit(main())
