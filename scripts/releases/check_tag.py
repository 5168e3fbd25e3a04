"""Check that a tag, a version and a changelog agree, and say what the tag releases.

    python scripts/releases/check_tag.py mt-painn-v0.2.0

prints, as lines of ``key=value`` for the outputs of a workflow, ``distribution``, ``version``,
``beneath`` (whether it stands under the architectures) and ``architectures`` (those whose suite
proves the release: itself, or every stable one).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from distributions import BASE, Distribution, command_line, named
from history import git, tag
from stages import stable

TAG = re.compile(r"(?P<name>mt-[a-z0-9-]+)-v(?P<version>\d+\.\d+\.\d+)")
HEADING = re.compile(r"^## (?P<version>\d+\.\d+\.\d+) \(\d{4}-\d{2}-\d{2}\)$", re.MULTILINE)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("tag", help="as mt-painn-v0.2.0")
    text = parser.parse_args().tag
    match = TAG.fullmatch(text)
    if not match:
        raise SystemExit(f"'{text}' is no tag of a release; expected one such as mt-painn-v0.2.0")
    distribution = named(match["name"])
    wrong = list(faults(distribution, match["version"]))
    if wrong:
        raise SystemExit("\n".join(f"{text}: {fault}" for fault in wrong))
    print(f"distribution={distribution.name}")
    print(f"version={match['version']}")
    print(f"beneath={json.dumps(distribution.name in BASE)}")
    print(f"architectures={json.dumps(list(distribution.architectures) or stable())}")


def faults(distribution: Distribution, version: str) -> Iterator[str]:
    """Where tag, version and changelog part."""
    advice = "hatch run release makes all three agree"
    if distribution.version != version:
        yield f"{distribution.about} says {distribution.version}; {advice}"
    newest = last_release(distribution)
    if newest != version:
        yield f"the newest entry of {distribution.path}/CHANGELOG.md is {newest}; {advice}"
    left = [*distribution.fragments, *distribution.strays]
    if left:
        yield f"{distribution.path}/changes still holds {left[0].name}; {advice}"
    if tag(distribution.name, version) not in git("tag", "--points-at", "HEAD").splitlines():
        yield "there is no such tag on the commit that is checked out"


def last_release(distribution: Distribution) -> str | None:
    """The newest version in the changelog; None before the first release."""
    text = (distribution.folder / "CHANGELOG.md").read_text(encoding="utf-8")
    match = HEADING.search(text)
    return match["version"] if match else None


if __name__ == "__main__":
    main()
