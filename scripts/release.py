"""Make the commit of a release: version, changelog and the ranges of siblings.

    hatch run release mt-painn minor

The new version counts from the last one in the changelog; what the source says is a lower bound (a
change that siblings must be able to require raises it beforehand). While a version is below 1.0,
its minor part is the one that may break something. A release that the siblings' ranges do not
admit raises those ranges, floor and ceiling, in the same commit, and writes them a fragment: the
sources beside were tested with it, and with nothing older. Nothing is pushed: the tag and the
commands to type are printed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

from packaging.requirements import Requirement
from packaging.version import Version

from check_tag import last_release
from distributions import DISTRIBUTIONS, ROOT, Distribution, examples, named
from history import git, tag

PARTS = ("major", "minor", "patch")
CITATION = ROOT / "CITATION.cff"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="a distribution, as mt-painn, or an architecture, as painn")
    parser.add_argument("part", choices=PARTS, help="the part of the version that grows")
    arguments = parser.parse_args()
    distribution = named(arguments.name)
    version = next_version(distribution, arguments.part)
    check_ready(distribution)
    raised = raise_ranges(distribution, version)
    write_version(distribution, version)
    write_changelog(distribution, version)
    commit(distribution, version)
    print(next_steps(distribution, version, raised))


def next_version(distribution: Distribution, part: str) -> Version:
    """The version after the last released one."""
    numbers = list(Version(last_release(distribution) or "0.0.0").release)
    place = PARTS.index(part)
    numbers[place:] = [numbers[place] + 1, *(0 for _ in numbers[place + 1 :])]
    version = Version(".".join(map(str, numbers)))
    if version < Version(distribution.version):
        raise SystemExit(
            f"a {part} release of {distribution.name} would be {version}, and its source says "
            f"{distribution.version} already; release a larger part"
        )
    return version


def check_ready(distribution: Distribution) -> None:
    """Refuse what would make a release of something else than what is committed."""
    changed = git("status", "--porcelain").splitlines()
    if changed:
        raise SystemExit(
            "the working tree has changes that are not committed; commit them, or put them aside, "
            "first:\n" + "\n".join(changed[:10])
        )
    if not distribution.fragments:
        raise SystemExit(
            f"{distribution.path}/changes has no fragment, so nothing has changed for users of "
            f"{distribution.name}; a release needs one (CONTRIBUTING.md says how they are written)"
        )


def raise_ranges(distribution: Distribution, version: Version) -> list[Distribution]:
    """Let every sibling require the new version where it did not admit it."""
    raised = [
        each
        for each in [*DISTRIBUTIONS, *examples()]
        for requirement in each.requirements
        if requirement.name == distribution.name and version not in requirement.specifier
    ]
    for each in raised:
        file = each.folder / "pyproject.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(with_range(text, distribution.name, version), encoding="utf-8")
        if each in DISTRIBUTIONS:
            fragment = each.folder / "changes" / f"+{distribution.name}-{version}.changed.md"
            # git keeps no empty folder: after a release it is gone
            fragment.parent.mkdir(exist_ok=True)
            fragment.write_text(f"Requires {distribution.name} {version}.\n", encoding="utf-8")
    return raised


def with_range(text: str, name: str, version: Version) -> str:
    """A ``pyproject.toml`` that requires the version, up to the next that may break something."""
    ceiling = f"0.{version.minor + 1}" if version.major == 0 else str(version.major + 1)
    lines = text.splitlines(keepends=True)
    pattern = re.compile(r'^(\s*")([^"]+)(",?\s*)$')
    for number, line in enumerate(lines):
        match = pattern.match(line)
        if match and re.match(rf"{name}\s*[<>=!~]", match[2]):
            assert Requirement(match[2]).name == name
            lines[number] = f"{match[1]}{name}>={version},<{ceiling}{match[3]}"
    return "".join(lines)


def write_version(distribution: Distribution, version: Version) -> None:
    distribution.about.write_text(f'__version__ = "{version}"\n', encoding="utf-8")
    if distribution.name == "mt-core":
        # what users cite is the program that they run
        text = CITATION.read_text(encoding="utf-8")
        text = re.sub(r"(?m)^version: .*$", f"version: {version}", text)
        CITATION.write_text(text, encoding="utf-8")


def write_changelog(distribution: Distribution, version: Version) -> None:
    """Turn the fragments into an entry of the changelog."""
    arguments = [
        *("--config", "pyproject.toml", "--dir", distribution.path),
        *("--name", distribution.name, "--version", str(version), "--yes"),
    ]
    command = [sys.executable, "-m", "towncrier", "build", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"towncrier: {done.stdout}{done.stderr}")


def commit(distribution: Distribution, version: Version) -> None:
    git("add", "--all")
    git("commit", "--quiet", "--message", f"{distribution.name} {version}")


def next_steps(distribution: Distribution, version: Version, raised: list[Distribution]) -> str:
    """What its maintainer types next."""
    name = tag(distribution.name, version)
    lines = [
        f"Committed {distribution.name} {version}. Look at it (git show), then:",
        f"    git tag {name}",
        f"    git push origin HEAD {name}",
    ]
    if raised:
        files = ", ".join(f"{each.path}/pyproject.toml" for each in raised)
        lines.append(f"The ranges of {files} did not admit it and require it now:")
        own = [each.name for each in raised if each in DISTRIBUTIONS]
        lines.append(f"release these too, after it: {', '.join(own)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
