"""Check that each change under a src/ comes with a fragment for the changelog of its distribution.

    python scripts/releases/check_changes.py --base main

A release puts the fragments into ``CHANGELOG.md``; that it changed will do too.
"""

from __future__ import annotations

import sys

from distributions import DISTRIBUTIONS, ROOT, Distribution, command_line, no_fragment
from history import changed_files


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--base", required=True, help="the revision that the change starts from")
    changed = changed_files(parser.parse_args().base)
    wrong = [no_fragment(file) for each in DISTRIBUTIONS for file in each.strays]
    wrong += [message for each in DISTRIBUTIONS if (message := missing(each, changed))]
    print("\n".join(wrong) or "every changed source has its fragment", end="\n")
    sys.exit(bool(wrong))


def missing(distribution: Distribution, changed: list[str]) -> str | None:
    """What to add, where the source changed and no fragment did."""
    folder = distribution.path
    source = [path for path in changed if path.startswith(f"{folder}/src/")]
    if not source or any(is_news(path, distribution) for path in changed):
        return None
    return (
        f"{distribution.name}: {source[0]} changed"
        + (f" (and {len(source) - 1} more)" if len(source) > 1 else "")
        + f", and no fragment says so to its users; write {folder}/changes/+some-word.fixed.md "
        "(or added, changed, removed; or the number of an issue in place of +some-word)"
    )


def is_news(path: str, distribution: Distribution) -> bool:
    """Whether the file is a fragment that is there, or the changelog itself."""
    return ROOT / path in [*distribution.fragments, distribution.folder / "CHANGELOG.md"]


if __name__ == "__main__":
    main()
