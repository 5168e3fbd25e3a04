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
    print("\n".join(wrong) or "every changed source has its fragment")
    sys.exit(bool(wrong))


def missing(distribution: Distribution, changed: list[str]) -> str | None:
    """What to add, where the source changed and neither a fragment nor the changelog did."""
    folder = distribution.path
    source = [path for path in changed if path.startswith(f"{folder}/src/")]
    news = {*distribution.fragments, distribution.folder / "CHANGELOG.md"}
    if not source or any(ROOT / path in news for path in changed):
        return None
    more = f" (and {len(source) - 1} more)" if len(source) > 1 else ""
    return (
        f"{distribution.name}: {source[0]} changed{more}, and no fragment says so to its users; "
        f"write {folder}/changes/+some-word.fixed.md (or added, changed, removed; or the number of "
        "an issue in place of +some-word)"
    )


if __name__ == "__main__":
    main()
