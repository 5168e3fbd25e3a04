"""The architectures that a change concerns, as JSON for the matrix of a workflow.

    python scripts/releases/changed_architectures.py --base main

A change in what stands under all of them concerns all; one in the folder of an architecture that
one alone; prose, workflows and scripts none. A file that no rule knows is an error: the next kind
of file shall not go untested.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from distributions import (
    BASE,
    BY_NAME,
    ROOT,
    Distribution,
    all_architectures,
    command_line,
    print_matrix,
)
from history import changed_files, files_of
from stages import stage

# files and folders; hatch_plugins.py imports two of the scripts
ALL = (
    *(BY_NAME[name].path for name in BASE),
    ".github/workflows/architectures.yml",
    "conftest.py",
    "constraints.txt",
    "hatch.toml",
    "hatch_plugins.py",
    "pyproject.toml",
    "scripts/releases/distributions.py",
    "scripts/releases/floors.py",
)
# seen by checks.yml, whose job runs for every change
NONE = (
    *(".ci", ".github", ".gitignore", "benchmarks", "docs", "scripts"),
    *("ARCHITECTURE.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md"),
)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--base", help="the revision that the change starts from")
    parser.add_argument("--all", action="store_true", help="every architecture, changed or not")
    parser.add_argument("--output", metavar="KEY", help="print KEY=, as a workflow wants outputs")
    arguments = parser.parse_args()
    if bool(arguments.base) == arguments.all:
        parser.error("give either --base or --all")
    known = all_architectures()
    names = sorted(known) if arguments.all else concerned(changed_files(arguments.base), known)
    jobs = [
        {
            "architecture": name,
            "environment": name.replace("_", "-"),
            "blocks": stage(name) not in ("experimental", "deprecated"),
        }
        for name in names
    ]
    print_matrix(jobs, arguments.output)


def concerned(changed: list[str], known: dict[str, Distribution]) -> list[str]:
    """The architectures that these files concern."""
    found: set[str] = set()
    unknown = []
    for path in changed:
        # an example of the documentation is an architecture, though docs/ concerns none
        own = [name for name, each in known.items() if is_under(path, [each.path])]
        if is_under(path, ALL):
            found.update(known)
        elif own:
            found.update(own)
        elif not is_under(path, NONE) and not was_removed(path):
            unknown.append(path)
    for path in unknown:
        folder = "/".join(path.split("/")[:2])
        in_package = folder.startswith("packages/") and folder != path
        if in_package and not (ROOT / folder / "pyproject.toml").exists():
            raise SystemExit(
                f"{folder} has files and no pyproject.toml, so it is no package and nothing tests "
                "it; write one (mt new shows how it looks) or remove the folder"
            )
    if unknown:
        raise SystemExit(
            f"no rule says which architectures these concern: {', '.join(unknown)}; add one to "
            "scripts/releases/changed_architectures.py (the folder of an architecture has a "
            "pyproject.toml with an entry point of the group mt.architectures)"
        )
    return sorted(found)


def is_under(path: str, places: Iterable[str]) -> bool:
    return any(PurePosixPath(path).is_relative_to(each) for each in places)


def was_removed(path: str) -> bool:
    """Whether the file was of a package that is no more; what git ignores may still be there."""
    folder = "/".join(path.split("/")[:2])
    if not folder.startswith("packages/"):
        return False
    return not (ROOT / folder).exists() or not files_of(folder)


if __name__ == "__main__":
    main()
