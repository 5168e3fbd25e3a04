"""Make the commit of a release: version, changelog and the ranges of siblings.

    hatch run release mt-painn minor

The new version counts from the last one in the changelog; what the source says is a lower bound (a
change that siblings must be able to require raises it beforehand). While a version is below 1.0,
its minor part is the one that may break something. A release that the siblings' ranges do not
admit raises those ranges, floor and ceiling, in the same commit, and writes them a fragment: the
sources beside were tested with it, and with nothing older. A release that git or towncrier refuse
leaves every file as it was. Nothing is pushed: the tag and the commands to type are printed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.version import Version

from check_tag import last_release
from distributions import (
    DISTRIBUTIONS,
    ROOT,
    Distribution,
    command_line,
    examples,
    named,
    no_fragment,
)
from history import git, tag

PARTS = ("major", "minor", "patch")
CITATION = ROOT / "CITATION.cff"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("name", help="a distribution, as mt-painn, or an architecture, as painn")
    parser.add_argument("part", choices=PARTS, help="the part of the version that grows")
    arguments = parser.parse_args()
    distribution = named(arguments.name)
    version = next_version(distribution, arguments.part)
    check_ready(distribution, version)
    raised = not_admitting(distribution, version)
    files = planned(distribution, version, raised)
    entries = [*distribution.fragments, distribution.folder / "CHANGELOG.md"]
    with or_as_it_was([*files, *entries]) as paths:
        write(files)
        write_changelog(distribution, version)
        commit(distribution, version, paths)
    print(next_steps(distribution, version, raised))


def next_version(distribution: Distribution, part: str) -> Version:
    """The version after the last released one."""
    numbers = list(Version(last_release(distribution) or "0.0.0").release)
    # the parts after the one that grows begin anew
    place = PARTS.index(part)
    numbers[place:] = [numbers[place] + 1, *(0 for _ in numbers[place + 1 :])]
    version = Version(".".join(map(str, numbers)))
    if version < Version(distribution.version):
        raise SystemExit(
            f"a {part} release of {distribution.name} would be {version}, and its source says "
            f"{distribution.version} already; release a larger part"
        )
    return version


def check_ready(distribution: Distribution, version: Version) -> None:
    """Refuse what would make a release of something else than what is committed."""
    changed = git("status", "--porcelain").splitlines()
    if changed:
        raise SystemExit(
            "the working tree has changes that are not committed; commit them, or put them aside, "
            "first:\n" + "\n".join(changed[:10])
        )
    name = tag(distribution.name, version)
    if git("tag", "--list", name):
        raise SystemExit(
            f"the tag {name} is there already, on a commit that {distribution.path}/CHANGELOG.md "
            "knows nothing of; if nothing was published with it, remove it (git tag --delete "
            f"{name}), else merge that commit first"
        )
    if distribution.strays:
        raise SystemExit("\n".join(no_fragment(file) for file in distribution.strays))
    if not distribution.fragments:
        raise SystemExit(
            f"{distribution.path}/changes has no fragment, so nothing has changed for users of "
            f"{distribution.name}; a release needs one (CONTRIBUTING.md says how they are written)"
        )


def not_admitting(distribution: Distribution, version: Version) -> list[Distribution]:
    """The siblings whose ranges the new version is not in."""
    return [
        each
        for each in [*DISTRIBUTIONS, *examples()]
        for requirement in each.requirements
        if requirement.name == distribution.name and version not in requirement.specifier
    ]


def planned(
    distribution: Distribution, version: Version, raised: list[Distribution]
) -> dict[Path, str | None]:
    """The files that the release changes, but for the changelog, and their texts; None: no more."""
    files: dict[Path, str | None] = {distribution.about: f'__version__ = "{version}"\n'}
    if distribution.name == "mt-core":
        # what users cite is the program that they run
        text = CITATION.read_text(encoding="utf-8")
        files[CITATION] = re.sub(r"(?m)^version: .*$", f"version: {version}", text)
    for each in raised:
        project = each.folder / "pyproject.toml"
        text = project.read_text(encoding="utf-8")
        files[project] = with_range(text, distribution.name, version)
        if each in DISTRIBUTIONS:
            # what earlier releases wrote, no user of the sibling has seen
            older = rf"\+{distribution.name}-\d+\.\d+\.\d+\.changed\.md"
            files |= {file: None for file in each.fragments if re.fullmatch(older, file.name)}
            news = each.folder / "changes" / f"+{distribution.name}-{version}.changed.md"
            files[news] = f"Requires {distribution.name} {version}.\n"
    return files


@contextmanager
def or_as_it_was(paths: list[Path]) -> Iterator[list[Path]]:
    """Give the files their committed state back if what is done with them fails."""
    try:
        yield paths
    # Ctrl-C as well: half a release is worse than none
    except BaseException:
        names = [str(path) for path in paths]
        git("reset", "--quiet", "--", *names)
        committed = {ROOT / path for path in git("ls-files", "--", *names).splitlines()}
        git("checkout", "--quiet", "--", *map(str, committed))
        for path in set(paths) - committed:
            path.unlink(missing_ok=True)
        print("nothing is released, and every file is as it was:", file=sys.stderr)
        raise


def write(files: dict[Path, str | None]) -> None:
    for path, text in files.items():
        if text is None:
            git("rm", "--quiet", "--", str(path))
        else:
            # git keeps no empty folder: after a release that of the fragments is gone
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")


def with_range(text: str, name: str, version: Version) -> str:
    """A ``pyproject.toml`` that requires the version, up to the next that may break something."""
    ceiling = f"0.{version.minor + 1}" if version.major == 0 else str(version.major + 1)
    # as text: a writer of TOML would lose comments and order
    line = rf'^(\s*"){name}\s*[<>=!~][^"]*(",?\s*)$'
    return re.sub(line, rf"\g<1>{name}>={version},<{ceiling}\g<2>", text, flags=re.MULTILINE)


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


def commit(distribution: Distribution, version: Version, paths: list[Path]) -> None:
    # that a file is gone, git knows from git rm, which towncrier calls
    git("add", "--", *(str(path) for path in paths if path.exists()))
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
