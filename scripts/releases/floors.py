"""The lowest versions that an architecture and what stands under it claim to run with, as pins.

    python scripts/releases/floors.py soap_bpnn     # what the environment lowest.soap-bpnn installs

The floors are those of the ``pyproject.toml`` files of mt-shared, mt-core, mt-conformance and the
architecture; where several name a library, the highest of their floors. torch is the one of
``constraints.txt``, unless its floor is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from distributions import BASE, BY_NAME, ROOT, Distribution, all_architectures, command_line

CONSTRAINTS = ROOT / "constraints.txt"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("architecture", help="its name in options files, as soap_bpnn")
    parser.add_argument("--torch", action="store_true", help="torch at its floor as well")
    arguments = parser.parse_args()
    known = all_architectures()
    if arguments.architecture not in known:
        raise SystemExit(f"no architecture '{arguments.architecture}'; known: {', '.join(known)}")
    print("\n".join(pins(known[arguments.architecture], with_torch=arguments.torch)))


def pins(architecture: Distribution, *, with_torch: bool = False) -> list[str]:
    """Exact requirements: every floor, and torch.

    Our own distributions are not among them: in this repository they are those beside.
    """
    lowest = floors([*(BY_NAME[name] for name in BASE), architecture])
    if not with_torch:
        del lowest["torch"]
    # a torch of its floor exists for old versions of Python only
    torch = [each for each in constraints(CONSTRAINTS) if each.name == "torch" and not with_torch]
    return [*(f"{name}=={version}" for name, version in sorted(lowest.items())), *map(str, torch)]


def floors(distributions: Iterable[Distribution]) -> dict[str, Version]:
    """The highest floor of each library that is not one of ours."""
    found: dict[str, Version] = {}
    for requirement in (each for one in distributions for each in one.requirements):
        name = canonicalize_name(requirement.name)
        if name not in BY_NAME:
            found[name] = max(floor(requirement), found.get(name, Version("0")))
    return found


def floor(requirement: Requirement) -> Version:
    """The version after ``>=``; every requirement of ours has one, by a rule."""
    (version,) = (each.version for each in requirement.specifier if each.operator == ">=")
    return Version(version)


def constraints(file: Path) -> list[Requirement]:
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


if __name__ == "__main__":
    main()
