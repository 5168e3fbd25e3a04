"""A new architecture is registered in one place: proved on a copy of this repository.

Its folder and a line in the manifest are enough to be tested, documented and released; what a
stable one needs besides is told with the line to add.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from distributions import ROOT

LEFT_OUT = shutil.ignore_patterns(".*_cache", ".git", ".hatch", "__pycache__", "_build", "outputs")
MANIFEST = "packages/mt-core/src/mt_core/architectures/lifecycle.yaml"
# those that look at every architecture
RULES = ("owners", "packages", "imports", "docs_architectures", "environments", "sizes", "floors")
# of test_imports, what imports in a process of its own: it looks at no architecture
NO_IMPORTS = "not loads and not starts"


class Copy:
    """A copy of the repository, in which ``mt new`` has written an architecture."""

    def __init__(self, root: Path):
        self.root = root

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        sources = [str(self.root / path) for path in ("packages/mt-core/src", "shared/src")]
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sources)},
            capture_output=True,
            text=True,
            check=False,
        )

    def failures(self, *rules: str, only: str = NO_IMPORTS) -> str:
        """What the rules of the repository say that is wrong, whatever it is about."""
        files = [f"tests/repository/test_{rule}.py" for rule in rules]
        done = self.call("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", only, *files)
        assert re.search(r"\d+ (passed|failed)", done.stdout), done.stdout + done.stderr
        return "" if done.returncode == 0 else done.stdout

    def add(self, path: str, text: str) -> None:
        with (self.root / path).open("a", encoding="utf-8") as file:
            file.write(text)


@pytest.fixture
def copy(tmp_path) -> Copy:
    root = tmp_path / "repository"
    shutil.copytree(ROOT, root, ignore=LEFT_OUT)
    copy = Copy(root)
    done = copy.call("-m", "mt_core", "new", "zebra", "--folder", "packages/mt-zebra")
    assert done.returncode == 0, done.stderr
    # with the names of those who have filled in the template
    init = root / "packages/mt-zebra/src/mt_zebra/__init__.py"
    init.write_text(init.read_text(encoding="utf-8").replace("@you", "@zebra"), encoding="utf-8")
    shutil.copy(ROOT / "LICENSE", root / "packages/mt-zebra")
    return copy


def told(failures: str, beginning: str, number: int = 1) -> str:
    """The lines that a failure says are to be added."""
    lines = [line.removeprefix("E").strip(" ") for line in failures.splitlines()]
    start = next(i for i, line in enumerate(lines) if beginning in line)
    return "\n".join(lines[start : start + number])


def test_a_new_architecture_needs_a_folder_and_a_line_in_the_manifest(copy):
    said = copy.failures("owners")
    assert f"add to {MANIFEST}, and nowhere else:" in said
    version = re.search(r"since: (\S+)", told(said, "zebra:", 3))[1]
    copy.add(MANIFEST, f"zebra:\n  stage: experimental\n  since: {version}\n")
    # what is wrong with others has tests of its own
    assert "zebra" not in copy.failures(*RULES)
    assert "zebra" not in copy.failures("docs", only="mt-zebra")
    jobs = copy.call("scripts/releases/changed_architectures.py", "--all").stdout
    assert '"architecture": "zebra", "environment": "zebra", "blocks": false' in jobs


def test_what_a_stable_one_needs_besides_is_told_line_by_line(copy):
    copy.add(MANIFEST, "zebra:\n  stage: stable\n  since: 0.1.0\n")
    said = copy.failures("owners", "docs_architectures")
    owners = told(said, "/packages/mt-zebra/ @zebra").partition("CODEOWNERS is: ")[2]
    copy.add(".github/CODEOWNERS", f"{owners}\n")
    row = told(said, "| `zebra` |")
    readme = copy.root / "README.md"
    before, _, after = readme.read_text(encoding="utf-8").partition("| `gap` |")
    readme.write_text(f"{before}{row}\n| `gap` |{after}", encoding="utf-8")
    assert "zebra" not in copy.failures("owners", "docs_architectures")
