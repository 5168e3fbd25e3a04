"""Every toy against the whole suite: ``python tests/toys/cross.py [FOLDER] [--part 1/8]``.

It prints which tests fail on which toy, and how often each test does; on sound toys none may fail.
This takes long; CI runs it every night. For a look at a few toys while they are written, name words
of them, with ``--named``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

# the folder that this package lies in, so that this file runs as it is
sys.path.insert(0, str(Path(__file__).parents[1]))

from toys.breakage import Breakage
from toys.breakages import all_breakages
from toys.running import Results, faults, read_results, run
from toys.sound import GENERATED, SOUND, VECTORS


def main() -> int:
    arguments = _parse()
    chosen = [
        each
        for each in [*all_breakages(), *SOUND, GENERATED, VECTORS]
        if _is_meant(each, arguments.only)
    ]
    part, parts = map(int, arguments.part.split("/"))
    chosen = chosen[part - 1 :: parts]
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="toys-"))
    run(chosen, folder, arguments.workers, whole_suite=not arguments.named)
    results = read_results(folder)
    print("\n".join(table(chosen, results)))
    wrong = [f"\n{each.name}: {fault}" for each in chosen for fault in faults(each, results)]
    print("\n".join(wrong))
    return int(bool(wrong))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="to be filled; a temporary one")
    parser.add_argument("--only", nargs="*", default=[], help="words of toys or of their tests")
    parser.add_argument("--part", default="1/1", help="of the toys, such as 3/8: the third eighth")
    parser.add_argument("--named", action="store_true", help="only the tests that are named")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def _is_meant(each: Breakage, words: Sequence[str]) -> bool:
    return not words or any(word in name for word in words for name in (each.name, *each.fails))


def table(chosen: Sequence[Breakage], results: Results) -> Iterator[str]:
    """For each toy what fails on it, ``*`` before what must; then how often each test fails."""
    counts: Counter[str] = Counter()
    for each in chosen:
        found = results.get(each.architecture, {})
        failed = sorted(name for name, one in found.items() if one["outcome"] == "failed")
        seconds = sum(one["seconds"] for one in found.values())
        yield f"{each.name}: {len(failed)} of {len(found)} tests fail ({seconds:.0f} s)"
        for name in failed:
            must = name in each.fails or name.split("[")[0] in each.fails
            yield f"  {'*' if must else ' '} {name}"
        counts.update(name.split("[")[0] for name in failed)
    yield "\nfailures by test"
    yield from (f"  {number:4d} {name}" for name, number in counts.most_common())


if __name__ == "__main__":
    sys.exit(main())
